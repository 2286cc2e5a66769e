import Basics
import Decoding
import NN
import TensorCore

/// The shape of a stage 2 model.
public protocol PriorConfiguration: ListedConfiguration {
  /// Text tokens that the model sees of a caption.
  var textLength: Int { get }
  /// The number of different text tokens.
  var textVocabulary: Int { get }
  /// Places a side of the image tokens' grid.
  var gridSide: Int { get }
  /// D, the number of image tokens at each place.
  var codesPerPlace: Int { get }
  /// The number of different image tokens, over all codes of a place.
  var imageVocabulary: Int { get }

  /// How the model draws where nothing is said.
  var sampling: SamplingOptions { get }
  /// The token that every prompt begins with, of a model that was trained elsewhere and wants its captions in a prompt.
  var beginningOfPrompt: Int32? { get }

  /// - Throws: as `validate()`, and where the model would not be one of captioned pictures.
  func validateForCaptions() throws(PipelineError)

  /// A model with trained weights.
  /// - Throws: `PipelineError` of kind `.badData` where they are not those of such a model.
  func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any Prior
}

/// The shape of a stage 2 model that is trained here.
public protocol TrainablePriorConfiguration: PriorConfiguration, TrainableConfiguration {
  associatedtype Model: TrainablePrior where Model.Configuration == Self

  var textLength: Int { get set }
  var textVocabulary: Int { get set }
  var layers: Int { get set }
  /// The probability of dropping an activation in training.
  var dropout: Float { get set }

  /// Makes it a model of these tokens.
  /// - Throws: `PipelineError` of kind `.usage` where this kind cannot learn them.
  mutating func learn(_ layout: TokenLayout) throws(PipelineError)
  /// Sets what the image tokens of each layer see of each other.
  /// - Throws: `PipelineError` of kind `.usage` where this kind has no attention.
  mutating func attend(_ attention: [AttentionKind]) throws(PipelineError)
}

/// How stage 2 can be built.
public enum PriorKinds: ModelKinds {
  public typealias Configuration = any PriorConfiguration
  public typealias Trainable = any TrainablePriorConfiguration
  public static let noun = "prior"
  /// The first version of `config.json` knew the transformer alone.
  public static let implied: String? = TransformerPrior.Configuration.kind
  public static let all: [any ListedConfiguration.Type] = [
    TransformerPrior.Configuration.self,
    PixelCNN.Configuration.self,
    Janus.Configuration.self,
  ]
}

public typealias PriorKind = Kind<PriorKinds>
public typealias AnyPriorConfiguration = AnyConfiguration<PriorKinds>

extension PriorConfiguration {
  /// Image tokens a picture.
  public var imageLength: Int { gridSide * gridSide * codesPerPlace }
  public var sampling: SamplingOptions { SamplingOptions() }
  public var beginningOfPrompt: Int32? { nil }

  public func validateForCaptions() throws(PipelineError) { try validateWithText() }

  /// The checks of the default ``validateForCaptions()``.
  func validateWithText() throws(PipelineError) {
    try validate()
    try check("text_length", textLength, in: 2...4096)
    try check("text_vocabulary", textVocabulary, in: 256...10_000_000)
  }

}

extension TrainablePriorConfiguration {
  public func makeModel(_ initializer: Initializer) -> Model { Model(self, initializer) }

  /// A model with initial weights.
  public func makeModel(seed: UInt64) -> Model { makeModel(Initializer(seed: seed)) }

  public func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any Prior {
    try Model(self, reading: weights)
  }

  public mutating func attend(_ attention: [AttentionKind]) throws(PipelineError) {
    throw PipelineError(.usage, "`attention` is for the transformer, and this prior is a \(Self.kind)")
  }

  /// The one grid of tokens.
  /// - Throws: `PipelineError` of kind `.usage` where there are several.
  func onlyGrid(of layout: TokenLayout) throws(PipelineError) -> Int {
    guard layout.gridSides.count == 1 else {
      throw PipelineError(
        .usage,
        "train-prior needs one grid of tokens, and the image tokenizer has \(layout.gridSides.count); "
          + "train one of `kind` vqvae or dvae")
    }
    return layout.gridSides[0]
  }
}
