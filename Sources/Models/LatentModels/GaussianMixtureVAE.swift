import ArrayFiles
import Basics
import Foundation
import LinearAlgebra
import NN
import TensorCore

/// A variational auto-encoder whose prior is a mixture (Jiang et al. 2017, "Variational deep embedding"; Hsu et al. 2018,
/// "Hierarchical generative modeling for controllable speech synthesis"): a discrete attribute y says which kind of thing
/// a row is, a continuous z which one of that kind.
///
///     y ~ Cat(π),     z | y ~ N(μ_y, diag σ_y²),     x ~ p(x | decoder(z))                    (VaDE, 1-5)
///     q(z | x) = N(m, diag s²),     (m, log s²) = encoder(x)
///     q(y | x) = p(y | z) = π_y·N(z | μ_y, σ_y²) / Σ_k π_k·N(z | μ_k, σ_k²),     z ~ q(z | x)       (VaDE, 16)
///     log p(x) ≥ E_q[log p(x | z)] - Σ_y q(y | x)·KL(q(z | x) ‖ p(z | y)) - KL(q(y | x) ‖ p(y))
///
/// With all components at N(0, I) it is a ``VAE``, and so it begins: clusters show in the codes only once these mean
/// something. After a first fit, ``setComponents(weights:means:variances:)`` gives each component its place, as a mixture
/// that was fitted to the codes says (VaDE, section 3.2), and a second fit learns everything together.
public struct GaussianMixtureVAE: SavedModel, GradientTrainedModel, ClusteringModel, CodedModel,
  ImportanceWeightedModel, EncodingModel, VariationalModel
{
  public struct Configuration: Codable, Sendable, Equatable {
    /// D
    public var dimensions = 0
    /// The number of elements of z.
    public var latentDimensions = 32
    /// K, the values of y.
    public var components = 10
    public var likelihood = ObservationModel.Kind.gaussian
    /// Logistics in the mixture of a discretised likelihood.
    public var logistics = 3
    public var network = RowNetworkKind.dense
    /// The width of hidden layers, or the channels of the picture networks.
    public var width = 512
    /// Hidden layers or residual blocks on each side.
    public var depth = 2
    /// Pixels a side of the patches of the picture networks.
    public var patchSize = 4

    public init(dimensions: Int = 0) { self.dimensions = dimensions }

    func check(_ kind: PipelineError.Kind) throws(PipelineError) {
      guard (1...1 << 20).contains(dimensions), (1...1 << 14).contains(latentDimensions),
        (1...1 << 16).contains(components), (1...64).contains(logistics), (1...1 << 14).contains(width),
        (0...64).contains(depth)
      else { throw PipelineError(kind, "a Gaussian-mixture VAE of this shape is not possible: \(self)") }
      if network == .picture { try checkPictures(dimensions, patchSize: patchSize, kind) }
    }
  }

  public static let name = "gaussian-mixture-vae"
  public let configuration: Configuration
  public let encoder: any RowNetwork
  public let decoder: any RowNetwork
  public let observation: ObservationModel
  /// What π is made of by softmax, [1, K].
  let logits: Parameter
  /// μ, [K, Z]
  let means: Parameter
  /// What log σ² is made of, [K, Z].
  let logVariances: Parameter
  /// β, what training multiplies the KLs with; no part of what is saved. A first fit with little of it lets the codes fall
  /// apart into clusters, as those of the auto-encoder do that VaDE begins with.
  public var klWeight: Float = 1

  /// |log π| up to a constant and |log σ²| stay below it: a component neither vanishes for good nor becomes a point.
  private static let limit: Float = 8

  /// - Throws: `PipelineError` of kind `.usage` for a shape that is not possible.
  public init(_ configuration: Configuration, seed: UInt64) throws(PipelineError) {
    try configuration.check(.usage)
    self.init(checked: configuration, Initializer(seed: seed))
  }

  private init(checked c: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    configuration = c
    observation = ObservationModel(c.likelihood, dimensions: c.dimensions, components: c.logistics)
    (encoder, decoder) = rowNetworks(
      c.network, dimensions: c.dimensions, width: c.width, depth: c.depth, patchSize: c.patchSize,
      outputs: 2 * c.latentDimensions, inputs: c.latentDimensions,
      numbersPerElement: observation.numbersPerElement, &initializer)
    logits = Parameter(.zeros([1, c.components]))
    means = Parameter(.zeros([c.components, c.latentDimensions]))
    logVariances = Parameter(.zeros([c.components, c.latentDimensions]))
  }

  /// Gives each component its place.
  /// - Parameters:
  ///   - weights: π, [K].
  ///   - means: μ, [K, Z].
  ///   - variances: σ², [K, Z].
  /// - Throws: `PipelineError` of kind `.usage` where a shape differs, a number is not finite, or one that must be positive
  ///   is not.
  public func setComponents(weights: [Double], means: Matrix, variances: Matrix) throws(PipelineError) {
    let (K, Z) = (configuration.components, configuration.latentDimensions)
    guard weights.count == K, weights.allSatisfy({ $0 > 0 && $0.isFinite }),
      (means.rows, means.columns) == (K, Z), means.isFinite, (variances.rows, variances.columns) == (K, Z),
      variances.elements.allSatisfy({ $0 > 0 && $0.isFinite })
    else { throw PipelineError(.usage, "these are not \(K) components over codes of \(Z) elements") }
    let centre = weights.map { log($0) }.reduce(0, +) / Double(K)
    logits.overwrite(with: Tensor(weights.map { Self.unbounded(log($0) - centre) }, shape: [1, K]))
    self.means.overwrite(with: Tensor(means.elements.map { Float($0) }, shape: [K, Z]))
    logVariances.overwrite(with: Tensor(variances.elements.map { Self.unbounded(log($0)) }, shape: [K, Z]))
  }

  /// Turns the axes of the code: z becomes R·z in encoder and decoder, so that what the model reconstructs from a code's mean
  /// stays as it is. Of the covariance R·diag(s²)·Rᵀ of a code its axes keep log s'_i² = Σ_j R_ij²·log s_j². The components
  /// stay where they are.
  /// - Parameter rotation: R, [Z, Z], orthogonal.
  /// - Throws: `PipelineError` of kind `.usage` where it is not.
  public func turnCodes(by rotation: Matrix) throws(PipelineError) {
    let Z = configuration.latentDimensions
    guard (rotation.rows, rotation.columns) == (Z, Z), rotation.isFinite else {
      throw PipelineError(.usage, "codes of \(Z) elements are turned by a matrix of \(Z)×\(Z) finite numbers")
    }
    let identity = Matrix.product(rotation, rotation, transposing: .right)
    guard (0..<Z * Z).allSatisfy({ abs(identity.elements[$0] - ($0 % (Z + 1) == 0 ? 1 : 0)) < 1e-6 }) else {
      throw PipelineError(.usage, "axes can be turned by an orthogonal matrix alone")
    }
    guard let last = encoder.ends.last, let first = decoder.ends.first else {
      preconditionFailure("a code goes through linear layers")
    }
    let squares = Matrix(rotation.elements.map { $0 * $0 }, rows: Z, columns: Z)
    for parameter in [last.weight, last.bias].compactMap(\.self) {
      let numbers = Matrix(
        parameter.value.scalars.map { Double($0) }, rows: 2 * Z, columns: parameter.value.count / (2 * Z))
      let turned = [Matrix.product(rotation, numbers.rows(0..<Z)), Matrix.product(squares, numbers.rows(Z..<2 * Z))]
      parameter.overwrite(with: Tensor(turned.flatMap(\.elements).map { Float($0) }, shape: parameter.value.shape))
    }
    let weight = first.weight.value
    let numbers = Matrix(weight.scalars.map { Double($0) }, rows: weight.count / Z, columns: Z)
    first.weight.overwrite(
      with: Tensor(
        Matrix.product(numbers, rotation, transposing: .right).elements.map { Float($0) }, shape: weight.shape))
  }

  /// The inverse of the bound, just within it.
  private static func unbounded(_ x: Double) -> Float {
    let limit = Double(limit)
    return Float(limit * atanh(min(max(x / limit, -0.999), 0.999)))
  }

  public var dimensions: Int { configuration.dimensions }
  public var divergenceNames: [String] { ["Σ_y q(y | x)·KL(q(z | x) ‖ p(z | y))", "KL(q(y | x) ‖ p(y))"] }
  public var components: Int { configuration.components }

  /// m and log s² of q(z | x), [B, Z] each.
  func posterior(_ x: Tensor, precision: ElementType = .float32) -> (mean: Tensor, logVariance: Tensor) {
    let parts = encoder(x, precision: precision).split(2)
    return (parts[0], parts[1])
  }

  /// p(y) and p(z | y) in the form that products of matrices need.
  private struct Prior {
    /// log π, [1, K]
    let logWeights: Tensor
    /// -c, [1, Z], a constant amid the means: (z - μ)² is multiplied out about c, because far from 0 all of its terms are large and their
    /// sum is not.
    let origin: Tensor
    /// 1/σ², [K, Z]
    let precisions: Tensor
    /// (μ - c)/σ², [K, Z]
    let scaledMeans: Tensor
    /// Σ_z (log σ² + (μ - c)²/σ²), [1, K]
    let constants: Tensor
  }

  private var prior: Prior {
    let logVariances = logVariances().softBounded(Self.limit)
    let precisions = (logVariances * -1).applying(.exp)
    let (K, Z) = (configuration.components, configuration.latentDimensions)
    let all = means.value.scalars
    let origin = Tensor((0..<Z).map { z in -(0..<K).reduce(0) { $0 + all[$1 * Z + z] } / Float(K) }, shape: [1, Z])
    let offsets = means().addingRows(origin)
    let scaledMeans = offsets * precisions
    let ones = Tensor(repeating: 1, shape: [1, configuration.latentDimensions])
    return Prior(
      logWeights: logits().softBounded(Self.limit).softmax().applying(.log), origin: origin, precisions: precisions,
      scaledMeans: scaledMeans, constants: linear(logVariances + offsets * scaledMeans, weight: ones).reshaped([1, -1]))
  }

  /// Σ_z E[(z - μ_k)²]/σ_k² + log σ_k² of each component, [B, K].
  /// - Parameters:
  ///   - mean: E[z - c], [B, Z]
  ///   - square: E[(z - c)²], [B, Z]
  private func distances(_ mean: Tensor, _ square: Tensor, _ prior: Prior) -> Tensor {
    (linear(square, weight: prior.precisions) - linear(mean, weight: prior.scaledMeans) * 2)
      .addingRows(prior.constants)
  }

  /// log π_k + log N(z | μ_k, σ_k²) but for a constant, [B, K].
  private func logJoint(_ z: Tensor, _ prior: Prior) -> Tensor {
    let z = z.addingRows(prior.origin)
    return (distances(z, z.applying(.square), prior) * -0.5).addingRows(prior.logWeights)
  }

  /// Σ_y q(y | x)·KL(q(z | x) ‖ p(z | y)) and KL(q(y | x) ‖ p(y)), each as its terms, [B, K].
  private func divergences(
    _ mean: Tensor, _ logVariance: Tensor, z: Tensor
  ) -> (continuous: Tensor, discrete: Tensor) {
    let prior = prior
    let shape = [mean.shape[0], configuration.components]
    // KL(q(z | x) ‖ p(z | k)) = ½ (Σ_z E_q[(z - μ_k)²]/σ_k² + log σ_k² - log s² - 1)
    let ones = Tensor(repeating: 1, shape: [configuration.components, configuration.latentDimensions])
    let entropy = linear(logVariance + Tensor(repeating: 1, shape: mean.shape), weight: ones)
    let centred = mean.addingRows(prior.origin)
    let square = centred.applying(.square) + logVariance.applying(.exp)
    let kl = (distances(centred, square, prior) - entropy) * 0.5
    // q(y | x); ε keeps log 0 out, where the term is 0.
    let attribute = logJoint(z, prior).softmax()
    let logRatio =
      (attribute + Tensor(repeating: 1e-20, shape: shape)).applying(.log).addingRows(prior.logWeights * -1)
    return (attribute * kl, attribute * logRatio)
  }

  /// The loss in nats a dimension: minus the bound with its KLs times β, over D.
  public func loss(_ x: Tensor, progress: Double, noise: NoiseStream, precision: ElementType) -> Tensor {
    let epsilon = Tensor.normal([x.shape[0], configuration.latentDimensions], seed: noise.seed, stream: noise.part(0))
    return loss(x, epsilon: epsilon, klWeight: klWeight, precision: precision)
  }

  /// - Parameter epsilon: ε of z = m + s·ε, [B, Z].
  func loss(_ x: Tensor, epsilon: Tensor, klWeight: Float, precision: ElementType) -> Tensor {
    let (mean, logVariance) = posterior(x, precision: precision)
    let z = mean + (logVariance * 0.5).applying(.exp) * epsilon
    let (continuous, discrete) = divergences(mean, logVariance, z: z)
    let reconstruction = observation.logDensity(x, decoder(z, precision: precision)).sum()
    return ((continuous.sum() + discrete.sum()) * klWeight - reconstruction) * (1 / Float(x.count))
  }

  /// The evidence lower bound of each row, with one sample of z.
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
      let (continuous, discrete) = divergences(mean, logVariance, z: z)
      let reconstruction = observation.logDensity(x, decoder(z, precision: .float32)).rowSums()
      for (i, (continuousKL, discreteKL)) in zip(continuous.rowSums(), discrete.rowSums()).enumerated() {
        bounds.append(EvidenceBound(reconstruction: reconstruction[i], divergences: [continuousKL, discreteKL]))
      }
    }
    return bounds
  }

  private func epsilon(_ rows: Range<Int>, seed: UInt64, sample: Int) -> Tensor {
    .normalRows(
      rows, width: configuration.latentDimensions, seed: seed,
      stream: RandomStream.gaussianMixtureVAEEvaluation(UInt64(sample) << 32))
  }

  /// p(x | z)·Σ_k π_k·N(z | μ_k, σ_k²)/q(z | x) by its logarithm: y is summed over, and need not be drawn. One sample is thus already a
  /// little closer than ``bounds(_:seed:)``, which takes y and z to be independent in q(y, z | x).
  public func logImportanceWeights(_ x: Tensor, rows: Range<Int>, samples: Int, seed: UInt64) -> [[Double]] {
    let (mean, logVariance) = posterior(x)
    let deviation = (logVariance * 0.5).applying(.exp)
    let (prior, K) = (prior, configuration.components)
    return (0..<samples).map { sample in
      let epsilon = epsilon(rows, seed: seed, sample: sample)
      let z = mean + deviation * epsilon
      let joint = logJoint(z, prior).scalars
      // -log q(z | x), but for the constant that p(z) has, too.
      let entropy = ((epsilon.applying(.square) + logVariance) * 0.5).rowSums()
      let density = observation.logDensity(x, decoder(z, precision: .float32)).rowSums()
      return (0..<rows.count).map { n in
        density[n] + logSumExp(joint[n * K..<(n + 1) * K].map { Double($0) }) + entropy[n]
      }
    }
  }

  public var latentDimensions: Int { configuration.latentDimensions }
  public func mean(_ z: Tensor) -> Tensor { observation.mean(decoder(z, precision: .float32)) }

  /// q(y | x) at the mean of q(z | x): [N, K].
  public func responsibilities(_ x: Matrix) throws(PipelineError) -> Matrix {
    let z = try encode(x)
    var elements: [Double] = []
    z.forEachBatch(of: 64) { z, _ in elements += logJoint(z, prior).softmax().scalars.map { Double($0) } }
    return Matrix(elements, rows: x.rows, columns: configuration.components)
  }

  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    try posteriorArrays(x) + componentArrays(x)
  }

  public func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    draw(count, seed: seed, component: nil)
  }

  /// - Throws: `PipelineError` of kind `.usage` where there is no such component.
  public func sample(_ count: Int, component: Int, seed: UInt64) throws(PipelineError) -> Matrix {
    try checkComponent(component)
    return draw(count, seed: seed, component: component)
  }

  /// The means of p(x | z) for codes z = μ_y + t·σ_y·e_j, with t from -`extent` to `extent` in even steps: what one number of
  /// the code does within a kind.
  /// - Parameters:
  ///   - component: y, from 0.
  ///   - latent: j, from 0.
  ///   - count: steps, two at least.
  ///   - extent: the largest t.
  /// - Returns: [count, D].
  /// - Throws: `PipelineError` of kind `.usage` where there is no such component or number, or fewer than two steps.
  public func varied(
    component: Int, latent: Int, count: Int, extent: Double = 2
  ) throws(PipelineError) -> Matrix {
    try checkComponent(component)
    let Z = configuration.latentDimensions
    guard (0..<Z).contains(latent), count > 1 else {
      throw PipelineError(.usage, "a code has the numbers 0 to \(Z - 1), which vary in two steps at least")
    }
    let mean = means.value.scalars[component * Z..<(component + 1) * Z].map { Double($0) }
    let logVariance = logVariances.value.softBounded(Self.limit).scalars[component * Z + latent]
    return try decode(
      Matrix(
        (0..<count).flatMap { step in
          var z = mean
          z[latent] += exp(Double(logVariance) / 2) * extent * (2 * Double(step) / Double(count - 1) - 1)
          return z
        }, rows: count, columns: Z))
  }

  private func draw(_ count: Int, seed: UInt64, component: Int?) -> Matrix {
    let (K, Z) = (configuration.components, configuration.latentDimensions)
    let weights = prior.logWeights.applying(.exp).scalars
    let (means, deviations) = (
      means.value.scalars, (logVariances.value.softBounded(Self.limit) * 0.5).applying(.exp).scalars
    )
    return sampledRows(count, dimensions: dimensions) { rows in
      let z = rows.flatMap { row in
        var random = Philox(seed: seed, stream: RandomStream.gaussianMixtureVAELatents(UInt64(row)))
        var left = random.uniform()
        let drawn =
          weights.firstIndex { weight in
            left -= weight
            return left < 0
          } ?? K - 1
        let k = component ?? drawn
        return (k * Z..<(k + 1) * Z).map { means[$0] + deviations[$0] * Float(random.normal()) }
      }
      return observation.draw(
        decoder(Tensor(z, shape: [rows.count, Z]), precision: .float32), rows: rows, seed: seed,
        stream: RandomStream.gaussianMixtureVAEObservations())
    }
  }

  public var tensors: [(name: String, tensor: Tensor)] { namedTensors() }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    try configuration.check(.badData)
    self.init(checked: configuration, .unread)
    try file.read(into: self)
  }
}
