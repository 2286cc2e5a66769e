import Basics
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import Priors
import Rankers
import TensorCore

/// What `config.json` of a checkpoint says: everything that is needed to load it, and how it came about.
public struct CheckpointConfiguration: Codable, Sendable {
  /// The version of this file's layout.
  public var formatVersion = 1
  public var imageTokenizer: ImageTokenizerConfiguration?
  public var prior: PriorConfiguration?
  public var data: DataDescription?
  /// The words of all training captions, sorted, a space between them, for telling which words of a prompt were never
  /// seen.
  public var captionWords: String?
  public var tokenizerTraining: TrainingSummary?
  public var priorTraining: TrainingSummary?
  /// The runs before that one, whose weights it began with.
  public var earlierPriorTraining: [TrainingSummary]?
  public var ranker: Ranker.Configuration?
  public var rankerTraining: TrainingSummary?

  /// The runs that made the prior, the first one first.
  public var priorRuns: [TrainingSummary] { (earlierPriorTraining ?? []) + [priorTraining].compactMap(\.self) }

  public init() {}

  /// - Parameter path: the file that `json` comes from, for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it is not a configuration of this version or makes no sense.
  init(json: Data, of path: String) throws(PipelineError) {
    struct Version: Decodable { var formatVersion: Int }
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      // The version first: in another one, anything else may be different.
      let version = try decoder.decode(Version.self, from: json).formatVersion
      guard version == 1 else {
        throw PipelineError(.badData, "it has the format version \(version), and this program reads 1")
      }
      self = try decoder.decode(Self.self, from: json)
    } catch let error as PipelineError {
      throw PipelineError(error.kind, "\(path): \(error.message)")
    } catch {
      throw PipelineError(.badData, "\(path) is not a checkpoint's configuration: \(Self.explain(error))")
    }
    try validate(of: path)
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" is of the wrong type"
    case DecodingError.dataCorrupted(let context): context.debugDescription
    default: "\(error)"
    }
  }

  func json() throws(PipelineError) -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { return try encoder.encode(self) } catch {
      throw PipelineError(.inputOutput, "cannot describe the checkpoint: \(error)")
    }
  }

  /// - Parameter source: what the message calls the place where the shapes come from.
  /// - Throws: `PipelineError` of kind `.badData` where a shape makes no sense.
  package func validate(of source: String) throws(PipelineError) {
    guard imageTokenizer?.isSensible ?? true else {
      throw PipelineError(.badData, "\(source): the image tokenizer's shape makes no sense")
    }
    guard prior?.isSensible ?? true else {
      throw PipelineError(.badData, "\(source): the prior's shape makes no sense")
    }
    guard ranker?.isSensible ?? true else {
      throw PipelineError(.badData, "\(source): the ranker's shape makes no sense")
    }
  }

  /// The data set that a checkpoint was trained on.
  public struct DataDescription: Codable, Sendable, Equatable {
    public var name: String
    public var fingerprint: String
    public var fit: Picture.Fit
    public var trainPictures: Int
    public var validationPictures: Int
    public var testPictures: Int

    package init(_ dataSet: PictureDataSet) {
      name = dataSet.url.lastPathComponent
      fingerprint = dataSet.fingerprint
      fit = dataSet.fit
      trainPictures = dataSet.indices(of: .train).count
      validationPictures = dataSet.indices(of: .validation).count
      testPictures = dataSet.indices(of: .test).count
    }
  }

  /// Retrieval@1 on the validation split in the course of a run.
  public struct RetrievalProgress: Codable, Sendable, Equatable {
    /// The share whose own picture was the nearest when it was last measured.
    public var at1: Double
    /// Minutes of the run until at least half were; nil while fewer are.
    public var minutesToHalf: Double?

    package init(at1: Double, minutesToHalf: Double? = nil) { (self.at1, self.minutesToHalf) = (at1, minutesToHalf) }

    /// With a new measurement.
    package func adding(at1: Double, seconds: Double) -> Self {
      Self(at1: at1, minutesToHalf: minutesToHalf ?? (at1 >= 0.5 ? (seconds / 6).rounded() / 10 : nil))
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
    /// Validation PSNR (dB) of a tokenizer, validation loss (nats an image token) of a prior, validation retrieval (the
    /// share of right answers, in 0 ... 1) of a ranker.
    public var validation: Double?
    /// How well a prior's pictures are found by `Evaluation.retrieval`, for validation captions; nil where it was not
    /// measured.
    public var retrieval: RetrievalProgress?
  }
}

