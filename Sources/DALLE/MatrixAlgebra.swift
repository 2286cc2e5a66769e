import TensorCore

// What the Fréchet distance needs of matrices, in words.
extension Matrix {
  /// Each row less `vector`.
  func subtracting(_ vector: [Double]) -> Matrix {
    precondition(vector.count == columns, "\(vector.count) numbers from rows of \(columns)")
    var result = elements
    result.withUnsafeMutableBufferPointer { result in
      for row in 0..<rows {
        for column in 0..<columns { result[row * columns + column] -= vector[column] }
      }
    }
    return Matrix(result, rows: rows, columns: columns)
  }

  var trace: Double { (0..<min(rows, columns)).reduce(0) { $0 + self[$1, $1] } }

  /// (A + Aᵀ)/2: what rounding has made unequal is equal again.
  var symmetrized: Matrix {
    var result = self
    for row in 0..<rows {
      for column in 0..<columns { result[row, column] = (self[row, column] + self[column, row]) / 2 }
    }
    return result
  }
}
