import Basics

/// Where points of a kind may lie, by what is known of some of them: within the ball around each that reaches to its k-th
/// nearest neighbour (Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models").
///
/// With one of real and one of drawn points, precision and recall are (equations 1 and 2)
///
///     precision = 1/|drawn| Σ_drawn [in the real manifold],     recall = 1/|real| Σ_real [in the drawn manifold]
public struct NeighbourManifold: Sendable {
  /// The paper's k.
  public static let standardNeighbours = 3

  /// [N, D]
  public let points: Matrix
  /// Of each point, the square of its distance from the k-th nearest other one.
  public let squaredRadii: [Double]

  /// - Parameters:
  ///   - points: [N, D].
  ///   - k: which neighbour a ball reaches to.
  /// - Precondition: N > k > 0.
  public init(_ points: Matrix, neighbours k: Int = standardNeighbours) {
    precondition(k > 0 && points.rows > k, "\(points.rows) points have no \(k) neighbours each")
    self.points = points
    squaredRadii = (0..<points.rows).map { i in
      var distances = points.squaredDistances(from: points, row: i)
      distances.remove(at: i)
      return distances.sorted()[k - 1]
    }
  }

  /// The share of the rows that lie within it.
  /// - Parameter rows: [M, D], at least one.
  public func share(of rows: Matrix) -> Double {
    let inside = (0..<rows.rows).count { i in
      zip(points.squaredDistances(from: rows, row: i), squaredRadii).contains { $0 <= $1 }
    }
    return Double(inside) / Double(rows.rows)
  }
}

extension Matrix {
  /// ‖x_n - y‖² of each row, y being a row of another matrix. By differences, so that equal points are at 0.
  fileprivate func squaredDistances(from other: Matrix, row: Int) -> [Double] {
    precondition(columns == other.columns, "rows of \(columns) and of \(other.columns) numbers")
    return elements.withUnsafeBufferPointer { x in
      other.elements.withUnsafeBufferPointer { y in
        (0..<rows).map { n in
          var sum = 0.0
          for j in 0..<columns {
            let difference = x[n * columns + j] - y[row * columns + j]
            sum += difference * difference
          }
          return sum
        }
      }
    }
  }
}
