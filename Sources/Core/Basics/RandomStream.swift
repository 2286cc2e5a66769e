/// What random numbers are drawn for. Each purpose has a range of Philox streams of its own, so that with one seed no two
/// purposes ever see the same numbers; they stand in this one place, where that can be seen and tested.
package struct RandomStream: Sendable, Equatable {
  /// The first stream of the range.
  package let first: UInt64
  /// How many streams there are, one for each number that the purpose is divided by.
  package let count: UInt64

  private init(_ first: UInt64, count: UInt64) { (self.first, self.count) = (first, count) }

  private init(_ first: UInt64, bits: Int = 0) { self.init(first, count: 1 << bits) }

  /// The stream of a number within the range.
  package func callAsFunction(_ number: UInt64 = 0) -> UInt64 {
    precondition(number < count, "the purpose has \(count) streams, and none of number \(number)")
    return first + number
  }

  // MARK: Models
  /// By the number of the weight.
  package static let initialWeights = RandomStream(0x1218, count: 0xD000)
  /// By step, shard and use.
  package static let dropout = RandomStream(0xD0 << 56, bits: 56)
  /// By step and shard; see `NoiseStream`.
  package static let trainingNoise = RandomStream(0x70 << 56, bits: 56)
  /// By step.
  package static let codeRevival = RandomStream(0xC0DE << 40, bits: 40)
  /// By the number of the weight.
  package static let discriminatorWeights = RandomStream(0xD15C << 40, bits: 40)
  /// By step.
  package static let discriminatorAugmentation = RandomStream(0xD15D << 40, bits: 40)
  /// By the number of the picture.
  package static let drawnTokens = RandomStream(0x5A << 56, bits: 56)

  // MARK: The ladder, by row, restart or the like
  package static let gaussianSamples = RandomStream(0x6A << 56, bits: 56)
  package static let mixtureStarts = RandomStream(0x6B << 56, bits: 56)
  package static let mixtureSamples = RandomStream(0x6C << 56, bits: 40)
  package static let ppcaStart = RandomStream(0x6D << 56, bits: 56)
  package static let ppcaSamples = RandomStream(0x6E << 56, bits: 56)
  package static let vaeEvaluation = RandomStream(0x7A << 56, bits: 56)
  package static let vaeLatents = RandomStream(0x7B << 56, bits: 56)
  package static let vaeObservations = RandomStream(0x7C << 56, bits: 56)
  package static let hierarchicalVAEEvaluation = RandomStream(0x8A << 56, bits: 56)
  package static let hierarchicalVAELatents = RandomStream(0x8B << 56, bits: 56)
  package static let hierarchicalVAEObservations = RandomStream(0x8C << 56, bits: 56)
  package static let gaussianMixtureVAEEvaluation = RandomStream(0x9A << 56, bits: 56)
  package static let gaussianMixtureVAELatents = RandomStream(0x9B << 56, bits: 56)
  package static let gaussianMixtureVAEObservations = RandomStream(0x9C << 56, bits: 56)
  /// By step and shard.
  package static let fittingNoise = RandomStream(1 << 48, bits: 48)
  /// By epoch and row.
  package static let fittingDequantization = RandomStream(2 << 48, bits: 48)
  package static let heldOutDequantization = RandomStream(3 << 48, bits: 48)
  /// By epoch.
  package static let fittingOrder = RandomStream(4 << 48, bits: 48)
  package static let tokenFittingOrder = RandomStream(0xF17 << 48, bits: 48)
  package static let ladderDequantization = RandomStream(0x6C61_6464_6572_0001)
  package static let ladderSplit = RandomStream(0x6C61_6464_6572_0002)
  package static let ladderShrinkage = RandomStream(0x6C61_6464_6572_0003)
  package static let ladderFigures = RandomStream(0x6C61_6464_6572_0004)
  package static let lecturePoints = RandomStream(0x6C61_6464_6572_0005)
  package static let lectureFigures = RandomStream(0x6C61_6464_6572_0006)

  // MARK: Data and training; counters tell samples apart
  package static let epochOrder = RandomStream(0x636F_7270_7573_0001)
  package static let samples = RandomStream(0x636F_7270_7573_0002)
  package static let keywordPairs = RandomStream(0xF02 << 48, bits: 48)
  package static let vocabularyTexts = RandomStream(0xF03 << 48, bits: 48)
  package static let captionTokens = RandomStream(0xCA9 << 48, bits: 48)
  package static let imageCorruption = RandomStream(0xC02 << 48, bits: 48)
  package static let rankerPictures = RandomStream(0x7A6 << 48, bits: 48)
  package static let rankerFailures = RandomStream(0x7A7 << 48, bits: 48)
  package static let priorDrawings = RandomStream(0xD2A << 48, bits: 48)
  package static let compositions = RandomStream(0xC0B << 48, bits: 48)
  /// By the number of the picture.
  package static let digits = RandomStream(0xC0C << 48, bits: 48)
  /// By voice and utterance.
  package static let preparedVoices = RandomStream(0x501 << 48, bits: 48)
  package static let evaluatedCaptions = RandomStream(0xE7A1)
  package static let evaluatedPatches = RandomStream(0xE7A2)

  /// All of them, for the test that no two ranges meet.
  package static let all: [RandomStream] = [
    initialWeights, dropout, trainingNoise, codeRevival, discriminatorWeights, discriminatorAugmentation, drawnTokens,
    gaussianSamples, mixtureStarts, mixtureSamples,
    ppcaStart, ppcaSamples, vaeEvaluation, vaeLatents, vaeObservations, hierarchicalVAEEvaluation,
    hierarchicalVAELatents, hierarchicalVAEObservations, gaussianMixtureVAEEvaluation, gaussianMixtureVAELatents,
    gaussianMixtureVAEObservations, fittingNoise, fittingDequantization, heldOutDequantization, fittingOrder,
    tokenFittingOrder, ladderDequantization, ladderSplit, ladderShrinkage, ladderFigures, lecturePoints, lectureFigures,
    epochOrder, samples,
    keywordPairs, vocabularyTexts, captionTokens, imageCorruption, rankerPictures, rankerFailures, priorDrawings,
    compositions, digits, preparedVoices, evaluatedCaptions, evaluatedPatches,
  ]
}
