import Foundation
import TensorCore

/// Which covariances a normal distribution may have.
public enum CovarianceKind: String, Codable, Sendable, CaseIterable {
  /// Any symmetric positive definite Σ.
  case full
  /// diag(σ₁², … σ_D²)
  case diagonal
  /// σ²I
  case spherical
  /// Any Σ, the same for all components of a mixture.
  case tied
}

/// An estimated covariance Σ, in the least numbers that its kind needs.
struct Covariance: Sendable {
  enum Values: Sendable {
    /// Σ and L, its lower Cholesky factor: Σ = L·Lᵀ.
    case full(Matrix, factor: Matrix)
    /// The diagonal of Σ.
    case diagonal([Double])
  }

  let values: Values
  private let density: (shape: NormalDensity.Shape, logDeterminant: Double)

  /// - Throws: `PipelineError` of kind `.badData` where Σ is singular.
  init(full matrix: Matrix) throws(PipelineError) {
    guard matrix.isFinite, let factor = matrix.choleskyFactor(), let inverse = factor.invertedLowerTriangle() else {
      throw Self.singular
    }
    values = .full(matrix, factor: factor)
    density = (.factor(inverse), (0..<factor.rows).reduce(0.0) { $0 + 2 * log(factor[$1, $1]) })
  }

  /// - Throws: likewise.
  init(diagonal variances: [Double]) throws(PipelineError) {
    guard variances.allSatisfy({ $0 > 0 && $0.isFinite }) else { throw Self.singular }
    values = .diagonal(variances)
    density = (.precisions(variances.map { 1 / $0 }), variances.reduce(0) { $0 + log($1) })
  }

  private static let singular = PipelineError(
    .badData,
    "the covariance is singular: a column is constant or a combination of others, or there are too few rows; "
      + "a regularisation above 0 helps")

  /// N(x | mean, Σ)·weight, prepared.
  func normal(mean: [Double], weight: Double = 1) -> NormalDensity {
    let constant = -0.5 * (Double(mean.count) * log(2 * .pi) + density.logDeterminant) + log(weight)
    return NormalDensity(mean: mean, shape: density.shape, constant: constant)
  }

  /// tr Σ⁻¹
  var inverseTrace: Double {
    switch density.shape {
    case .factor(let inverse): inverse.elements.reduce(0) { $0 + $1 * $1 }
    case .precisions(let precisions): precisions.reduce(0, +)
    }
  }

  /// mean + L·ε, ε standard normal.
  func draw(mean: [Double], using random: inout Philox) -> [Double] {
    let noise = mean.map { _ in random.normal() }
    switch values {
    case .full(_, let factor):
      return mean.indices.map { i in (0...i).reduce(mean[i]) { $0 + factor[i, $1] * noise[$1] } }
    case .diagonal(let variances):
      return mean.indices.map { mean[$0] + variances[$0].squareRoot() * noise[$0] }
    }
  }

  /// As stored: [D, D], or [1, D].
  var matrix: Matrix {
    switch values {
    case .full(let matrix, _): matrix
    case .diagonal(let variances): Matrix(variances, rows: 1, columns: variances.count)
    }
  }

  init(stored matrix: Matrix, kind: CovarianceKind) throws(PipelineError) {
    switch kind {
    case .full, .tied: try self.init(full: matrix)
    case .diagonal, .spherical: try self.init(diagonal: matrix.elements)
    }
  }
}

extension CovarianceKind {
  var isDense: Bool { self == .full || self == .tied }

  /// Σ of weighted rows about a mean: Σ w (x-μ)(x-μ)ᵀ / total + ridge·I, reduced to this kind.
  func estimate(
    _ x: Matrix, mean: [Double], weights: (matrix: Matrix, column: Int)? = nil, total: Double, ridge: Double,
    team: ThreadTeam
  ) throws(PipelineError) -> Covariance {
    if isDense {
      var scatter = x.scatter(about: mean, weights: weights, team: team)
      for i in scatter.elements.indices { scatter.elements[i] /= total }
      for i in mean.indices { scatter[i, i] += ridge }
      return try Covariance(full: scatter)
    }
    var variances = x.squaredDeviations(about: mean, weights: weights, team: team).map { $0 / total }
    if self == .spherical {
      let mean = variances.reduce(0, +) / Double(variances.count)
      variances = variances.map { _ in mean }
    }
    return try Covariance(diagonal: variances.map { $0 + ridge })
  }

  /// The free numbers of one covariance in D dimensions.
  func parameterCount(_ D: Int) -> Int {
    switch self {
    case .full, .tied: D * (D + 1) / 2
    case .diagonal: D
    case .spherical: 1
    }
  }
}
