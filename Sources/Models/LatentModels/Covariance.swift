import Basics
import Foundation
import LinearAlgebra

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

  /// tr(Σ⁻¹ R) for a diagonal R.
  func inverseTrace(times ridge: [Double]) -> Double {
    switch density.shape {
    case .factor(let inverse):
      var sum = 0.0
      for i in 0..<inverse.rows {
        for j in 0...i { sum += inverse[i, j] * inverse[i, j] * ridge[j] }
      }
      return sum
    case .precisions(let precisions): return zip(precisions, ridge).reduce(0) { $0 + $1.0 * $1.1 }
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

  /// R of Σ + R, a diagonal: ε + λ·(the column's variance), reduced to this kind. The second part takes Σ towards its own
  /// diagonal: in units of the columns' deviations it adds λ to a correlation matrix, whatever the columns' scales.
  func ridge(of x: Matrix, absolute: Double, relative: Double, team: ThreadTeam) -> [Double] {
    if relative == 0 { return [Double](repeating: absolute, count: x.columns) }
    let variances = x.squaredDeviations(about: x.mean(), team: team).map { $0 / Double(x.rows) }
    return reduced(variances).map { absolute + relative * $0 }
  }

  /// A diagonal as this kind can hold it.
  private func reduced(_ variances: [Double]) -> [Double] {
    guard self == .spherical else { return variances }
    let mean = variances.reduce(0, +) / Double(variances.count)
    return variances.map { _ in mean }
  }

  /// Σ of weighted rows about a mean: Σ w (x-μ)(x-μ)ᵀ / total + R·share, reduced to this kind.
  func estimate(
    _ x: Matrix, mean: [Double], weights: (matrix: Matrix, column: Int)? = nil, total: Double, ridge: [Double],
    share: Double = 1, team: ThreadTeam
  ) throws(PipelineError) -> Covariance {
    if isDense {
      var scatter = x.scatter(about: mean, weights: weights, team: team)
      for i in scatter.elements.indices { scatter.elements[i] /= total }
      for i in mean.indices { scatter[i, i] += ridge[i] * share }
      return try Covariance(full: scatter)
    }
    let variances = x.squaredDeviations(about: mean, weights: weights, team: team).map { $0 / total }
    return try Covariance(diagonal: zip(reduced(variances), ridge).map { $0 + $1 * share })
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

extension Matrix {
  /// L⁻¹(x_n - mean) for each row.
  func whitened(by inverse: Matrix, about mean: [Double], _ team: ThreadTeam) -> Matrix {
    var parts = [Matrix?](repeating: nil, count: team.count)
    parts.withUnsafeMutableBufferPointer { parts in
      nonisolated(unsafe) let parts = parts
      team.run { thread in
        var rows = rows(team.range(of: thread, total: self.rows))
        for i in rows.elements.indices { rows.elements[i] -= mean[i % columns] }
        parts[thread] = .product(rows, inverse, transposing: .right)
      }
    }
    return Matrix(parts.flatMap { $0?.elements ?? [] }, rows: rows, columns: columns)
  }
}