/// How stage 1 is learnt.
public enum ImageTokenizerKind: String, Codable, Sendable, CaseIterable {
  case vqvae, vqvae2, dvae

  /// What a person calls it.
  public var name: String {
    switch self {
    case .vqvae: "VQ-VAE"
    case .vqvae2: "VQ-VAE-2"
    case .dvae: "discrete VAE"
    }
  }
}

/// The kind of a stage 1 model and its shape. In JSON, the shape's fields stand beside `kind`.
public enum ImageTokenizerConfiguration: Codable, Sendable, Equatable {
  case vqvae(VQVAE.Configuration)
  case vqvae2(VQVAE2.Configuration)
  case dvae(DiscreteVAE.Configuration)

  private enum CodingKeys: String, CodingKey { case kind }

  public var kind: ImageTokenizerKind {
    switch self {
    case .vqvae: .vqvae
    case .vqvae2: .vqvae2
    case .dvae: .dvae
    }
  }

  public init(from decoder: any Decoder) throws {
    let kind = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .kind)
    switch ImageTokenizerKind(rawValue: kind) {
    case .vqvae: self = .vqvae(try VQVAE.Configuration(from: decoder))
    case .vqvae2: self = .vqvae2(try VQVAE2.Configuration(from: decoder))
    case .dvae: self = .dvae(try DiscreteVAE.Configuration(from: decoder))
    case nil:
      throw PipelineError(.badData, "the image tokenizer is of kind \(kind), which this version does not know")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .kind)
    switch self {
    case .vqvae(let configuration): try configuration.encode(to: encoder)
    case .vqvae2(let configuration): try configuration.encode(to: encoder)
    case .dvae(let configuration): try configuration.encode(to: encoder)
    }
  }

  /// Pixels a side.
  public var pictureSize: Int {
    switch self {
    case .vqvae(let c): c.pictureSize
    case .vqvae2(let c): c.pictureSize
    case .dvae(let c): c.pictureSize
    }
  }

  /// A model with initial weights.
  public func makeModel(seed: UInt64) -> any ImageTokenizer {
    switch self {
    case .vqvae(let configuration): VQVAE(configuration, seed: seed)
    case .vqvae2(let configuration): VQVAE2(configuration, seed: seed)
    case .dvae(let configuration): DiscreteVAE(configuration, seed: seed)
    }
  }

  /// The shape in words.
  public var summary: String {
    func words(
      _ size: Int, _ sides: [Int], depth: Int = 1, _ codes: Int, _ channels: Int, _ blocks: Int
    ) -> String {
      let grids =
        sides.map { "\($0)×\($0)" }.joined(separator: " and ") + (depth > 1 ? " places with \(depth) residual" : "")
      return "\(size)×\(size) pixels in \(grids) tokens of \(codes) codes; \(channels) channels, "
        + "\(blocks) residual blocks a \(sides.count == 1 ? "side" : "network")"
    }
    return switch self {
    case .vqvae(let c):
      words(
        c.pictureSize, [c.pictureSize / c.patchSize], depth: c.codesPerPlace, c.codes, c.channels, c.blocks)
    case .dvae(let c): words(c.pictureSize, [c.pictureSize / c.patchSize], c.codes, c.channels, c.blocks)
    case .vqvae2(let c): words(c.pictureSize, c.gridSides, c.codes, c.channels, c.blocks)
    }
  }

  /// - Parameter kind: of the prior.
  /// - Throws: `PipelineError` of kind `.usage` where none of this kind, or of any, can learn these tokens.
  public func checkSuitsPrior(_ kind: PriorKind) throws(PipelineError) {
    if kind == .pixelcnn, case .vqvae(let c) = self, c.codesPerPlace > 1 {
      throw PipelineError(
        .usage,
        "a pixelcnn learns one token a place, and the image tokenizer has \(c.codesPerPlace); "
          + "leave --kind out or train a tokenizer with: dalle-cli train-tokenizer --preset small")
    }
    if case .vqvae2 = self {
      throw PipelineError(
        .usage,
        "train-prior needs one grid of tokens, and the image tokenizer is a vqvae2 with several; "
          + "train one with: dalle-cli train-tokenizer --kind vqvae (or dvae)")
    }
  }

  /// Whether a model of this shape can be made.
  package var isSensible: Bool {
    func isSensible(size: Int, patch: Int, channels: Int, blocks: Int, codes: Int, codeDimensions: Int) -> Bool {
      (1...1024).contains(size) && (1...size).contains(patch) && size % patch == 0 && size / patch <= 256
        && (1...4096).contains(channels) && (0...64).contains(blocks) && (2...(1 << 20)).contains(codes)
        && (1...4096).contains(codeDimensions)
    }
    switch self {
    case .vqvae(let c):
      return isSensible(
        size: c.pictureSize, patch: c.patchSize, channels: c.channels, blocks: c.blocks, codes: c.codes,
        codeDimensions: c.codeDimensions)
        && c.commitment.isFinite && (1...64).contains(c.codesPerPlace) && c.networkPatchSize >= 1
        && c.patchSize % c.networkPatchSize == 0 && c.codeDimensions % (c.placeSide * c.placeSide) == 0
        && (c.network == .patches || c.networkPatchSize.nonzeroBitCount == 1)
    case .vqvae2(let c):
      return isSensible(
        size: c.pictureSize, patch: c.patchSize, channels: c.channels, blocks: c.blocks, codes: c.codes,
        codeDimensions: c.codeDimensions)
        && (2...3).contains(c.levels) && (c.pictureSize / c.patchSize) % (1 << (c.levels - 1)) == 0
        && c.commitment.isFinite && (0...1).contains(c.levelDropout)
    case .dvae(let c):
      return isSensible(
        size: c.pictureSize, patch: c.patchSize, channels: c.channels, blocks: c.blocks, codes: c.codes,
        codeDimensions: c.codeDimensions)
        && (0...1000).contains(c.logitScale) && c.klWeight >= 0 && c.klWeight.isFinite && (0...1).contains(c.klShare)
        && (1e-3...1).contains(c.finalTemperature) && (0...1).contains(c.temperatureShare)
    }
  }

  /// A bound that is cheap to have: the model has at least so many parameters.
  package var leastParameterCount: Int {
    // Each counts what 3×3 kernels there are, two in each block, and the codebook: with its sums where it is an average.
    switch self {
    case .vqvae(let c):
      // With patches also the stems and the end; with strides one kernel in each block and one in the encoder's middle.
      2 * c.codesPerPlace * c.codes * c.codeDimensions + 9 * c.channels
        * (c.network == .patches
          ? 4 * c.blocks * c.channels + 6 * c.networkPatchSize * c.networkPatchSize + c.networkDimensions
          : (2 * c.blocks + 1) * c.channels)
    case .dvae(let c):
      c.codes * c.codeDimensions + 9 * c.channels
        * (4 * c.blocks * c.channels + 9 * c.patchSize * c.patchSize + c.codeDimensions)
    case .vqvae2(let c):
      // L encoders, L - 1 networks between the levels and the decoder; gathering and scattering two places a side has four
      // times the channels, which the last one of a network has with a 1×1 kernel.
      2 * c.levels * c.codes * c.codeDimensions + 9 * c.channels
        * (4 * c.levels * c.blocks * c.channels + 6 * c.patchSize * c.patchSize + c.levels * c.codeDimensions
          + (4 * (c.levels - 1) + c.levels) * c.channels)
        + c.channels * c.channels * (c.levels + 4 * (c.levels - 1))
    }
  }
}

