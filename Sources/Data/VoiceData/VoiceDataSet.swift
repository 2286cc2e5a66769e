import ArrayFiles
import Basics
import Foundation
import LinearAlgebra

/// Speech whose voice, pitch and rate are known: what a model with a discrete and a continuous latent variable should find by
/// itself (Hsu et al. 2018, "Hierarchical generative modeling for controllable speech synthesis"). Six voices of one register
/// say pairs of sentences, each at a pitch and a rate of its own.
public struct VoiceDataSet: Sendable {
  /// What is made.
  public struct Settings: Sendable {
    /// As espeak-ng calls them. In one register a setting of the pitch is nearly the same frequency in each.
    public var voices = ["en-us+m3", "en-us+boris", "en-us+klatt4", "en-us+victor", "en-us+m8", "en-us+Mario"]
    /// Of each voice; three in four are for training, the others in halves for validation and test.
    public var utterances = 400
    /// espeak-ng's setting, where 50 is the voice's own.
    public var pitches = 0...99
    /// Words a minute.
    public var rates = 100...320
    /// Names all random numbers.
    public var seed: UInt64 = 0

    public init() {}

    /// - Throws: `PipelineError` of kind `.usage` for what makes no sense.
    func validate() throws(PipelineError) {
      guard (8...100_000).contains(utterances) else {
        throw PipelineError(.usage, "`utterances` must be 8 to 100000, not \(utterances)")
      }
      guard !voices.isEmpty else { throw PipelineError(.usage, "`voices` names no voice") }
    }
  }

  /// One utterance.
  struct Utterance: Sendable, Equatable {
    var voice, pitch, rate: Int
    /// Two, as numbers of `Sentences.all`.
    var sentences: [Int]
    /// 0 for training, 1 for validation, 2 for test.
    var split: Int
  }

  public let settings: Settings
  let utterances: [Utterance]
  /// [N, D], each column with mean 0 and deviation 1 over the training rows.
  public let rows: Matrix
  /// What the columns were before, over the training rows.
  public let mean, deviation: [Double]
  /// What each column is of, in hertz; see `UtteranceFeatures`.
  public let frequencies: [Double]

  /// Speaks and measures.
  /// - Parameters:
  ///   - settings: what to make.
  ///   - team: its threads share the utterances; what comes out does not depend on how many they are.
  ///   - progress: told how many are done, from any thread.
  /// - Throws: `PipelineError` of kind `.usage` for settings that make no sense, `.noInput` without espeak-ng, `.inputOutput`
  ///   where it fails.
  public init(
    _ settings: Settings = Settings(), team: ThreadTeam, progress: @Sendable (Int) -> Void = { _ in }
  ) throws(PipelineError) {
    try settings.validate()
    let synthesizer = try SpeechSynthesizer()
    let features = UtteranceFeatures(sampleRate: SpeechSynthesizer.sampleRate)
    let utterances = Self.plan(settings)
    var measured: [[Double]] = []
    let size = 16 * team.count
    for start in stride(from: 0, to: utterances.count, by: size) {
      let part = utterances[start..<min(utterances.count, start + size)]
      measured += try team.throwingMap(part.count) { (i) throws(PipelineError) in
        let utterance = part[start + i]
        let voice = settings.voices[utterance.voice]
        let text = utterance.sentences.map { Sentences.all[$0] }.joined(separator: " ")
        let sound = try synthesizer.say(text, voice: voice, pitch: utterance.pitch, rate: utterance.rate)
        guard let row = features(sound) else {
          throw PipelineError(
            .inputOutput, "the voice \(voice) is silent at pitch \(utterance.pitch), rate \(utterance.rate)")
        }
        return row
      }
      progress(measured.count)
    }
    let train = utterances.indices.filter { utterances[$0].split == 0 }
    let columns = measured[0].indices
    let mean = columns.map { d in train.reduce(0) { $0 + measured[$1][d] } / Double(train.count) }
    let deviation = columns.map { d in
      let variance =
        train.reduce(0) { $0 + (measured[$1][d] - mean[d]) * (measured[$1][d] - mean[d]) } / Double(train.count)
      return max(variance.squareRoot(), 1e-6)
    }
    rows = Matrix(
      measured.flatMap { row in columns.map { (row[$0] - mean[$0]) / deviation[$0] } }, rows: measured.count,
      columns: columns.count)
    (self.settings, self.utterances, self.mean, self.deviation) = (settings, utterances, mean, deviation)
    frequencies = features.frequencies
  }

  /// Who says what and how, voice after voice.
  static func plan(_ settings: Settings) -> [Utterance] {
    let splits = [Sentences.train, Sentences.validation, Sentences.test].map(\.indices)
    let heldOut = settings.utterances / 8
    return settings.voices.indices.flatMap { voice in
      (0..<settings.utterances).map { i in
        let split = i < heldOut ? 2 : i < 2 * heldOut ? 1 : 0
        var random = Philox(seed: settings.seed, stream: RandomStream.preparedVoices(UInt64(voice) << 20 | UInt64(i)))
        let sentences = splits[split]
        let first = random.index(below: sentences.count)
        // Another one.
        let second = (first + 1 + random.index(below: sentences.count - 1)) % sentences.count
        return Utterance(
          voice: voice, pitch: settings.pitches.lowerBound + random.index(below: settings.pitches.count),
          rate: settings.rates.lowerBound + random.index(below: settings.rates.count),
          sentences: [sentences.lowerBound + first, sentences.lowerBound + second], split: split)
      }
    }
  }

  /// How many rows there are for training, validation and test.
  public var counts: [Int] { (0..<3).map { split in utterances.count { $0.split == split } } }

  /// Writes an `.npz` of `rows` [N, D]; `voice`, `pitch`, `rate`, `split` [N, 1] and `sentence` [N, 2], whole numbers; and
  /// `mean`, `deviation` and `frequency` [1, D]. In `split` 0 is training, 1 validation and 2 test.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`.
  public func write(to url: URL) throws(PipelineError) {
    func integers(_ values: (Utterance) -> [Int]) -> Data {
      let columns = utterances.first.map(values)?.count ?? 1
      return NumPyWriter.data(
        of: Matrix(utterances.flatMap(values).map { Double($0) }, rows: utterances.count, columns: columns),
        asIntegers: true)
    }
    func line(_ values: [Double]) -> Data { NumPyWriter.data(of: Matrix(values, rows: 1, columns: values.count)) }
    try NumPyWriter.write(
      [
        ("rows", NumPyWriter.data(of: rows)), ("voice", integers { [$0.voice] }), ("pitch", integers { [$0.pitch] }),
        ("rate", integers { [$0.rate] }), ("sentence", integers(\.sentences)), ("split", integers { [$0.split] }),
        ("mean", line(mean)), ("deviation", line(deviation)), ("frequency", line(frequencies)),
      ], to: url)
  }
}
