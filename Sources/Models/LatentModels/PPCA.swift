import ArrayFiles
import Basics
import Foundation
import LinearAlgebra

/// Probabilistic principal component analysis (Tipping & Bishop 1999, "Probabilistic principal component analysis"):
/// a continuous latent variable of q dimensions, mapped linearly.
///
///     z ~ N(0, I_q),     x = W·z + μ + ε,     ε ~ N(0, σ²I)                          (2)
///     p(x) = N(x | μ, C),     C = W·Wᵀ + σ²I                                        (4)
///     W = U_q (Λ_q - σ²I)^½,     σ² = Σ_{j>q} λ_j / (D - q)                          (7, 8), the maximum of the likelihood
///     p(z | x) = N(M⁻¹Wᵀ(x-μ), σ²M⁻¹),     M = WᵀW + σ²I                            (6)
///
/// U and Λ are eigenvectors and eigenvalues of the data's covariance S. S is Σ(x-μ)(x-μ)ᵀ/(N-1), as in most programs for
/// principal components; in place of N it makes no difference that could be seen.
public struct PPCA: SavedModel, EncodingModel {
  public struct Configuration: Codable, Sendable, Equatable {
    public var dimensions = 0
    /// q
    public var latentDimensions = 2

    public init(latentDimensions: Int = 2) { self.latentDimensions = latentDimensions }
  }

  public static let name = "ppca"
  public let configuration: Configuration
  /// μ, [D]
  public let mean: [Double]
  /// U_qᵀ, [q, D]: rows of length one, at right angles.
  public let directions: Matrix
  /// Λ_q, falling.
  public let variances: [Double]
  /// σ²
  public let noiseVariance: Double

  /// σ² is at least this part of the mean variance of a column: data of q dimensions exactly would have a density without
  /// bound.
  private static let leastNoise = 1e-10

  private init(_ configuration: Configuration, mean: [Double], directions: Matrix, variances: [Double], noise: Double) {
    self.configuration = configuration
    (self.mean, self.directions, self.variances, noiseVariance) = (mean, directions, variances, noise)
  }

  /// The closed form.
  /// - Parameters:
  ///   - x: [N, D]
  ///   - latentDimensions: q, fewer than D.
  ///   - threads: that share out the rows.
  /// - Throws: `PipelineError` of kind `.badData` where x is empty, not finite, or constant, or has one row; `.usage` where
  ///   q is not in 1 ..< D.
  public init(fitting x: Matrix, latentDimensions: Int, threads: Int = 1) throws(PipelineError) {
    let (mean, covariance) = try Self.statistics(x, latentDimensions, threads: threads)
    let (q, D) = (latentDimensions, x.columns)
    let trace = covariance.trace
    let (values, vectors) = try covariance.largestEigenpairs(q)
    let noise = max((trace - values.reduce(0, +)) / Double(D - q), Self.leastNoise * trace / Double(D))
    self.init(
      Configuration(dimensions: D, latentDimensions: q), mean: mean, directions: vectors,
      variances: values.map { max($0, noise) }, noise: noise)
  }

  private static func statistics(
    _ x: Matrix, _ q: Int, threads: Int
  ) throws(PipelineError) -> (mean: [Double], covariance: Matrix) {
    try x.checkData()
    try check(q, dimensions: x.columns)
    guard x.rows > 1 else { throw PipelineError(.badData, "one row has no variance: principal components need two") }
    let mean = x.mean()
    var covariance = x.scatter(about: mean, team: try ThreadTeam(count: threads))
    for i in covariance.elements.indices { covariance.elements[i] /= Double(x.rows - 1) }
    guard (0..<x.columns).contains(where: { covariance[$0, $0] > 0 }) else {
      throw PipelineError(.badData, "all rows of the matrix are the same: there is no variance to explain")
    }
    return (mean, covariance)
  }

  private static func check(_ q: Int, dimensions D: Int) throws(PipelineError) {
    guard D > 1 else { throw PipelineError(.badData, "one column has no directions: PPCA needs at least two") }
    guard q >= 1, q < D else {
      throw PipelineError(.usage, "the latent dimensions must be 1 to \(D - 1) for \(D) columns, not \(q)")
    }
  }

