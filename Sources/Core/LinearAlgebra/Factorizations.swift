import Basics
import CKernels

// Over LAPACK, in float64.
extension Matrix {
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

  package var trace: Double { (0..<min(rows, columns)).reduce(0) { $0 + self[$1, $1] } }

  /// (A + Aᵀ)/2: what rounding has made unequal is equal again.
  package var symmetrized: Matrix {
    var result = self
    for row in 0..<rows {
      for column in 0..<columns { result[row, column] = (self[row, column] + self[column, row]) / 2 }
    }
    return result
  }
}

extension Matrix {
  /// Σ of the products of elements, tr(A·Bᵀ).
  package func dot(_ other: Matrix) -> Double { zip(elements, other.elements).reduce(0) { $0 + $1.0 * $1.1 } }

  /// Replaces rows so that all rows are orthonormal, as the first ones have to be: each by that unit axis of which the rows
  /// before leave most, without what they have of it (Gram & Schmidt).
  package mutating func orthonormalize(rowsFrom first: Int) {
    for row in first..<max(first, rows) {
      let taken = (0..<columns).map { j in (0..<row).reduce(0) { $0 + self[$1, j] * self[$1, j] } }
      let axis = taken.indices.min { taken[$0] < taken[$1] } ?? 0
      var vector = taken.indices.map { $0 == axis ? 1.0 : 0 }
      // The second time takes what rounding has left.
      for _ in 0..<2 {
        for k in 0..<row {
          let part = zip(self.row(k), vector).reduce(0) { $0 + $1.0 * $1.1 }
          for j in 0..<columns { vector[j] -= part * self[k, j] }
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for j in 0..<columns { vector[j] /= length }
      }
      for j in 0..<columns { self[row, j] = vector[j] }
    }
  }
}
