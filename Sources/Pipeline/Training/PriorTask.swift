import Basics
import Checkpoints
import Compositions
import Datasets
import Evaluation
import Foundation
import Generation
import ImageTokenizers
import NN
import Optimization
import Priors
import Synchronization
import TensorCore
import TextTokenizer

/// What stage 2 makes of a run.
final class PriorTask: StageTask {
  /// What a warm start begins with: a prior and, for each text token of the vocabulary, those of that prior's.
  struct InitialWeights {
    var prior: any TrainablePrior
    var pieces: [[Int32]]
  }

  /// Seconds between measurements of retrieval, each of which draws a picture for every validation caption.
  private static let retrievalInterval = 240.0

  /// Compositions whose captions the checkpoint keeps.
  private static let knownCompositions = 2000

  private let model: any TrainablePrior
  /// What is validated and saved: the weights, or their moving average where one is kept.
  private let result: any TrainablePrior
  private let description: any TrainablePriorConfiguration
  private let vocabulary: BytePairEncoding
  private let replacesVocabulary: Bool
  private let nouns: Data?
  private unowned let run: StageRun
  private let tokens: TokenCache
  /// Of the first process.
  private let validation: PriorValidation?
  private let known: KnownCaptions
  private var lastValidation: Double?
  private var retrieval: CheckpointConfiguration.RetrievalProgress?
  /// Seconds of the run.
  private var lastRetrieval: Double
  private var best = Double.infinity
  private var recentLoss: Double?
  private var overfittingIsKnown = false
  /// Retrieval goes on rising long after the validation loss has stopped to fall; so it does until measured.
  private var retrievalRises: Bool

  /// - Parameters:
  ///   - model: with initial weights.
  ///   - description: its shape.
  ///   - vocabulary: of the captions.
  ///   - replacesVocabulary: whether the checkpoint had another one.
  ///   - nouns: the content of a new run's `nouns.txt`.
  ///   - imageTokenizer: whose tokens are learnt.
  ///   - compositions: what is learnt besides the data set's pictures.
  ///   - run: that this is the work of.
  init(
    _ model: any TrainablePrior, _ description: any TrainablePriorConfiguration, _ vocabulary: BytePairEncoding,
    replacesVocabulary: Bool, nouns: Data?, _ imageTokenizer: any ImageTokenizer,
    _ compositions: TrainingCompositions?, _ run: StageRun
  ) throws(PipelineError) {
    (self.model, self.description, self.vocabulary, self.run) = (model, description, vocabulary, run)
    (self.replacesVocabulary, self.nouns) = (replacesVocabulary, nouns)
    result = description.makeModel(.unread)
    let dataSet = run.resources.dataSet
    tokens = TokenCache(imageTokenizer, dataSet.encoded, isCaching: run.plan.augmentation == .none)
    validation =
      run.processes.isFirst
      ? try PriorValidation(dataSet, compositions?.maker, vocabulary, imageTokenizer, run.team) : nil
    known = KnownCaptions(of: dataSet, compositions: compositions?.captions(ofFirst: Self.knownCompositions) ?? [])
    lastValidation = run.state.configuration.priorTraining?.validation
    retrieval = run.state.configuration.priorTraining?.retrieval
    lastRetrieval = run.state.seconds
    retrievalRises = validation.map { $0.library != nil && !$0.texts.isEmpty } ?? false
  }