  /// How EM searches.
  public struct Options: Sendable {
    public var maximumIterations = 10_000
    /// EM has converged when σ² and W change by less than this, relatively.
    public var tolerance = 1e-9
    public var seed: UInt64 = 0
    public var threads = 1

    public init() {}
  }

  /// Expectation maximisation on the covariance (the paper's equations 29 and 30): no eigenvalues are computed until the
  /// end, where they bring W into the closed form's directions.
  ///
  ///     W ← S·W (σ²I + M⁻¹WᵀS·W)⁻¹,     σ² ← tr(S - S·W M⁻¹ Wᵀ_new) / D
  ///
  /// With M = L·Lᵀ and P = W·L⁻ᵀ that is W ← S·P·B⁻¹·Lᵀ, B = σ²I + PᵀS·P: nothing is inverted whose eigenvalues are below σ², so
  /// that data of fewer dimensions than q do as well.
  ///
  /// - Parameters:
  ///   - x: [N, D]
  ///   - q: the number of latent dimensions.
  ///   - options: of EM.
  ///   - goesOn: told before each round how many there were and the mean log-likelihood of the rows, nats a row (equation 5);
  ///     false ends the search.
  /// - Throws: as the closed form.
  public init(
    expectationMaximization x: Matrix, latentDimensions q: Int, options: Options = .init(),
    goesOn: (_ rounds: Int, _ meanLogLikelihood: Double) -> Bool = { _, _ in true }
  ) throws(PipelineError) {
    let (mean, S) = try Self.statistics(x, q, threads: options.threads)
    let (N, D) = (Double(x.rows), x.columns)
    let trace = S.trace
    let least = Self.leastNoise * trace / Double(D)
    var noise = trace / Double(D)
    var W = Self.randomStart(D, q, deviation: noise.squareRoot(), seed: options.seed)
    for round in 0..<options.maximumIterations {
      guard let L = Self.M(W, noise).choleskyFactor(), let inverse = L.invertedLowerTriangle() else {
        throw Self.singular
      }
      let P = Matrix.product(W, inverse, transposing: .right)
      let SP = Matrix.product(S, P)
      // |C| = σ²^(D-q)·|M|, and tr(C⁻¹S) = (tr S - tr(S·P·Pᵀ))/σ².
      let logDeterminant = (0..<q).reduce(Double(D - q) * log(noise)) { $0 + 2 * log(L[$1, $1]) }
      let distance = (trace - SP.dot(P)) / noise
      guard goesOn(round, -0.5 * (Double(D) * log(2 * .pi) + logDeterminant + distance * (N - 1) / N)) else { break }
      var B = Matrix.product(P, SP, transposing: .left).symmetrized
      for k in 0..<q { B[k, k] += noise }
      let whitened = Matrix.product(SP, try Self.inverse(B))
      let next = Matrix.product(whitened, L, transposing: .right)
      let nextNoise = max((trace - SP.dot(whitened)) / Double(D), least)
      let change = zip(next.elements, W.elements).reduce(0) { max($0, abs($1.0 - $1.1)) }
      let size = next.elements.reduce(0) { max($0, abs($1)) }
      let isDone = change < options.tolerance * size && abs(nextNoise - noise) < options.tolerance * noise
      (W, noise) = (next, nextNoise)
      if isDone { break }
    }
    try self.init(W, noise: noise, mean: mean)
  }