/// How stage 2 is built.
public enum PriorKind: String, Codable, Sendable, CaseIterable {
  case transformer, pixelcnn
}

/// The kind of a stage 2 model and its shape. In JSON, the shape's fields stand beside `kind`, which may be missing: the
/// first version of this file knew the transformer alone.
public enum PriorConfiguration: Codable, Sendable, Equatable {
  case transformer(TransformerPrior.Configuration)
  case pixelcnn(PixelCNN.Configuration)

  private enum CodingKeys: String, CodingKey { case kind }

  public var kind: PriorKind {
    switch self {
    case .transformer: .transformer
    case .pixelcnn: .pixelcnn
    }
  }

  public init(from decoder: any Decoder) throws {
    let kind = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .kind)
    switch PriorKind(rawValue: kind ?? PriorKind.transformer.rawValue) {
    case .transformer: self = .transformer(try TransformerPrior.Configuration(from: decoder))
    case .pixelcnn: self = .pixelcnn(try PixelCNN.Configuration(from: decoder))
    case nil: throw PipelineError(.badData, "the prior is of kind \(kind ?? ""), which this version does not know")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .kind)
    switch self {
    case .transformer(let configuration): try configuration.encode(to: encoder)
    case .pixelcnn(let configuration): try configuration.encode(to: encoder)
    }
  }

  /// What both kinds have in common.
  public struct Frame: Sendable, Equatable {
    public var textLength: Int
    public var textVocabulary: Int
    public var gridSide: Int
    public var codesPerPlace = 1
    public var imageVocabulary: Int
    public var dropout: Float

    /// Image tokens a picture.
    public var imageLength: Int { gridSide * gridSide * codesPerPlace }
  }

  public var frame: Frame {
    get {
      switch self {
      case .transformer(let c):
        Frame(
          textLength: c.textLength, textVocabulary: c.textVocabulary, gridSide: c.gridSide,
          codesPerPlace: c.codesPerPlace, imageVocabulary: c.imageVocabulary, dropout: c.dropout)
      case .pixelcnn(let c):
        Frame(
          textLength: c.textLength, textVocabulary: c.textVocabulary, gridSide: c.gridSide,
          imageVocabulary: c.imageVocabulary, dropout: c.dropout)
      }
    }
    set {
      switch self {
      case .transformer(var c):
        (c.textLength, c.textVocabulary, c.gridSide) = (newValue.textLength, newValue.textVocabulary, newValue.gridSide)
        (c.imageVocabulary, c.dropout) = (newValue.imageVocabulary, newValue.dropout)
        c.depth = newValue.codesPerPlace > 1 ? newValue.codesPerPlace : nil
        self = .transformer(c)
      case .pixelcnn(var c):
        (c.textLength, c.textVocabulary, c.gridSide) = (newValue.textLength, newValue.textVocabulary, newValue.gridSide)
        (c.imageVocabulary, c.dropout) = (newValue.imageVocabulary, newValue.dropout)
        self = .pixelcnn(c)
      }
    }
  }

  /// A model with initial weights.
  public func makeModel(seed: UInt64) -> any Prior {
    switch self {
    case .transformer(let configuration): TransformerPrior(configuration, seed: seed)
    case .pixelcnn(let configuration): PixelCNN(configuration, seed: seed)
    }
  }

  /// The shape in words, but for the text.
  public var summary: String {
    switch self {
    case .transformer(let c):
      "\(c.width) wide, \(c.layers) layers, \(c.heads) heads" + (c.attention.map { ", attention \($0.list)" } ?? "")
    case .pixelcnn(let c): "\(c.channels) wide, \(c.layers) layers that reach \(c.reach) places"
    }
  }

  /// Whether a model of this shape can be made, for a checkpoint's captions and its one grid.
  package var isSensible: Bool {
    switch self {
    case .transformer(let c): c.isSensible
    case .pixelcnn(let c):
      c.isSensible && (2...4096).contains(c.textLength) && (256...10_000_000).contains(c.textVocabulary)
        && c.upperGridSides.isEmpty
    }
  }

  /// A bound that is cheap to have: the model has at least so many parameters.
  package var leastParameterCount: Int {
    switch self {
    case .transformer(let c): c.leastParameterCount
    case .pixelcnn(let c): c.leastParameterCount
    }
  }
}