  func step(_ batch: Batch, _ place: StageRun.Place) -> DescentLoop.Result {
    let (model, settings, precision) = (model, run.settings, run.resources.precision)
    let batchSize = run.plan.batchSize
    let firstSample = place.step * batchSize
    let texts = encoded(batch.captions, firstSample: firstSample + batch.first)
    let textTargets = Int(run.processes.sum([Double(model.textTargetCount(texts))])[0])
    let (result, losses) = run.replicas.step(learningRate: place.learningRate) { replica in
      let range = replica.range(of: batchSize)
      let own = range.lowerBound - batch.first..<range.upperBound - batch.first
      let images = own.map { tokens.tokens(of: batch, at: $0) }
      let part = PriorBatch(
        texts: Array(texts[own]), images: images.flatMap(\.self),
        imageInputs: zip(range, images).flatMap { corrupted($1, sample: firstSample + $0) })
      let share = Float(range.count) / Float(batchSize)
      let dropout =
        description.dropout > 0
        ? DropoutStream(
          probability: description.dropout, seed: settings.seed, step: place.step, shard: replica.number) : nil
      let textShare = Float(model.textTargetCount(part.texts)) / Float(max(1, textTargets))
      let loss = model.loss(part, share: share, textShare: textShare, precision: precision, dropout: dropout)
      return (loss.total, [loss.image * share, loss.text * textShare])
    }
    let sums = run.sums(losses)
    let image = Double(sums[0])
    recentLoss = recentLoss.map { 0.98 * $0 + 0.02 * image } ?? image
    return DescentLoop.Result(
      loss: result.loss, gradientNorm: result.gradientNorm,
      metrics: [("image_loss", image), ("text_loss", Double(sums[1]))])
  }

  /// The captions of a batch as tokens, some left out for guidance, some split differently by BPE dropout.
  private func encoded(_ captions: [String], firstSample: Int) -> [[Int32]] {
    let settings = run.settings
    return captions.enumerated().map { offset, caption in
      // The counter's upper half names the sample: its numbers depend on nothing else.
      var random = Philox(
        seed: settings.seed, stream: RandomStream.captionTokens(), counter: UInt64(firstSample + offset) << 24)
      if random.uniform() < settings.captionDropout { return [] }
      return vocabulary.encode(caption, dropout: settings.mergeDropout, using: &random)
    }
  }

  /// What the model is shown of a picture's tokens.
  private func corrupted(_ tokens: [Int32], sample: Int) -> [Int32] {
    let settings = run.settings
    let refinementCorruption = settings.refinementCorruption ?? 0
    if settings.imageCorruption == 0 && refinementCorruption == 0 { return tokens }
    var random = Philox(seed: settings.seed, stream: RandomStream.imageCorruption(), counter: UInt64(sample) << 24)
    return PriorBatch.corrupted(
      tokens, probability: settings.imageCorruption, refinementProbability: refinementCorruption,
      codes: description.imageVocabulary / description.codesPerPlace, depth: description.codesPerPlace, using: &random)
  }

  // MARK: - What is measured

