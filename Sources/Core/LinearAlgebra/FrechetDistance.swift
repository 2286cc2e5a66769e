import Basics

/// The mean and the maximum-likelihood covariance of a cloud of points: all that the Fréchet distance sees of it.
public struct GaussianStatistics: Sendable {
  /// [D]
  public let mean: [Double]
  /// [D, D]
  public let covariance: Matrix

  public init(mean: [Double], covariance: Matrix) {
    precondition(covariance.rows == mean.count && covariance.columns == mean.count)
    (self.mean, self.covariance) = (mean, covariance)
  }

  /// - Parameter points: [N, D], at least one.
  public init(_ points: Matrix) {
    let mean = points.mean()
    let centred = points.subtracting(mean)
    let products = Matrix.product(centred, centred, transposing: .left)
    self.init(
      mean: mean,
      covariance: Matrix(
        products.elements.map { $0 / Double(points.rows) }, rows: products.rows, columns: products.columns))
  }
}

/// How far two clouds of points are from each other when each is taken for a Gaussian (Fréchet 1957; Dowson and Landau
/// 1982), as the Fréchet inception distance does with a network's features (Heusel et al. 2017).
public enum FrechetDistance {
  /// d² = ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½)
  ///
  /// The product under the root is written symmetrically, so that its eigenvalues are real and not negative, and the
  /// trace of its root is the sum of their roots. Rounding may leave a distance just below zero, which is given as zero.
  /// - Throws: `PipelineError` of kind `.badData` where an element is not finite.
  /// - Precondition: both have the same number of dimensions.
  public static func between(
    _ a: GaussianStatistics, _ b: GaussianStatistics
  ) throws(PipelineError) -> Double {
    precondition(a.mean.count == b.mean.count, "clouds of \(a.mean.count) and \(b.mean.count) dimensions")
    guard (a.mean + b.mean + a.covariance.elements + b.covariance.elements).allSatisfy(\.isFinite) else {
      throw PipelineError(.badData, "the Fréchet distance is taken of numbers that are not finite")
    }
    let root = try squareRoot(a.covariance)
    let product = Matrix.product(.product(root, b.covariance), root).symmetrized
    let traceOfRoot = try product.largestEigenpairs(product.rows).values.reduce(0) { $0 + max($1, 0).squareRoot() }
    let means = zip(a.mean, b.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return max(0, means + a.covariance.trace + b.covariance.trace - 2 * traceOfRoot)
  }

  /// Σ^½ = Vᵀ Λ^½ V, symmetric; eigenvalues that rounding has made negative count as zero.
  static func squareRoot(_ covariance: Matrix) throws(PipelineError) -> Matrix {
    // The eigenvectors are the rows of V.
    let (values, vectors) = try covariance.symmetrized.largestEigenpairs(covariance.rows)
    var scaled = vectors
    for row in 0..<scaled.rows {
      for column in 0..<scaled.columns { scaled[row, column] *= max(values[row], 0).squareRoot() }
    }
    return .product(scaled, vectors, transposing: .left)
  }
}

/// The plane that the Fréchet distance is taken in: the leading principal components of the training rows, in the units
/// of the rows.
public struct FeatureSpace: Sendable {
  /// What pictures of 32×32 are compared by.
  public static let standardComponents = 64

  /// [D]
  public let mean: [Double]
  /// Orthonormal rows, by falling variance, [count, D].
  public let components: Matrix

  /// - Parameters:
  ///   - rows: [N, D]
  ///   - components: how many at most; there are no more than D, nor than N - 1.
  ///   - threads: that compute the covariance.
  /// - Throws: `PipelineError` of kind `.badData` where the decomposition fails.
  public init(_ rows: Matrix, components: Int, threads: Int = 1) throws(PipelineError) {
    mean = rows.mean()
    let count = max(1, min(components, rows.columns, rows.rows - 1))
    let scatter = rows.scatter(about: mean, team: try ThreadTeam(count: threads))
    self.components = try scatter.largestEigenpairs(count).vectors
  }

  public var count: Int { components.rows }

  /// [N, D] → [N, count]
  public func project(_ rows: Matrix) -> Matrix { .product(rows.subtracting(mean), components, transposing: .right) }
}
