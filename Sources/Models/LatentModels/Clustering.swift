import Basics
import LinearAlgebra

/// A rung with a discrete latent variable y of K values, which sorts rows into kinds that nobody has named.
public protocol ClusteringModel: GenerativeModel {
  /// K
  var components: Int { get }

  /// p(y | x) or what stands for it: [N, K].
  /// - Throws: as ``GenerativeModel/logLikelihood(_:seed:)``.
  func responsibilities(_ x: Matrix) throws(PipelineError) -> Matrix

  /// Draws from p(x | y): [count, D]. Row i of a seed is the same whatever the count.
  /// - Parameters:
  ///   - count: rows to draw.
  ///   - component: y, from 0.
  ///   - seed: names the random numbers.
  /// - Throws: `PipelineError` of kind `.usage` where there is no such component.
  func sample(_ count: Int, component: Int, seed: UInt64) throws(PipelineError) -> Matrix
}

extension ClusteringModel {
  /// p(y | x), [N, K], and the most probable y, [N, 1].
  func componentArrays(_ x: Matrix) throws(PipelineError) -> [LatentArray] {
    let responsibilities = try responsibilities(x)
    let components = mostProbable(responsibilities).map(Double.init)
    return [
      LatentArray("responsibilities", responsibilities),
      LatentArray("component", Matrix(components, rows: x.rows, columns: 1), areIntegers: true),
    ]
  }

  /// The most probable y of each row.
  /// - Throws: as ``responsibilities(_:)``.
  public func cluster(_ x: Matrix) throws(PipelineError) -> [Int] {
    mostProbable(try responsibilities(x))
  }

  private func mostProbable(_ responsibilities: Matrix) -> [Int] {
    (0..<responsibilities.rows).map { n in
      let row = responsibilities.row(n)
      return (row.indices.max { row[$0] < row[$1] } ?? row.startIndex) - row.startIndex
    }
  }

  func checkComponent(_ component: Int) throws(PipelineError) {
    guard (0..<components).contains(component) else {
      throw PipelineError(
        .usage, "there is no component \(component): the model has \(components), counted from 0")
    }
  }
}

/// How well clusters meet classes (Jiang et al. 2017, section 4.3):
///
///     accuracy = max_m Σ_n [l_n = m(c_n)] / N
///
/// over all ways m of giving each cluster a class of its own, the best of which is an assignment problem.
/// - Parameters:
///   - clusters: c, [N].
///   - labels: l, [N]; any numbers, equal for rows of one class.
/// - Returns: 0 ... 1.
/// - Throws: `PipelineError` of kind `.badData` where there are no rows, or not as many labels as rows.
public func clusteringAccuracy(clusters: [Int], labels: [Int]) throws(PipelineError) -> Double {
  guard clusters.count == labels.count, !clusters.isEmpty else {
    throw PipelineError(.badData, "there are \(labels.count) labels for \(clusters.count) rows")
  }
  let numberOf = { (values: [Int]) in
    Dictionary(uniqueKeysWithValues: Set(values).sorted().enumerated().map { ($1, $0) })
  }
  // The fewer of the two choose among the more; the accuracy is the same either way.
  let sides = [clusters, labels].map { (values: $0, numbers: numberOf($0)) }
    .sorted { $0.numbers.count < $1.numbers.count }
  let (rows, columns) = (sides[0], sides[1])
  var gains = [[Int]](repeating: Array(repeating: 0, count: columns.numbers.count), count: rows.numbers.count)
  for (row, column) in zip(rows.values, columns.values) {
    gains[rows.numbers[row] ?? 0][columns.numbers[column] ?? 0] += 1
  }
  let assignment = bestAssignment(gains)
  let met = assignment.enumerated().reduce(0) { $0 + gains[$1.offset][$1.element] }
  return Double(met) / Double(clusters.count)
}

/// The column of each row such that no two rows share one and the sum of gains is largest: the Hungarian method (Kuhn
/// 1955) with potentials, in time N²·M.
/// - Parameter gains: [N][M], M not below N.
func bestAssignment(_ gains: [[Int]]) -> [Int] {
  let (n, m) = (gains.count, gains.first?.count ?? 0)
  // Row 0 and column 0 stand for "none yet"; costs are negative gains.
  var rowPotential = [Int](repeating: 0, count: n + 1)
  var columnPotential = [Int](repeating: 0, count: m + 1)
  var rowOfColumn = columnPotential
  for row in 1...max(1, n) where row <= n {
    rowOfColumn[0] = row
    var column = 0
    var slack = [Int](repeating: .max, count: m + 1)
    var previous = [Int](repeating: 0, count: m + 1)
    var visited = [Bool](repeating: false, count: m + 1)
    // Grows a tree of tight edges from the row until a column that is free is reached.
    repeat {
      visited[column] = true
      let from = rowOfColumn[column]
      var (step, next) = (Int.max, 0)
      for j in 1...m where !visited[j] {
        let reduced = -gains[from - 1][j - 1] - rowPotential[from] - columnPotential[j]
        if reduced < slack[j] { (slack[j], previous[j]) = (reduced, column) }
        if slack[j] < step { (step, next) = (slack[j], j) }
      }
      for j in 0...m {
        if visited[j] {
          rowPotential[rowOfColumn[j]] += step
          columnPotential[j] -= step
        } else if slack[j] != .max {
          slack[j] -= step
        }
      }
      column = next
    } while rowOfColumn[column] != 0
    // Turns the path around: each of its columns takes the row before.
    while column != 0 {
      rowOfColumn[column] = rowOfColumn[previous[column]]
      column = previous[column]
    }
  }
  var columnOfRow = [Int](repeating: 0, count: n)
  for column in 1...max(1, m) where column <= m && rowOfColumn[column] > 0 {
    columnOfRow[rowOfColumn[column] - 1] = column - 1
  }
  return columnOfRow
}
