import Basics
import NN

/// The shape of a stage 1 model.
public protocol ImageTokenizerConfiguration: ListedConfiguration {
  /// Of a shape that is valid.
  var layout: TokenLayout { get }
  /// The same model for pictures of another size, which one of convolutions alone takes.
  /// - Returns: nil where it takes none of that size.
  func resized(to pictureSize: Int) -> Self?
  /// A model with trained weights.
  /// - Throws: `PipelineError` of kind `.badData` where they are not those of such a model.
  func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any ImageTokenizer
}

/// The shape of a stage 1 model that is trained here.
public protocol TrainableImageTokenizerConfiguration: ImageTokenizerConfiguration, TrainableConfiguration {
  associatedtype Model: TrainableImageTokenizer where Model.Configuration == Self

  /// The shape of a preset for pictures of a size, a multiple of 32 pixels a side: so many places of tokens as stage 2 can learn,
  /// and convolutions as fine as pay.
  static func preset(_ preset: Preset, pictureSize: Int) -> Self

  /// The shape for pictures of some dozen pixels a side, such as digits; nil where pictures of that size have no grid that does.
  static func small(pictureSize: Int) -> Self?
}

/// How stage 1 can be learnt.
public enum ImageTokenizerKinds: ModelKinds {
  public typealias Configuration = any ImageTokenizerConfiguration
  public typealias Trainable = any TrainableImageTokenizerConfiguration
  public static let noun = "image tokenizer"
  public static let implied: String? = nil
  public static let all: [any ListedConfiguration.Type] = [
    VQVAE.Configuration.self,
    VQVAE2.Configuration.self,
    DiscreteVAE.Configuration.self,
    VQGAN.Configuration.self,
  ]
}

public typealias ImageTokenizerKind = Kind<ImageTokenizerKinds>
public typealias AnyImageTokenizerConfiguration = AnyConfiguration<ImageTokenizerKinds>

extension ImageTokenizerConfiguration {
  public func resized(to pictureSize: Int) -> Self? { pictureSize == layout.pictureSize ? self : nil }
}

extension Preset {
  /// Pixels a side of the pictures, where nothing is said.
  public var pictureSize: Int { 64 }
}

extension ImageTokenizerKind {
  /// The shape of a preset for pictures of a size; see ``TrainableImageTokenizerConfiguration/preset(_:pictureSize:)``.
  /// - Throws: `PipelineError` of kind `.usage` where models of this kind are not trained here.
  public func preset(
    _ preset: Preset, pictureSize: Int
  ) throws(PipelineError) -> any TrainableImageTokenizerConfiguration {
    guard let type = type as? any TrainableImageTokenizerConfiguration.Type else { return try self.preset(preset) }
    return type.preset(preset, pictureSize: pictureSize)
  }

  /// The shape of this kind for small pictures; see ``TrainableImageTokenizerConfiguration/small(pictureSize:)``.
  public func small(pictureSize: Int) -> AnyImageTokenizerConfiguration? {
    guard let type = type as? any TrainableImageTokenizerConfiguration.Type else { return nil }
    return type.small(pictureSize: pictureSize).map { AnyConfiguration($0) }
  }
}

extension TrainableImageTokenizerConfiguration {
  public static func preset(_ preset: Preset) -> Self { self.preset(preset, pictureSize: preset.pictureSize) }

  public func makeModel(_ initializer: Initializer) -> Model { Model(self, initializer) }

  /// A model with initial weights.
  public func makeModel(seed: UInt64) -> Model { makeModel(Initializer(seed: seed)) }

  public func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any ImageTokenizer {
    try Model(self, reading: weights)
  }

  /// The fields that all kinds have.
  /// - Throws: `PipelineError` of kind `.badData` naming the first that makes no sense.
  func checkShape(
    pictureSize: Int, patchSize: Int, channels: Int, blocks: Int, codes: Int, codeDimensions: Int
  ) throws(PipelineError) {
    try check("picture_size", pictureSize, in: 1...1024)
    try check("patch_size", patchSize, in: 1...pictureSize)
    try check("patch_size", patchSize, divides: "picture_size", pictureSize)
    try check(pictureSize / patchSize <= 256, "picture_size \(pictureSize) has more than 256 patches a side")
    try check("channels", channels, in: 1...4096)
    try check("blocks", blocks, in: 0...64)
    try check("codes", codes, in: 2...1 << 20)
    try check("code_dimensions", codeDimensions, in: 1...4096)
  }

  /// Places a side of the token grid for pictures of a size. Stage 2 takes as long as there are places, so there are eight as
  /// long as codes can say what these hold.
  static func places(pictureSize: Int) -> Int { pictureSize <= 128 ? 8 : 16 }

  /// Pixels a side of the largest patch that leaves a small picture eight places a side, in an even number where `isEven`; nil
  /// where there is none.
  static func smallPatchSize(pictureSize: Int, isEven: Bool = false) -> Int? {
    guard (1...256).contains(pictureSize) else { return nil }
    return (1...pictureSize).last {
      pictureSize % $0 == 0 && (pictureSize / $0 >= 8 || $0 == 1) && (!isEven || pictureSize / $0 % 2 == 0)
    }
  }
}
