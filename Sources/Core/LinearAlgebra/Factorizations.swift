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
