import ArrayFiles
import Basics
import Foundation
import LinearAlgebra
import NN
import TensorCore

/// The variational auto-encoder (Kingma & Welling 2014, "Auto-encoding variational Bayes").
///
///     z ~ N(0, I),     x ~ p(x | decoder(z))
///     q(z | x) = N(μ, diag σ²),     (μ, log σ²) = encoder(x)                                         (9)
///     z = μ + σ ⊙ ε,     ε ~ N(0, I)                                                    (section 2.4)
///     log p(x) ≥ E_q[log p(x | z)] - KL(q(z | x) ‖ p(z))                                             (3)
///     KL = ½ Σ (μ² + σ² - log σ² - 1)                                                      (appendix B)
///
/// Training weighs the KL by β (Higgins et al. 2017), which rises from zero over the first part of the run (Bowman et
/// al. 2016).
public struct VAE: SavedModel, GradientTrainedModel, CodedModel, ImportanceWeightedModel, EncodingModel,
  VariationalModel
{
  public struct Configuration: Codable, Sendable, Equatable {
    /// D
    public var dimensions = 0
    /// The number of elements of z.
    public var latentDimensions = 32
    public var likelihood = ObservationModel.Kind.gaussian
    /// Logistics in the mixture of a discretised likelihood.
    public var components = 3
    public var network = RowNetworkKind.dense
    /// The width of hidden layers, or the channels of the picture networks.
    public var width = 512
    /// Hidden layers or residual blocks on each side; without hidden layers the model is linear.
    public var depth = 2
    /// Pixels a side of the patches of the picture networks.
    public var patchSize = 4
    /// β
    public var klWeight: Float = 1
    /// The share of the run over which β rises from zero.
    public var warmUp = 0.1

    public init(dimensions: Int = 0) { self.dimensions = dimensions }

    func check(_ kind: PipelineError.Kind) throws(PipelineError) {
      guard (1...1 << 20).contains(dimensions), (1...1 << 14).contains(latentDimensions),
        (1...1 << 14).contains(width), (0...64).contains(depth), (1...64).contains(components),
        klWeight >= 0, klWeight.isFinite, (0...1).contains(warmUp)
      else { throw PipelineError(kind, "a VAE of this shape is not possible: \(self)") }
      if network == .picture { try checkPictures(dimensions, patchSize: patchSize, kind) }
    }
  }

  public static let name = "vae"
  public let configuration: Configuration
  public let encoder: any RowNetwork
  public let decoder: any RowNetwork
  public let observation: ObservationModel

  /// - Throws: `PipelineError` of kind `.usage` for a shape that is not possible.
  public init(_ configuration: Configuration, seed: UInt64) throws(PipelineError) {
    try configuration.check(.usage)
    self.init(checked: configuration, Initializer(seed: seed))
  }

  private init(checked c: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    configuration = c
    observation = ObservationModel(c.likelihood, dimensions: c.dimensions, components: c.components)
    (encoder, decoder) = rowNetworks(
      c.network, dimensions: c.dimensions, width: c.width, depth: c.depth, patchSize: c.patchSize,
      outputs: 2 * c.latentDimensions, inputs: c.latentDimensions,
      numbersPerElement: observation.numbersPerElement, &initializer)
  }

  public var dimensions: Int { configuration.dimensions }
  public var divergenceNames: [String] { ["KL(q(z | x) ‖ p(z))"] }

  /// q(z | x): μ and log σ², [B, Z] each.
  func posterior(_ x: Tensor, precision: ElementType = .float32) -> (mean: Tensor, logVariance: Tensor) {
    let parts = encoder(x, precision: precision).split(2)
    return (parts[0], parts[1])
  }

  /// The loss in nats a dimension: -(E_q[log p(x | z)] - β·KL) / D, so that its gradient's size does not grow with D.
  public func loss(_ x: Tensor, progress: Double, noise: NoiseStream, precision: ElementType) -> Tensor {
    let epsilon = Tensor.normal([x.shape[0], configuration.latentDimensions], seed: noise.seed, stream: noise.part(0))
    let risen = configuration.warmUp > 0 ? min(1, progress / configuration.warmUp) : 1
    return loss(x, epsilon: epsilon, klWeight: configuration.klWeight * Float(risen), precision: precision)
  }

  /// - Parameter epsilon: ε, [B, Z].
  func loss(_ x: Tensor, epsilon: Tensor, klWeight: Float, precision: ElementType) -> Tensor {
    let (mean, logVariance) = posterior(x, precision: precision)
    let z = mean + (logVariance * 0.5).applying(.exp) * epsilon
    let reconstruction = observation.logDensity(x, decoder(z, precision: precision)).sum()
    return (kl(mean, logVariance).sum() * klWeight - reconstruction) * (1 / Float(x.count))
  }

  /// The KL divergence of each latent dimension: [B, Z].
  private func kl(_ mean: Tensor, _ logVariance: Tensor) -> Tensor {
    (mean.applying(.square) + logVariance.applying(.exp) - logVariance - Tensor(repeating: 1, shape: mean.shape)) * 0.5
  }

  /// The evidence lower bound of each row (equation 3, β = 1), with one sample of z.
  /// - Parameters:
  ///   - x: [N, D].
  ///   - seed: names the random numbers.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  public func bounds(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [EvidenceBound] {
    try x.checkData(dimensions: dimensions)
    var bounds: [EvidenceBound] = []
    x.forEachBatch(of: 64) { x, range in
      let (mean, logVariance) = posterior(x)
      let z = mean + (logVariance * 0.5).applying(.exp) * epsilon(range, seed: seed, sample: 0)
      let reconstructions = observation.logDensity(x, decoder(z, precision: .float32)).rowSums()
      bounds += zip(reconstructions, kl(mean, logVariance).rowSums()).map {
        EvidenceBound(reconstruction: $0, divergences: [$1])
      }
    }
    return bounds
  }

  private func epsilon(_ rows: Range<Int>, seed: UInt64, sample: Int) -> Tensor {
    .normalRows(
      rows, width: configuration.latentDimensions, seed: seed, stream: RandomStream.vaeEvaluation(UInt64(sample) << 32))
  }

  /// p(x | z)·p(z)/q(z | x) by its logarithm.
  public func logImportanceWeights(_ x: Tensor, rows: Range<Int>, samples: Int, seed: UInt64) -> [[Double]] {
    let (mean, logVariance) = posterior(x)
    let deviation = (logVariance * 0.5).applying(.exp)
    return (0..<samples).map { sample in
      let epsilon = epsilon(rows, seed: seed, sample: sample)
      let z = mean + deviation * epsilon
      // log p(z) - log q(z | x); the constants cancel.
      let ratio = (epsilon.applying(.square) + logVariance - z.applying(.square)) * 0.5
      let density = observation.logDensity(x, decoder(z, precision: .float32))
      return zip(density.rowSums(), ratio.rowSums()).map { $0 + $1 }
    }
  }

  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    sampledRows(count, dimensions: dimensions) { rows in
      let z = Tensor.normalRows(
        rows, width: configuration.latentDimensions, seed: seed, stream: RandomStream.vaeLatents())
      return observation.draw(
        decoder(z, precision: .float32), rows: rows, seed: seed, stream: RandomStream.vaeObservations())
    }
  }

  public var latentDimensions: Int { configuration.latentDimensions }
  public func mean(_ z: Tensor) -> Tensor { observation.mean(decoder(z, precision: .float32)) }

  /// The manifold that a model with two latent dimensions has learnt (figure 4 of the paper): the means of p(x | z) for z
  /// on a square grid that is even in probability, through the inverse of the Gaussian's distribution function.
  /// - Parameter side: points along an axis.
  /// - Returns: [side·side, D]; the first latent dimension grows within a row of the grid, the second from row to row.
  /// - Throws: `PipelineError` of kind `.usage` where there are not two latent dimensions or no points.
  public func manifold(side: Int) throws(PipelineError) -> Matrix {
    guard configuration.latentDimensions == 2, (1...1024).contains(side) else {
      throw PipelineError(.usage, "a manifold picture needs two latent dimensions and a side of 1 to 1024 points")
    }
    let quantiles = (0..<side).map { normalQuantile((Double($0) + 0.5) / Double(side)) }
    return try decode(
      Matrix(quantiles.flatMap { y in quantiles.flatMap { [$0, y] } }, rows: side * side, columns: 2))
  }

  public var tensors: [(name: String, tensor: Tensor)] { namedTensors() }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    try configuration.check(.badData)
    self.init(checked: configuration, .unread)
    try file.read(into: self)
  }
}

/// The z below which a standard normal number lies with probability p, by bisection of ½·erfc(-z/√2).
func normalQuantile(_ p: Double) -> Double {
  var (low, high) = (-40.0, 40.0)
  for _ in 0..<100 {
    let middle = (low + high) / 2
    if 0.5 * erfc(-middle / 2.0.squareRoot()) < p { low = middle } else { high = middle }
  }
  return (low + high) / 2
}

/// √n rounded down.
func wholeRoot(_ n: Int) -> Int { Int(Double(max(0, n)).squareRoot()) }

/// - Throws: `PipelineError` where rows of so many numbers are no square pictures of whole patches.
func checkPictures(_ dimensions: Int, patchSize: Int, _ kind: PipelineError.Kind) throws(PipelineError) {
  let side = wholeRoot(dimensions / 3)
  guard side * side * 3 == dimensions, (1...max(1, side)).contains(patchSize), side % patchSize == 0 else {
    throw PipelineError(
      kind, "rows of \(dimensions) numbers are not square RGB pictures that patches of \(patchSize) pixels fill")
  }
}
