import Corpus
import Foundation
import LatentModels
import Media
import Priors
import TensorCore

/// What `config.json` of a checkpoint says: everything that is needed to load it, and how it came about.
public struct CheckpointConfiguration: Codable, Sendable {
  /// The version of this file's layout.
  public var formatVersion = 1
  public var imageTokenizer: ImageTokenizerConfiguration?
  public var prior: TransformerPrior.Configuration?
  public var data: DataDescription?
  /// The words of all training captions, sorted, a space between them, for telling which words of a prompt were never
  /// seen.
  public var captionWords: String?
  public var tokenizerTraining: TrainingSummary?
  public var priorTraining: TrainingSummary?

  public init() {}

  /// The data set that a checkpoint was trained on.
  public struct DataDescription: Codable, Sendable, Equatable {
    public var name: String
    public var fingerprint: String
    public var fit: Picture.Fit
    public var trainPictures: Int
    public var validationPictures: Int
    public var testPictures: Int

    init(_ dataSet: PictureDataSet) {
      name = dataSet.url.lastPathComponent
      fingerprint = dataSet.fingerprint
      fit = dataSet.fit
      trainPictures = dataSet.indices(of: .train).count
      validationPictures = dataSet.indices(of: .validation).count
      testPictures = dataSet.indices(of: .test).count
    }
  }

  /// How long and with what a stage was trained, and where it stood at the last save.
  public struct TrainingSummary: Codable, Sendable, Equatable {
    public var steps: Int
    public var epochs: Double
    public var minutes: Double
    public var threads: Int
    public var precision: ElementType
    public var engine: String
    public var settings: TrainingSettings
    /// Validation PSNR (dB) of a tokenizer, validation loss (nats an image token) of a prior.
    public var validation: Double?
  }
}

/// The kind of a stage 1 model and its shape. In JSON, the shape's fields stand beside `kind`.
public enum ImageTokenizerConfiguration: Codable, Sendable, Equatable {
  case vqvae(VQVAE.Configuration)

  private enum CodingKeys: String, CodingKey { case kind }

  public var kind: String {
    switch self {
    case .vqvae: "vqvae"
    }
  }

  public init(from decoder: any Decoder) throws {
    let kind = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .kind)
    switch kind {
    case "vqvae": self = .vqvae(try VQVAE.Configuration(from: decoder))
    default:
      throw PipelineError(.badData, "the image tokenizer is of kind \(kind), which this version does not know")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .kind)
    switch self {
    case .vqvae(let configuration): try configuration.encode(to: encoder)
    }
  }

  /// Pixels a side.
  public var pictureSize: Int {
    switch self {
    case .vqvae(let configuration): configuration.pictureSize
    }
  }

  /// A model with initial weights.
  public func makeModel(seed: UInt64) -> any ImageTokenizer {
    switch self {
    case .vqvae(let configuration): VQVAE(configuration, seed: seed)
    }
  }

  /// - Throws: `PipelineError` of kind `.badData` where the shape makes no sense.
  func validate() throws(PipelineError) {
    switch self {
    case .vqvae(let c):
      guard (1...1024).contains(c.pictureSize), c.patchSize > 0, c.pictureSize % c.patchSize == 0,
        (1...4096).contains(c.channels), (0...64).contains(c.blocks), (2...(1 << 20)).contains(c.codes),
        (1...4096).contains(c.codeDimensions)
      else { throw PipelineError(.badData, "the image tokenizer's shape makes no sense: \(c)") }
    }
  }
}

/// How large the models are.
public enum Preset: String, CaseIterable, Sendable, Codable {
  case tiny, small, base

  /// Stage 1.
  public var imageTokenizer: ImageTokenizerConfiguration {
    var c = VQVAE.Configuration()
    switch self {
    case .tiny: (c.channels, c.blocks, c.codes) = (128, 2, 512)
    case .small: (c.channels, c.blocks) = (256, 2)
    case .base: (c.channels, c.blocks) = (256, 3)
    }
    return .vqvae(c)
  }

