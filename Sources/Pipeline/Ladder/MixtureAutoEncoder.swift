import ArrayFiles
import Basics
import LatentModels
import LinearAlgebra
import TensorCore

/// An auto-encoder with a Gaussian mixture over its codes, in one file; see `GenerativeAutoEncoder`.
public struct MixtureAutoEncoder: SavedModel, EncodingModel {
  public struct Configuration: Codable, Sendable {
    public var autoEncoder: AutoEncoder.Configuration
    public var codeModel: GaussianMixture.Configuration
  }

  public static let name = "generative-auto-encoder"
  public let configuration: Configuration
  private let codeModel: GaussianMixture
  private let model: GenerativeAutoEncoder
  package var autoEncoder: AutoEncoder { model.autoEncoder }

  /// - Parameters:
  ///   - autoEncoder: that gives the codes and decodes draws.
  ///   - codeModel: p(z), fitted to the codes of the data.
  /// - Throws: `PipelineError` of kind `.usage` where it has not as many dimensions as a code.
  public init(_ autoEncoder: AutoEncoder, codeModel: GaussianMixture) throws(PipelineError) {
    configuration = Configuration(autoEncoder: autoEncoder.configuration, codeModel: codeModel.configuration)
    self.codeModel = codeModel
    model = try GenerativeAutoEncoder(autoEncoder, codeModel: codeModel)
  }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    let codeModel = try GaussianMixture(configuration.codeModel, from: file)
    let autoEncoder = try AutoEncoder(
      configuration.autoEncoder, from: file.excluding(codeModel.matrices.map(\.name)))
    guard codeModel.dimensions == configuration.autoEncoder.latentDimensions else {
      throw PipelineError(.badData, "the mixture in the file is not one of the auto-encoder's codes")
    }
    try self.init(autoEncoder, codeModel: codeModel)
  }

  public var matrices: [(name: String, matrix: Matrix)] { codeModel.matrices }
  public var tensors: [(name: String, tensor: Tensor)] { model.autoEncoder.tensors }

  public var dimensions: Int { model.dimensions }
  public var parameterCount: Int { model.parameterCount }
  public var likelihood: LikelihoodKind { model.likelihood }

  /// - Throws: always, `PipelineError` of kind `.usage`.
  public func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double] {
    try model.logLikelihood(x, seed: seed)
  }

  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    try model.sample(count, seed: seed)
  }

  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] { try model.latentArrays(x) }

  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix { try model.reconstruct(x) }
}
