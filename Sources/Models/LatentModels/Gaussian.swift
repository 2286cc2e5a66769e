import ArrayFiles
import Basics
import LinearAlgebra

/// The normal distribution, the ladder's lowest rung (Bishop, PRML, section 2.3):
///
///     p(x) = N(x | μ, Σ) = (2π)^(-D/2) |Σ|^(-1/2) exp(-(x-μ)ᵀ Σ⁻¹ (x-μ)/2)        (2.43)
///     μ = Σ x_n / N                                                              (2.121)
///     Σ = Σ (x_n-μ)(x_n-μ)ᵀ / N  + ε·I + λ·diag(v)                                (2.122)
///
/// One hump, whatever the data. ε keeps Σ invertible where columns are constant or rows are few; it changes the maximum
/// of the likelihood in second order only. λ, zero unless given, takes Σ towards a diagonal matrix (v are the variances of
/// the columns) where there are too few rows to tell how columns go together.
public struct Gaussian: SavedModel {
  public struct Configuration: Codable, Sendable, Equatable {
    public var dimensions = 0
    /// `tied` is `full` here.
    public var covariance = CovarianceKind.full
    /// ε
    public var regularization = 1e-6
    /// λ
    public var relativeRegularization = 0.0

    public init(
      covariance: CovarianceKind = .full, regularization: Double = 1e-6, relativeRegularization: Double = 0
    ) {
      (self.covariance, self.regularization) = (covariance, regularization)
      self.relativeRegularization = relativeRegularization
    }
  }

  public static let name = "gaussian"
  public let configuration: Configuration
  /// μ, [D]
  public let mean: [Double]
  let covariance: Covariance

  /// Maximum likelihood.
  /// - Parameters:
  ///   - x: [N, D]
  ///   - configuration: the kind of covariance and what it is regularised by.
  ///   - threads: that share out the rows.
  /// - Throws: `PipelineError` of kind `.badData` where x is empty or not finite, or Σ is singular.
  public init(fitting x: Matrix, _ configuration: Configuration = .init(), threads: Int = 1) throws(PipelineError) {
    try x.checkData()
    var configuration = configuration
    configuration.dimensions = x.columns
    self.configuration = configuration
    mean = x.mean()
    let team = try ThreadTeam(count: threads)
    let ridge = configuration.covariance.ridge(
      of: x, absolute: configuration.regularization, relative: configuration.relativeRegularization, team: team)
    covariance = try configuration.covariance.estimate(x, mean: mean, total: Double(x.rows), ridge: ridge, team: team)
  }

  /// Σ, [D, D], or its diagonal, [1, D].
  public var covarianceMatrix: Matrix { covariance.matrix }

  public var dimensions: Int { configuration.dimensions }
  public var parameterCount: Int { dimensions + configuration.covariance.parameterCount(dimensions) }
  public var likelihood: LikelihoodKind { .exact }

  public func logLikelihood(_ x: Matrix, seed: UInt64 = 0) throws(PipelineError) -> [Double] {
    try x.checkData(dimensions: dimensions)
    return x.normalLogDensities([covariance.normal(mean: mean)], team: try ThreadTeam(count: 1)).elements
  }

  public func sample(_ count: Int, seed: UInt64) -> Matrix {
    Matrix(
      (0..<count).flatMap { i in
        var random = Philox(seed: seed, stream: RandomStream.gaussianSamples(UInt64(i)))
        return covariance.draw(mean: mean, using: &random)
      }, rows: count, columns: dimensions)
  }

  /// There is no latent variable: the mean, whatever x.
  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    return Matrix((0..<x.rows).flatMap { _ in mean }, rows: x.rows, columns: dimensions)
  }

  public var matrices: [(name: String, matrix: Matrix)] {
    [("mean", Matrix(mean, rows: 1, columns: dimensions)), ("covariance", covariance.matrix)]
  }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    let D = configuration.dimensions
    self.configuration = configuration
    mean = try file.matrix("mean", rows: 1, columns: D).elements
    let stored = try file.matrix("covariance", rows: configuration.covariance.isDense ? D : 1, columns: D)
    covariance = try Covariance(stored: stored, kind: configuration.covariance)
  }
}