extension PixelCNN.Configuration {
  /// Whether a model of this shape can be made.
  package var isSensible: Bool {
    (0...4096).contains(textLength) && (textLength == 0 || (1...10_000_000).contains(textVocabulary))
      && (1...256).contains(gridSide) && (2...(1 << 20)).contains(imageVocabulary) && (1...4096).contains(channels)
      && (1...256).contains(layers) && (1...16).contains(reach) && (0..<1).contains(dropout)
      && upperGridSides.count <= 8 && upperGridSides.allSatisfy { (1...gridSide).contains($0) && gridSide % $0 == 0 }
  }

  /// A bound that is cheap to have: the model has at least so many parameters.
  package var leastParameterCount: Int {
    // The layers' kernels and matrices, embeddings and the head.
    let kernels = 2 * (reach + 1) * (2 * reach + 1) + 2 * (reach + 1) + 5
    let conditions = (textLength > 0 ? 4 : 0) + (upperGridSides.isEmpty ? 0 : 4)
    return channels * channels * (layers * (kernels + conditions) + 2)
      + channels * (3 * imageVocabulary + (textLength > 0 ? textVocabulary + textLength + 2 * channels : 0))
  }
}

extension TransformerPrior.Configuration {
  /// Whether a model of this shape can be made.
  package var isSensible: Bool {
    (2...4096).contains(textLength) && (1...256).contains(gridSide) && (256...10_000_000).contains(textVocabulary)
      && (2...(1 << 20)).contains(imageVocabulary) && (1...64).contains(codesPerPlace)
      && imageVocabulary % codesPerPlace == 0 && (1...16384).contains(width) && (1...256).contains(layers)
      && (1...width).contains(heads) && width % heads == 0 && (0..<1).contains(dropout)
      && attention.map { !$0.isEmpty } ?? true
  }