  /// Expectation maximisation where elements are missing (NaN): each row's posterior rests on what it has.
  ///
  /// The E step is equation 6 with the rows of W that belong to what was observed; the M step solves, for each column, the
  /// least squares of its observed elements on the expected latent variables.
  /// - Parameters:
  ///   - x: [N, D], NaN where missing.
  ///   - q: the number of latent dimensions.
  ///   - options: of EM.
  ///   - goesOn: told before each round how many there were and the mean log-likelihood of what is there of the rows, nats a
  ///     row; false ends the search.
  /// - Throws: `PipelineError` of kind `.badData` where x is empty, holds infinities, or a column has fewer than two
  ///   elements; `.usage` where q is not in 1 ..< D.
  public init(
    missingValues x: Matrix, latentDimensions q: Int, options: Options = .init(),
    goesOn: (_ rounds: Int, _ meanLogLikelihood: Double) -> Bool = { _, _ in true }
  ) throws(PipelineError) {
    let (N, D) = (x.rows, x.columns)
    guard N > 0, D > 0 else { throw PipelineError(.badData, "the matrix is empty: \(N)×\(D)") }
    guard !x.elements.contains(where: \.isInfinite) else {
      throw PipelineError(.badData, "the matrix holds infinite elements; only NaN stands for a missing one")
    }
    try Self.check(q, dimensions: D)
    let observed = (0..<N).map { n in (0..<D).filter { !x[n, $0].isNaN } }
    var mean = [Double](repeating: 0, count: D)
    var counts = [Int](repeating: 0, count: D)
    for (n, columns) in observed.enumerated() {
      for j in columns {
        mean[j] += x[n, j]
        counts[j] += 1
      }
    }
    if let poor = counts.firstIndex(where: { $0 < 2 }) {
      throw PipelineError(.badData, "column \(poor) of the matrix has \(counts[poor]) elements that are not missing")
    }
    for j in 0..<D { mean[j] /= Double(counts[j]) }
    let total = Double(counts.reduce(0, +))
    var noise = 0.0
    for (n, columns) in observed.enumerated() { noise += columns.reduce(0) { $0 + pow(x[n, $1] - mean[$1], 2) } }
    noise /= total
    guard noise > 0 else { throw PipelineError(.badData, "all columns of the matrix are constant") }
    let least = Self.leastNoise * noise
    var W = Self.randomStart(D, q, deviation: noise.squareRoot(), seed: options.seed)
    for round in 0..<options.maximumIterations {
      // The latent variable with a one after it, so that the mean is one more column of W.
      var moments = (0..<D).map { _ in Matrix(rows: q + 1, columns: q + 1) }
      var cross = Matrix(rows: D, columns: q + 1)
      var posteriors: [(mean: [Double], covariance: Matrix)] = []
      var logLikelihood = 0.0
      for (n, columns) in observed.enumerated() {
        let rows = Matrix(columns.flatMap { Array(W.row($0)) }, rows: columns.count, columns: q)
        let M = Self.M(rows, noise)
        guard let factor = M.choleskyFactor() else { throw Self.singular }
        let inverse = try Self.inverse(M)
        let centred = Matrix(columns.map { x[n, $0] - mean[$0] }, rows: columns.count, columns: 1)
        let projected = Matrix.product(rows, centred, transposing: .left)
        let z = Matrix.product(inverse, projected).elements
        // As in the search on the covariance, of the row's own columns.
        let logDeterminant = (0..<q).reduce(Double(columns.count - q) * log(noise)) { $0 + 2 * log(factor[$1, $1]) }
        let square = centred.elements.reduce(0) { $0 + $1 * $1 }
        let distance = (square - zip(projected.elements, z).reduce(0) { $0 + $1.0 * $1.1 }) / noise
        logLikelihood -= 0.5 * (Double(columns.count) * log(2 * .pi) + logDeterminant + distance)
        var covariance = inverse
        for i in covariance.elements.indices { covariance.elements[i] *= noise }
        posteriors.append((z, covariance))
        let extended = z + [1]
        for j in columns {
          for a in 0...q {
            cross[j, a] += x[n, j] * extended[a]
            for b in 0...q {
              moments[j][a, b] += extended[a] * extended[b] + (a < q && b < q ? covariance[a, b] : 0)
            }
          }
        }
      }
      guard goesOn(round, logLikelihood / Double(N)) else { break }
      var (change, moved) = (0.0, 0.0)
      var next = W
      for j in 0..<D {
        let row = Matrix.product(
          try Self.inverse(moments[j]), Matrix(Array(cross.row(j)), rows: q + 1, columns: 1)
        ).elements
        for a in 0..<q {
          change = max(change, abs(next[j, a] - row[a]))
          next[j, a] = row[a]
        }
        moved = max(moved, abs(mean[j] - row[q]))
        mean[j] = row[q]
      }
      var residual = 0.0
      for (n, columns) in observed.enumerated() {
        let (z, covariance) = posteriors[n]
        for j in columns {
          let w = next.row(j)
          let predicted = zip(w, z).reduce(mean[j]) { $0 + $1.0 * $1.1 }
          residual += pow(x[n, j] - predicted, 2)
          for a in 0..<q {
            for b in 0..<q { residual += next[j, a] * covariance[a, b] * next[j, b] }
          }
        }
      }
      let nextNoise = max(residual / total, least)
      let size = next.elements.reduce(0) { max($0, abs($1)) }
      let isDone =
        change < options.tolerance * size && abs(nextNoise - noise) < options.tolerance * noise
        && moved < options.tolerance * max(size, noise.squareRoot())
      (W, noise) = (next, nextNoise)
      if isDone { break }
    }
    try self.init(W, noise: noise, mean: mean)
  }

