import CKernels

/// What the classical models need of linear algebra, in Float64 over LAPACK. Sums over rows are split over a team of
/// threads and added in the threads' order, so they repeat bit for bit.
extension Matrix {
  /// Which operand of a product is transposed.
  public enum Transposition { case left, right }

  /// a·b, or aᵀ·b or a·bᵀ.
  public static func product(_ a: Matrix, _ b: Matrix, transposing: Transposition? = nil) -> Matrix {
    let (M, K) = transposing == .left ? (a.columns, a.rows) : (a.rows, a.columns)
    let (inner, N) = transposing == .right ? (b.columns, b.rows) : (b.rows, b.columns)
    precondition(K == inner, "no product of \(a.rows)×\(a.columns) and \(b.rows)×\(b.columns)")
    ck_engine_prepare_thread()
    var result = Matrix(rows: M, columns: N)
    ck_gemm_float64(transposing == .left, transposing == .right, M, N, K, a.elements, b.elements, 0, &result.elements)
    return result
  }

  /// Whether all elements are finite.
  public var isFinite: Bool { elements.allSatisfy { ($0 - $0) == 0 } }

  /// The rows of `range`.
  public func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      Array(elements[range.lowerBound * columns..<range.upperBound * columns]), rows: range.count, columns: columns)
  }

  /// L of A = L·Lᵀ, lower; nil where A is not positive definite.
  public func choleskyFactor() -> Matrix? {
    precondition(rows == columns)
    var factor = self
    return ck_cholesky(&factor.elements, rows) ? factor : nil
  }

  /// L⁻¹ of a lower triangle L; nil where it is singular.
  public func invertedLowerTriangle() -> Matrix? {
    precondition(rows == columns)
    var inverse = self
    return ck_invert_lower(&inverse.elements, rows) ? inverse : nil
  }

  /// A⁻¹ of a symmetric positive definite A; nil where it is not.
  public func invertedSymmetric() -> Matrix? {
    guard let inverse = choleskyFactor()?.invertedLowerTriangle() else { return nil }
    return .product(inverse, inverse, transposing: .left)
  }

  /// The largest eigenvalues of a symmetric matrix, falling, and their unit eigenvectors as rows [count, D].
  /// - Throws: `PipelineError` of kind `.badData` where LAPACK does not converge, as with elements that are not finite.
  public func largestEigenpairs(_ count: Int) throws(PipelineError) -> (values: [Double], vectors: Matrix) {
    precondition(rows == columns && (1...max(1, rows)).contains(count))
    var (copy, values, vectors) = (self, [Double](repeating: 0, count: count), Matrix(rows: count, columns: rows))
    guard isFinite, ck_largest_eigenpairs(&copy.elements, rows, count, &values, &vectors.elements) else {
      throw PipelineError(.badData, "the eigenvalues of a \(rows)×\(rows) matrix cannot be found")
    }
    return (values, vectors)
  }

  // MARK: Sums over rows

  /// Σ w_n x_n / Σ w_n for each column of `weights` [N, K]: [K, D], and the sums of the weights.
  public func weightedMeans(_ weights: Matrix) -> (means: Matrix, totals: [Double]) {
    var means = Matrix.product(weights, self, transposing: .left)
    var totals = [Double](repeating: 0, count: weights.columns)
    for n in 0..<weights.rows {
      for k in 0..<weights.columns { totals[k] += weights.elements[n * weights.columns + k] }
    }
    for k in 0..<means.rows where totals[k] > 0 {
      for j in 0..<columns { means.elements[k * columns + j] /= totals[k] }
    }
    return (means, totals)
  }

  /// The mean of the rows, [D].
  public func mean() -> [Double] {
    let ones = Matrix(repeating: 1, rows: rows, columns: 1)
    return weightedMeans(ones).means.elements
  }

  /// Σ w_n (x_n - mean)(x_n - mean)ᵀ, [D, D]. The weights are a column of a matrix, or all 1.
  public func scatter(
    about mean: some Collection<Double>, weights: (matrix: Matrix, column: Int)? = nil, team: ThreadTeam
  ) -> Matrix {
    let mean = Array(mean)
    var sum = summed(over: team, count: columns * columns) { rows, into in
      var scratch = [Double](repeating: 0, count: ck_row_block(columns) * columns)
      withWeights(weights, from: rows.lowerBound) { w, stride in
        elements.withUnsafeBufferPointer { x in
          guard let start = x.baseAddress else { return }
          ck_weighted_scatter(
            start + rows.lowerBound * columns, rows.count, columns, mean, w, stride, into, &scratch)
        }
      }
    }
    for i in 0..<columns {
      for j in 0..<i { sum[j * columns + i] = sum[i * columns + j] }
    }
    return Matrix(sum, rows: columns, columns: columns)
  }

  /// Σ w_n (x_n - mean)², elementwise, [D].
  public func squaredDeviations(
    about mean: some Collection<Double>, weights: (matrix: Matrix, column: Int)? = nil, team: ThreadTeam
  ) -> [Double] {
    let mean = Array(mean)
    return summed(over: team, count: columns) { rows, into in
      withWeights(weights, from: rows.lowerBound) { w, stride in
        elements.withUnsafeBufferPointer { x in
          guard let start = x.baseAddress else { return }
          ck_weighted_squares(start + rows.lowerBound * columns, rows.count, columns, mean, w, stride, into)
        }
      }
    }
  }

  private func withWeights(
    _ weights: (matrix: Matrix, column: Int)?, from row: Int, _ body: (UnsafePointer<Double>?, Int) -> Void
  ) {
    guard let weights else { return body(nil, 0) }
    weights.matrix.elements.withUnsafeBufferPointer {
      body($0.baseAddress.map { $0 + row * weights.matrix.columns + weights.column }, weights.matrix.columns)
    }
  }

  /// Sums of `count` numbers, each thread's over its share of the rows.
  private func summed(
    over team: ThreadTeam, count: Int, _ body: (_ rows: Range<Int>, _ into: UnsafeMutablePointer<Double>) -> Void
  ) -> [Double] {
    var parts = [Double](repeating: 0, count: team.count * count)
    parts.withUnsafeMutableBufferPointer { parts in
      nonisolated(unsafe) let parts = parts
      team.run { thread in
        guard let base = parts.baseAddress else { return }
        body(team.range(of: thread, total: rows), base + thread * count)
      }
    }
    var result = Array(parts[0..<count])
    for thread in 1..<team.count {
      for i in 0..<count { result[i] += parts[thread * count + i] }
    }
    return result
  }

  // MARK: Densities

  /// The log-density of each row under N normal distributions, as a column each of [rows, K].
  public func normalLogDensities(_ components: [NormalDensity], team: ThreadTeam) -> Matrix {
    let K = components.count
    var result = Matrix(rows: rows, columns: K)
    result.elements.withUnsafeMutableBufferPointer { out in
      nonisolated(unsafe) let out = out
      team.run { thread in
        let range = team.range(of: thread, total: rows)
        var scratch = [Double](repeating: 0, count: ck_row_block(columns) * columns)
        elements.withUnsafeBufferPointer { x in
          guard let x = x.baseAddress, let out = out.baseAddress, !range.isEmpty else { return }
          for (k, component) in components.enumerated() {
            let (from, to) = (x + range.lowerBound * columns, out + range.lowerBound * K + k)
            switch component.shape {
            case .factor(let inverse):
              ck_normal_log_density(
                from, range.count, columns, component.mean, inverse.elements, component.constant, to, K, &scratch)
            case .precisions(let precisions):
              ck_diagonal_log_density(
                from, range.count, columns, component.mean, precisions, component.constant, to, K)
            }
          }
        }
      }
    }
    return result
  }

  /// softmax of each row, in place.
  /// - Returns: the rows' log-sum-exps.
  public mutating func softmaxRows(team: ThreadTeam) -> [Double] {
    let (rows, columns) = (rows, columns)
    var logSums = [Double](repeating: 0, count: rows)
    elements.withUnsafeMutableBufferPointer { x in
      logSums.withUnsafeMutableBufferPointer { sums in
        nonisolated(unsafe) let (x, sums) = (x, sums)
        team.run { thread in
          let range = team.range(of: thread, total: rows)
          guard let x = x.baseAddress, let sums = sums.baseAddress, !range.isEmpty else { return }
          ck_softmax_float64(x + range.lowerBound * columns, range.count, columns, sums + range.lowerBound)
        }
      }
    }
    return logSums
  }
}

/// A normal distribution, prepared for its log-density: constant - ‖L⁻¹(x - μ)‖²/2.
public struct NormalDensity: Sendable {
  public enum Shape: Sendable {
    /// L⁻¹, of which L is the covariance's Cholesky factor.
    case factor(Matrix)
    /// 1/σ_j² of a diagonal covariance.
    case precisions([Double])
  }

  public let mean: [Double]
  public let shape: Shape
  /// -(D·ln 2π + ln|Σ|)/2, and whatever is added to it.
  public let constant: Double

  public init(mean: [Double], shape: Shape, constant: Double) {
    (self.mean, self.shape, self.constant) = (mean, shape, constant)
  }
}