  /// A bound that is cheap to have: the model has at least so many parameters.
  package var leastParameterCount: Int {
    // The blocks' matrices, embeddings and heads.
    width
      * (12 * width * layers + 2 * textVocabulary + 2 * imageVocabulary + 2 * textLength + 2 * gridSide
        + (codesPerPlace - 1) * (8 * width + codes))
  }
}

extension Ranker.Configuration {
  /// Whether a model of this shape can be made.
  package var isSensible: Bool {
    (1...4096).contains(textLength) && (256...10_000_000).contains(textVocabulary) && (1...1024).contains(pictureSize)
      && (1...pictureSize).contains(patchSize) && pictureSize % patchSize == 0 && (1...16384).contains(width)
      && (1...256).contains(layers) && (1...width).contains(heads) && width % heads == 0
      && (1...4096).contains(channels) && (0...64).contains(blocks) && (1...4096).contains(embeddingWidth)
      && (0..<1).contains(dropout)
  }

  /// A bound that is cheap to have: the model has at least so many parameters.
  package var leastParameterCount: Int {
    // The towers' embeddings, matrices and kernels, and what each ends in.
    width * (12 * width * layers + textVocabulary + 2 * textLength + embeddingWidth)
      + channels * (27 * patchSize * patchSize + 18 * channels * blocks + embeddingWidth)
  }