  /// Any W, of which only W·Wᵀ matters, in the closed form's directions.
  private init(_ W: Matrix, noise: Double, mean: [Double]) throws(PipelineError) {
    let q = W.columns
    let (squares, rotation) = try Matrix.product(W, W, transposing: .left).largestEigenpairs(q)
    // Below this part of the largest one a square is what rounding has left of 0.
    let rank = squares.firstIndex { $0 <= 1e-12 * squares[0] } ?? q
    // Columns of W·R are at right angles, of length √(λ - σ²).
    var directions = Matrix.product(rotation, W, transposing: .right)
    for k in 0..<rank {
      for j in 0..<W.rows { directions[k, j] /= squares[k].squareRoot() }
    }
    directions.orthonormalize(rowsFrom: rank)
    self.init(
      Configuration(dimensions: W.rows, latentDimensions: q), mean: mean, directions: directions,
      variances: squares.indices.map { ($0 < rank ? squares[$0] : 0) + noise }, noise: noise)
  }

  private static func randomStart(_ D: Int, _ q: Int, deviation: Double, seed: UInt64) -> Matrix {
    var random = Philox(seed: seed, stream: RandomStream.ppcaStart())
    return Matrix((0..<D * q).map { _ in deviation * random.normal() }, rows: D, columns: q)
  }

  /// M = WᵀW + σ²I
  private static func M(_ W: Matrix, _ noise: Double) -> Matrix {
    var M = Matrix.product(W, W, transposing: .left)
    for i in 0..<M.rows { M[i, i] += noise }
    return M
  }

  private static func inverse(_ matrix: Matrix) throws(PipelineError) -> Matrix {
    guard let inverse = matrix.invertedSymmetric() else { throw singular }
    return inverse
  }

  private static let singular = PipelineError(
    .badData, "expectation maximisation met a singular matrix; fewer latent dimensions help")

  // MARK: - What every rung can do

  public var dimensions: Int { configuration.dimensions }
  /// W up to rotation, μ and σ².
  public var parameterCount: Int {
    let (D, q) = (dimensions, configuration.latentDimensions)
    return D * q - q * (q - 1) / 2 + D + 1
  }
  public var likelihood: LikelihoodKind { .exact }

  /// W, [D, q].
  public var weights: Matrix {
    var W = Matrix(rows: dimensions, columns: configuration.latentDimensions)
    for (k, variance) in variances.enumerated() {
      let scale = max(variance - noiseVariance, 0).squareRoot()
      for j in 0..<dimensions { W[j, k] = scale * directions[k, j] }
    }
    return W
  }

  /// Uᵀ(x - μ), [N, q].
  private func projections(_ x: Matrix) -> Matrix {
    // Of the differences: the difference of projections has lost what a large μ has in common with x.
    .product(x.subtracting(mean), directions, transposing: .right)
  }

