import Basics
import CKernels

/// Sums over rows are split over a team of threads and added in the threads' order, so they repeat bit for bit.
extension Matrix {
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

  /// Σ_n Σ_k w_nk (x_n - c_k)(x_n - c_k)ᵀ, [D, D], for weights whose rows have the sum 1.
  ///
  /// With m_n = Σ_k w_nk c_k it is Σ_n (x_n - m_n)(x_n - m_n)ᵀ + Σ_{k<l} G_kl (c_k - c_l)(c_k - c_l)ᵀ, G = wᵀw: no difference of large
  /// numbers where centres are far from each other, and one product however many they are.
  package func scatter(within weights: Matrix, about centres: Matrix, team: ThreadTeam) -> Matrix {
    var residuals = Matrix.product(weights, centres)
    for i in residuals.elements.indices { residuals.elements[i] = elements[i] - residuals.elements[i] }
    var sum = residuals.scatter(about: [Double](repeating: 0, count: columns), team: team)
    let shared = Matrix.product(weights, weights, transposing: .left)
    // Row k: Σ_l G_kl (c_k - c_l).
    var pulls = Matrix(rows: centres.rows, columns: columns)
    for k in 0..<centres.rows {
      for l in 0..<centres.rows where l != k && shared[k, l] > 0 {
        for j in 0..<columns { pulls[k, j] += shared[k, l] * (centres[k, j] - centres[l, j]) }
      }
    }
    let between = Matrix.product(centres.subtracting(centres.mean()), pulls, transposing: .left).symmetrized
    for i in sum.elements.indices { sum.elements[i] += between.elements[i] }
    return sum
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