  /// The shape in words.
  public var summary: String {
    "\(width) wide, \(layers) layers, \(heads) heads; \(channels) channels, \(blocks) residual blocks; "
      + "\(embeddingWidth) dimensions"
  }
}

/// How large the models are, and how long they are trained.
///
/// `base`, the one where nothing is said, has 8×8 places of four residual codes, which reconstruct as well as 16×16 tokens
/// and leave the prior a sequence of 64. `small` has one code a place: coarser pictures in half the time. `tiny` is for trying
/// things out.
public enum Preset: String, CaseIterable, Sendable, Codable {
  case tiny, small, base

  /// Of stage 1, where nothing else is said.
  package var tokenizerDefaults: (batchSize: Int, minutes: Double) { self == .base ? (16, 25) : (32, 15) }
  /// Of stage 2. Small steps at a high rate: what one caption alone can teach is learnt in fewer passes than with larger
  /// batches. Few pictures are passed over as often in less time.
  package func priorDefaults(pictures: Int) -> (batchSize: Int, minutes: Double) {
    let share = min(1, max(0.25, Double(pictures) / 1500))
    return (16, (share * (self == .base ? 80 : 30)).rounded())
  }

  /// Of the ranker: large batches, in which each caption has many wrong pictures to be told apart from.
  package var rankerDefaults: (batchSize: Int, minutes: Double) { (128, 10) }

  /// Stage 1.
  public func imageTokenizer(_ kind: ImageTokenizerKind = .vqvae) -> ImageTokenizerConfiguration {
    switch kind {
    case .vqvae:
      var c = VQVAE.Configuration()
      switch self {
      case .tiny: (c.channels, c.blocks, c.codes) = (128, 2, 512)
      case .small: (c.channels, c.blocks) = (256, 2)
      // Convolutions at the grid of 16×16, where they reconstruct best in a fixed time.
      case .base: (c.convolutionPatchSize, c.channels, c.blocks, c.depth) = (4, 128, 2, 4)
      }
      return .vqvae(c)
    case .dvae:
      var c = DiscreteVAE.Configuration()
      switch self {
      case .tiny: (c.channels, c.blocks, c.codes) = (128, 2, 512)
      case .small: (c.channels, c.blocks) = (256, 2)
      case .base: (c.channels, c.blocks) = (256, 3)
      }
      return .dvae(c)
    case .vqvae2:
      // The finest grid has four times the places of the others: half the width does the same work.
      var c = VQVAE2.Configuration()
      switch self {
      case .tiny: (c.channels, c.blocks, c.codes) = (64, 1, 256)
      case .small: (c.channels, c.blocks) = (128, 1)
      case .base: (c.channels, c.blocks) = (128, 2)
      }
      return .vqvae2(c)
    }
  }

  /// Stage 2; the vocabularies and the grid are those of the tokenizers.
  public func prior(_ kind: PriorKind = .transformer) -> PriorConfiguration {
    switch kind {
    case .transformer:
      var c = TransformerPrior.Configuration()
      switch self {
      case .tiny: (c.width, c.layers, c.heads) = (192, 4, 3)
      // In a fixed time on some thousands of pictures, wider and deeper ones make too few steps.
      case .small, .base: (c.width, c.layers, c.heads) = (256, 6, 4)
      }
      return .transformer(c)
    case .pixelcnn:
      var c = PixelCNN.Configuration()
      switch self {
      case .tiny: (c.channels, c.layers) = (64, 5)
      case .small: (c.channels, c.layers) = (128, 6)
      case .base: (c.channels, c.layers) = (160, 8)
      }
      return .pixelcnn(c)
    }
  }
}

extension Preset {
  /// The ranker; vocabulary, text length and picture size are those of the checkpoint.
  public var ranker: Ranker.Configuration {
    var c = Ranker.Configuration()
    if self == .tiny { (c.width, c.layers, c.heads, c.channels, c.blocks, c.embeddingWidth) = (64, 2, 2, 64, 2, 64) }
    return c
  }
}