  /// E[z | x], [N, q] (equation 6).
  public func latents(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    var z = projections(x)
    for (k, variance) in variances.enumerated() {
      let scale = max(variance - noiseVariance, 0).squareRoot() / variance
      for n in 0..<z.rows { z[n, k] *= scale }
    }
    return z
  }

  /// Mean and variance of p(z | x) (equation 6), [N, q] each; the latter, σ²Λ⁻¹, is the same for each row.
  public func latentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    let means = try latents(x)
    let row = variances.map { noiseVariance / $0 }
    let all = Matrix((0..<means.rows).flatMap { _ in row }, rows: means.rows, columns: means.columns)
    return [LatentArray(LatentArray.mean, means), LatentArray("variance", all)]
  }

  /// ln N(x | μ, C), with |C| = Π λ_k·σ²^(D-q) and C⁻¹ = (I - U(I - σ²Λ⁻¹)Uᵀ)/σ².
  public func logLikelihood(_ x: Matrix, seed: UInt64 = 0) throws(PipelineError) -> [Double] {
    try x.checkData(dimensions: dimensions)
    let (D, q) = (dimensions, configuration.latentDimensions)
    let logDeterminant = variances.reduce(Double(D - q) * log(noiseVariance)) { $0 + log($1) }
    let constant = -0.5 * (Double(D) * log(2 * .pi) + logDeterminant)
    let unit = NormalDensity(mean: mean, shape: .precisions([Double](repeating: 1, count: D)), constant: 0)
    let distances = x.normalLogDensities([unit], team: try ThreadTeam(count: 1)).elements.map { -2 * $0 }
    let projections = projections(x)
    return (0..<x.rows).map { n in
      let explained = (0..<q).reduce(0) { $0 + (1 - noiseVariance / variances[$1]) * pow(projections[n, $1], 2) }
      return constant - 0.5 * (distances[n] - explained) / noiseVariance
    }
  }

  public func sample(_ count: Int, seed: UInt64) -> Matrix {
    let q = configuration.latentDimensions
    var z = Matrix(rows: count, columns: q)
    var x = Matrix(rows: count, columns: dimensions)
    for i in 0..<count {
      var random = Philox(seed: seed, stream: RandomStream.ppcaSamples(UInt64(i)))
      for k in 0..<q { z[i, k] = random.normal() }
      for j in 0..<dimensions { x[i, j] = mean[j] + noiseVariance.squareRoot() * random.normal() }
    }
    let mapped = Matrix.product(z, weights, transposing: .right)
    for i in x.elements.indices { x.elements[i] += mapped.elements[i] }
    return x
  }

  /// The orthogonal projection onto the principal directions, W(WᵀW)⁻¹M·E[z | x] + μ (the paper's section 3.3).
  public func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    var result = Matrix.product(projections(x), directions)
    for n in 0..<result.rows {
      for j in 0..<dimensions { result.elements[n * dimensions + j] += mean[j] }
    }
    return result
  }

  public var matrices: [(name: String, matrix: Matrix)] {
    [
      ("mean", Matrix(mean, rows: 1, columns: dimensions)), ("directions", directions),
      ("variances", Matrix(variances, rows: 1, columns: variances.count)),
      ("noise_variance", Matrix([noiseVariance], rows: 1, columns: 1)),
    ]
  }

  public init(_ configuration: Configuration, from file: SafeTensors) throws(PipelineError) {
    let (D, q) = (configuration.dimensions, configuration.latentDimensions)
    self.init(
      configuration, mean: try file.matrix("mean", rows: 1, columns: D).elements,
      directions: try file.matrix("directions", rows: q, columns: D),
      variances: try file.matrix("variances", rows: 1, columns: q).elements,
      noise: try file.matrix("noise_variance", rows: 1, columns: 1)[0, 0])
  }
}

extension PPCA.Configuration {
  fileprivate init(dimensions: Int, latentDimensions: Int) {
    self.init(latentDimensions: latentDimensions)
    self.dimensions = dimensions
  }
}
