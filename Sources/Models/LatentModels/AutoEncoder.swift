import ArrayFiles
import Basics
import LinearAlgebra
import NN
import TensorCore

/// The auto-encoder: codes that a picture can be made from again.
///
///     z = encoder(x),     x̂ = decoder(z),     L = ‖x - x̂‖²
///
/// It has no distribution over its codes, and so none over x: it cannot draw, and has no likelihood. A density over the
/// codes makes it draw; see ``GenerativeAutoEncoder``.
public struct AutoEncoder: SavedModel, GradientTrainedModel, CodedModel {
  public struct Configuration: Codable, Sendable, Equatable {
    /// D
    public var dimensions = 0
    /// The number of elements of a code.
    public var latentDimensions = 32
    public var network = RowNetworkKind.dense
    /// The width of hidden layers, or the channels of the picture networks.
    public var width = 512
    /// Hidden layers or residual blocks on each side; without hidden layers the codes are principal components'.
    public var depth = 2
    /// Pixels a side of the patches of the picture networks.
    public var patchSize = 4

    public init(dimensions: Int = 0) { self.dimensions = dimensions }

    func check(_ kind: PipelineError.Kind) throws(PipelineError) {
      guard (1...1 << 20).contains(dimensions), (1...1 << 14).contains(latentDimensions),
        (1...1 << 14).contains(width), (0...64).contains(depth)
      else { throw PipelineError(kind, "an auto-encoder of this shape is not possible: \(self)") }
      if network == .picture { try checkPictures(dimensions, patchSize: patchSize, kind) }
    }
  }

  public static let name = "auto-encoder"
  public let configuration: Configuration
  public let encoder: any RowNetwork
  public let decoder: any RowNetwork

  /// - Throws: `PipelineError` of kind `.usage` for a shape that is not possible.
  public init(_ configuration: Configuration, seed: UInt64) throws(PipelineError) {
    try configuration.check(.usage)
    self.init(checked: configuration, Initializer(seed: seed))
  }

  private init(checked c: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    configuration = c
    (encoder, decoder) = rowNetworks(
      c.network, dimensions: c.dimensions, width: c.width, depth: c.depth, patchSize: c.patchSize,
      outputs: c.latentDimensions, inputs: c.latentDimensions, numbersPerElement: 1, &initializer)
  }

  public var dimensions: Int { configuration.dimensions }
  public var likelihood: LikelihoodKind { .none }

  /// The mean squared error of an element.
  public func loss(_ x: Tensor, progress: Double, noise: NoiseStream, precision: ElementType) -> Tensor {
    meanSquaredError(decoder(encoder(x, precision: precision), precision: precision), x)
  }

  public var latentDimensions: Int { configuration.latentDimensions }
  public func code(_ x: Tensor) -> Tensor { encoder(x, precision: .float32) }
  public func mean(_ z: Tensor) -> Tensor { decoder(z, precision: .float32) }

  /// - Throws: always, `PipelineError` of kind `.usage`.
  public func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double] {
    throw PipelineError(.usage, "an auto-encoder has no likelihood: it says nothing of how likely its codes are")
  }

  /// - Throws: always, `PipelineError` of kind `.usage`.
  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    throw PipelineError(.usage, "an auto-encoder alone cannot draw: it needs a density over its codes")
  }

  public var tensors: [(name: String, tensor: Tensor)] { namedTensors() }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    try configuration.check(.badData)
    self.init(checked: configuration, .unread)
    try file.read(into: self)
  }
}

/// An auto-encoder made generative by a density over its codes, as a Gaussian mixture fitted to them: z ~ p(z),
/// x = decoder(z). All its x lie on the decoder's surface, so that there is still no density over ℝ^D.
public struct GenerativeAutoEncoder: EncodingModel {
  public let autoEncoder: AutoEncoder
  /// p(z), fitted to ``AutoEncoder/encode(_:)`` of the data.
  public let codeModel: any GenerativeModel

  /// - Throws: `PipelineError` of kind `.usage` where the code model has not as many dimensions as a code.
  public init(_ autoEncoder: AutoEncoder, codeModel: any GenerativeModel) throws(PipelineError) {
    guard codeModel.dimensions == autoEncoder.configuration.latentDimensions else {
      throw PipelineError(
        .usage,
        "codes have \(autoEncoder.configuration.latentDimensions) dimensions, and their model \(codeModel.dimensions)")
    }
    (self.autoEncoder, self.codeModel) = (autoEncoder, codeModel)
  }

  public var dimensions: Int { autoEncoder.dimensions }
  public var parameterCount: Int { autoEncoder.parameterCount + codeModel.parameterCount }
  public var likelihood: LikelihoodKind { .none }

  /// - Throws: always, `PipelineError` of kind `.usage`.
  public func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double] {
    try autoEncoder.logLikelihood(x, seed: seed)
  }

  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    let z = try codeModel.sample(count, seed: seed)
    return sampledRows(count, dimensions: dimensions) { rows in
      // The rows that fill up the last batch are left out again.
      let codes = rows.flatMap { z.row(min($0, count - 1)).map { Float($0) } }
      return autoEncoder.decoder(Tensor(codes, shape: [rows.count, z.columns]), precision: .float32)
    }
  }

  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix { try autoEncoder.reconstruct(x) }

  /// The codes, [N, Z], and what their model tells of them.
  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    let codes = try autoEncoder.encode(x)
    return [LatentArray(LatentArray.code, codes)] + (try (codeModel as? any EncodingModel)?.latentArrays(codes) ?? [])
  }
}