/// How one stage is trained. What is left at nil is chosen by the stage.
public struct TrainingSettings: Codable, Sendable, Equatable {
  /// `base` for stage 1, and as stage 1 was trained for what follows, where nil.
  public var preset: Preset?
  /// Of a tokenizer's run; the VQ-VAE where nil.
  public var imageTokenizerKind: ImageTokenizerKind?
  /// Of a prior's run; the transformer where nil.
  public var priorKind: PriorKind?
  public var bound: TrainingBound?
  public var batchSize: Int?
  public var learningRate: Float?
  public var seed: UInt64 = 0
  /// Steps between two saves; nil saves every ninety seconds.
  public var saveEvery: Int?
  public var augmentation: Augmentation?
  /// Of captions: the probability of training without one, which guidance needs.
  public var captionDropout: Float = 0.1
  /// In what forms captions are read. A new run of a prior or a ranker takes all for nil; with none, captions are read as
  /// they stand.
  public var captionForms: [CaptionForms.Kind]?
  /// Of merges when a caption is encoded (Provilkov et al. 2020).
  public var mergeDropout: Float = 0
  /// Of the places before: the probability that random tokens stand in the place of theirs.
  public var imageCorruption: Float = 0.15
  /// Of the further codes of a place, where those before them are right: the probability that they are random. A new
  /// run where places have several codes takes ``standardRefinementCorruption`` for nil.
  public var refinementCorruption: Float?
  public static let standardRefinementCorruption: Float = 0.3
  /// Whether a prior's run begins with the weights that the checkpoint holds.
  public var isWarmStart = false
  /// Of the text vocabulary.
  public var vocabularySize = 8192
  /// Text tokens of the prior.
  public var textLength: Int?
  public var dropout: Float?
  /// What the image tokens of a transformer's layers see of each other, repeated to the number of layers; the preset's
  /// where nil.
  public var attention: [AttentionKind]?
  /// Of the moving average of the prior's weights, which is what is saved; 0 keeps none.
  public var averageDecay: Float = 0

  public init() {}

  /// What is done to training pictures where a run's settings say nothing else.
  public static func standardAugmentation(of stage: Stage) -> Augmentation {
    stage == .prior ? .none : Augmentation(maximumShift: 0.06, maximumScaling: 0.06)
  }

  /// The preset of a run that has begun, and of one that does not say.
  public var chosenPreset: Preset { preset ?? .base }

  /// Chooses what was left open, and tells what holds.
  package mutating func fill(
    _ defaults: (batchSize: Int, minutes: Double), learningRate defaultRate: Float,
    augmentation defaultAugmentation: Augmentation
  ) -> (batchSize: Int, bound: TrainingBound, learningRate: Float, augmentation: Augmentation) {
    let batchSize = batchSize ?? defaults.batchSize
    let bound = bound ?? .minutes(defaults.minutes)
    let learningRate = learningRate ?? defaultRate
    let augmentation = augmentation ?? defaultAugmentation
    (self.batchSize, self.bound, self.learningRate) = (batchSize, bound, learningRate)
    self.augmentation = augmentation
    return (batchSize, bound, learningRate, augmentation)
  }