  /// Stage 2; the vocabularies and the grid are those of the tokenizers.
  public var prior: TransformerPrior.Configuration {
    var c = TransformerPrior.Configuration()
    switch self {
    case .tiny: (c.width, c.layers, c.heads) = (192, 4, 3)
    case .small: (c.width, c.layers, c.heads) = (256, 6, 4)
    case .base: (c.width, c.layers, c.heads) = (384, 8, 6)
    }
    return c
  }
}

/// How one stage is trained. What is left at nil is chosen by the stage.
public struct TrainingSettings: Codable, Sendable, Equatable {
  public var preset: Preset = .small
  public var bound: TrainingBound?
  public var batchSize: Int?
  public var learningRate: Float?
  public var seed: UInt64 = 0
  /// Steps between two saves; nil saves every ninety seconds.
  public var saveEvery: Int?
  public var augmentation: Augmentation?
  /// Of captions: the probability of training without one, which guidance needs.
  public var captionDropout: Float = 0.1
  /// Of merges when a caption is encoded (Provilkov et al. 2020).
  public var mergeDropout: Float = 0.1
  /// Of the text vocabulary.
  public var vocabularySize = 2048
  /// Text tokens of the prior.
  public var textLength: Int?
  public var dropout: Float?
  /// Of the moving average of the prior's weights, which is what is saved; 0 keeps none.
  public var averageDecay: Float = 0

  public init() {}

  /// - Throws: `PipelineError` of kind `.usage` naming the first setting that makes no sense.
  public func validate() throws(PipelineError) {
    func check(_ isValid: Bool, _ message: String) throws(PipelineError) {
      if !isValid { throw PipelineError(.usage, message) }
    }
    if let batchSize {
      try check((1...65536).contains(batchSize), "--batch-size must be 1 to 65536, not \(batchSize)")
    }
    if let learningRate {
      try check(
        learningRate > 0 && learningRate.isFinite, "--learning-rate must be above 0, not \(learningRate)")
    }
    if let saveEvery { try check(saveEvery > 0, "--save-every must be 1 or more, not \(saveEvery)") }
    if let textLength {
      try check((2...1024).contains(textLength), "--text-length must be 2 to 1024, not \(textLength)")
    }
    if let dropout { try check((0..<1).contains(dropout), "--dropout must be 0 up to 1, not \(dropout)") }
    try check((0...1).contains(captionDropout), "--caption-dropout must be 0 to 1, not \(captionDropout)")
    try check((0...1).contains(mergeDropout), "--merge-dropout must be 0 to 1, not \(mergeDropout)")
    try check((0..<1).contains(averageDecay), "--average-decay must be 0 up to 1, not \(averageDecay)")
    try check(
      (256...1_000_000).contains(vocabularySize),
      "--vocabulary-size must be 256 to 1000000, not \(vocabularySize)")
    switch bound {
    case .steps(let n): try check(n > 0, "--steps must be 1 or more, not \(n)")
    case .epochs(let n): try check(n > 0 && n.isFinite, "--epochs must be above 0, not \(n)")
    case .minutes(let n): try check(n > 0 && n.isFinite, "--minutes must be above 0, not \(n)")
    case nil: break
    }
  }
}

/// Where training ends. The learning rate is annealed towards it, whichever it is.
public enum TrainingBound: Codable, Sendable, Equatable {
  case steps(Int)
  case epochs(Double)
  case minutes(Double)

  /// The share of the run that is done, 1 or more at its end.
  func progress(step: Int, stepsPerEpoch: Double, seconds: Double) -> Double {
    switch self {
    case .steps(let count): Double(step) / Double(count)
    case .epochs(let count): Double(step) / max(1, (count * stepsPerEpoch).rounded())
    case .minutes(let count): seconds / (60 * count)
    }
  }
}