  func validate(_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)] {
    guard let validation else { return [] }
    updateResult()
    try validation.drawSamples(result, to: run.resources.checkpoint.logFolder)
    var metrics: [(name: String, value: Double)] = []
    let loss = validation.loss(result, precision: run.resources.precision)
    var words = "no validation pictures"
    if let loss {
      metrics.append(("validation_image_loss", loss))
      words = String(format: "validation loss %.3f nats an image token", loss)
    }
    if progress.fraction >= 1 || progress.seconds - lastRetrieval >= Self.retrievalInterval {
      lastRetrieval = progress.seconds
      if let measured = validation.retrieval(result) {
        retrievalRises = measured.at1 > retrieval?.at1 ?? 0
        retrieval = (retrieval ?? .init(at1: 0)).adding(at1: measured.at1, seconds: progress.seconds)
        metrics += [("validation_retrieval_at_1", measured.at1), ("validation_retrieval_at_5", measured.at5)]
        words += String(
          format: "; retrieval@1 %.0f%%, @5 %.0f%% of %d captions", 100 * measured.at1, 100 * measured.at5,
          measured.captions)
      }
      if let measured = validation.retrievalOfCompositions(result) {
        metrics.append(("compositions_retrieval_at_1", measured.at1))
        words += String(format: "; %.0f%% of %d pairs never seen", 100 * measured.at1, measured.captions)
      }
      if let measured = validation.retrievalOfForms(result) {
        metrics.append(("forms_retrieval_at_1", measured.at1))
        words += String(
          format: "; %.0f%% of %d training captions in other forms", 100 * measured.at1, measured.captions)
      }
    }
    run.observer.report(.validation(words))
    if let loss { follow(loss) }
    return metrics
  }

  /// Says when the model begins to learn its pictures by heart.
  private func follow(_ loss: Double) {
    lastValidation = loss
    if loss > best + 0.05 && recentLoss ?? 0 < best && !retrievalRises && !overfittingIsKnown {
      overfittingIsKnown = true
      run.observer.report(
        .note(
          String(format: "over-fitting: the validation loss rose from %.3f to %.3f ", best, loss)
            + "while the training loss falls; more pictures, a smaller `preset` or a shorter run help"))
    }
    best = min(best, loss)
  }

  private func updateResult() {
    let optimizer = run.optimizer
    let source = optimizer.store.named(optimizer.average ?? optimizer.store.values)
    for (target, source) in zip(result.parameters(), source) { target.overwrite(with: source.tensor) }
  }

  // MARK: - What is saved

  let file: KeyPath<Checkpoint, URL> = \.priorFile

  func tensors() -> [NamedTensor] {
    updateResult()
    return result.namedTensors()
  }

  /// The nouns are those of the captions that were here, the ranker speaks the vocabulary that was, and the gallery shows what that
  /// prior drew.
  var replaced: [URL] {
    let checkpoint = run.resources.checkpoint
    return [checkpoint.nounsFile, checkpoint.galleryFile] + (replacesVocabulary ? [checkpoint.rankerFile] : [])
  }
  let replacedName = "the prior that was here"

  func describe(_ run: StageRun, in configuration: inout CheckpointConfiguration) {
    configuration.priorTraining = run.summary(validation: lastValidation, retrieval: retrieval)
  }

  func writeRest(to save: Checkpoint, isFirst: Bool) throws(PipelineError) {
    try known.write(to: save.captionsFile)
    guard isFirst else { return }
    try vocabulary.write(to: save.vocabularyFile)
    if let nouns { try AtomicFile.write(nouns, to: save.nounsFile) }
  }
}

/// The image tokens of pictures, each encoded once where it is always the same, or before.
private final class TokenCache: Sendable {
  private let imageTokenizer: any ImageTokenizer
  private let encoded: EncodedPictures?
  private let isCaching: Bool
  /// As few bytes as they take; of what is met after there is no more room, they are made each time.
  private let known = Mutex<[Int: [UInt16]]>([:])
  private static let maximumBytes = 64 << 20
  /// Of an array and its place in the dictionary.
  private static let bytesBeside = 64

  init(_ imageTokenizer: any ImageTokenizer, _ encoded: EncodedPictures?, isCaching: Bool) {
    self.imageTokenizer = imageTokenizer
    self.encoded = encoded
    self.isCaching = isCaching
  }

  func tokens(of batch: Batch, at position: Int) -> [Int32] {
    let index = batch.indices[position]
    if let encoded { return encoded.tokens(at: index) }
    // What is made for a batch is met once.
    let isCaching = isCaching && index >= 0
    if isCaching, let tokens = known.withLock({ $0[index] }) { return tokens.map(Int32.init) }
    let side = imageTokenizer.pictureSize
    let size = side * side * 3
    let bytes = Array(batch.pixels[position * size..<(position + 1) * size])
    // One by one, so that a picture's tokens do not depend on the batch it is met in. Runs while a tape records, but
    // a tokenizer's parameters are constants here.
    let tokens = withoutRecording { imageTokenizer.encode(Tensor(pictureBytes: bytes, side: side)) }
    if isCaching && imageTokenizer.codeCount <= 1 << 16 {
      known.withLock {
        if ($0.count + 1) * (tokens.count * MemoryLayout<UInt16>.size + Self.bytesBeside) <= Self.maximumBytes {
          $0[index] = tokens.map(UInt16.init)
        }
      }
    }
    return tokens
  }
}