  /// As a person would give them.
  package var flags: String {
    var flags = ["--preset \(chosenPreset.rawValue)"]
    if let batchSize { flags.append("--batch-size \(batchSize)") }
    if let learningRate { flags.append("--learning-rate \(learningRate)") }
    flags.append("--seed \(seed)")
    if let kind = imageTokenizerKind?.rawValue ?? priorKind?.rawValue { flags.append("--kind \(kind)") }
    return flags.joined(separator: " ")
  }

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
    if let attention { try check(!attention.isEmpty, "--attention names no kind of attention") }
    if let augmentation {
      for (name, value) in [
        ("--maximum-shift", augmentation.maximumShift), ("--maximum-scaling", augmentation.maximumScaling),
      ] {
        try check((0..<1).contains(value), "\(name) must be 0 up to 1, not \(value)")
      }
    }
    try check((0...1).contains(captionDropout), "--caption-dropout must be 0 to 1, not \(captionDropout)")
    try check((0...1).contains(imageCorruption), "--image-corruption must be 0 to 1, not \(imageCorruption)")
    if let refinementCorruption {
      try check(
        (0...1).contains(refinementCorruption), "--refinement-corruption must be 0 to 1, not \(refinementCorruption)")
    }
    try check((0...1).contains(mergeDropout), "--merge-dropout must be 0 to 1, not \(mergeDropout)")
    try check((0..<1).contains(averageDecay), "--average-decay must be 0 up to 1, not \(averageDecay)")
    try check(
      (256...1_000_000).contains(vocabularySize),
      "--vocabulary-size must be 256 to 1000000, not \(vocabularySize)")
    try bound?.validate()
  }
}

extension Array where Element: RawRepresentable<String> & CaseIterable {
  /// - Parameters:
  ///   - list: the kinds with commas between them.
  ///   - setting: what the message calls what they are for.
  /// - Throws: `PipelineError` of kind `.usage` where one is none.
  public init(list: String, setting: String) throws(PipelineError) {
    self = []
    for name in list.split(separator: ",", omittingEmptySubsequences: false) {
      guard let kind = Element(rawValue: String(name)) else {
        let known = Element.allCases.map(\.rawValue)
        throw PipelineError(
          .usage,
          "\(setting) must be a list of \(known.joined(separator: ", ")) with commas between, such as "
            + "\(known.suffix(2).joined(separator: ",")), not \"\(list)\"")
      }
      append(kind)
    }
  }

  /// The kinds with commas between them.
  public var list: String { map(\.rawValue).joined(separator: ",") }
}

/// Where training ends. The learning rate is annealed towards it, whichever it is.
public enum TrainingBound: Codable, Sendable, Equatable {
  case steps(Int)
  case epochs(Double)
  case minutes(Double)

  private enum CodingKeys: CodingKey { case steps, epochs, minutes }

  /// An object with one of the three as its key.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let count = try container.decodeIfPresent(Int.self, forKey: .steps) {
      self = .steps(count)
    } else if let count = try container.decodeIfPresent(Double.self, forKey: .epochs) {
      self = .epochs(count)
    } else {
      self = .minutes(try container.decode(Double.self, forKey: .minutes))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .steps(let count): try container.encode(count, forKey: .steps)
    case .epochs(let count): try container.encode(count, forKey: .epochs)
    case .minutes(let count): try container.encode(count, forKey: .minutes)
    }
  }

  /// - Throws: `PipelineError` of kind `.usage` where it is not a positive number.
  package func validate() throws(PipelineError) {
    let (name, least, value): (String, String, Double) =
      switch self {
      case .steps(let count): ("steps", "1 or more", Double(count))
      case .epochs(let count): ("epochs", "above 0", count)
      case .minutes(let count): ("minutes", "above 0", count)
      }
    guard value > 0, value.isFinite else {
      throw PipelineError(.usage, "--\(name) must be \(least), not \(value.formatted())")
    }
  }

  /// A part of the run: at least one step where it is bounded by their number.
  package func part(_ share: Double) -> TrainingBound {
    switch self {
    case .steps(let count): .steps(max(1, Int((Double(count) * share).rounded())))
    case .epochs(let count): .epochs(count * share)
    case .minutes(let count): .minutes(count * share)
    }
  }

  /// The share of the run that is done, 1 or more at its end.
  package func progress(step: Int, stepsPerEpoch: Double, seconds: Double) -> Double {
    switch self {
    case .steps(let count): Double(step) / Double(count)
    case .epochs(let count): Double(step) / max(1, (count * stepsPerEpoch).rounded())
    case .minutes(let count): seconds / (60 * count)
    }
  }
}
