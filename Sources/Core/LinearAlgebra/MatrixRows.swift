// Rows and columns of a matrix as matrices.
extension Matrix {
  /// The rows of `range`.
  public func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      Array(elements[range.lowerBound * columns..<range.upperBound * columns]), rows: range.count, columns: columns)
  }

  /// The rows at `indices`, in their order.
  package func selecting(_ indices: some Collection<Int>) -> Matrix {
    var selected: [Double] = []
    selected.reserveCapacity(indices.count * columns)
    for index in indices { selected += row(index) }
    return Matrix(selected, rows: indices.count, columns: columns)
  }

  /// At most `count` rows, evenly spread.
  public func spread(over count: Int) -> Matrix {
    count >= rows ? self : selecting((0..<rows).spread(over: count))
  }

  package func clamped(to range: ClosedRange<Double>) -> Matrix {
    Matrix(elements.map { min(max($0, range.lowerBound), range.upperBound) }, rows: rows, columns: columns)
  }

  /// The columns of `range`.
  package func columns(_ range: Range<Int>) -> Matrix {
    Matrix((0..<rows).flatMap { row in range.map { self[row, $0] } }, rows: rows, columns: range.count)
  }

  /// Each row less `vector`.
  package func subtracting(_ vector: [Double]) -> Matrix {
    precondition(vector.count == columns, "\(vector.count) numbers from rows of \(columns)")
    var result = elements
    result.withUnsafeMutableBufferPointer { result in
      for row in 0..<rows {
        for column in 0..<columns { result[row * columns + column] -= vector[column] }
      }
    }
    return Matrix(result, rows: rows, columns: columns)
  }

  /// Whether all elements are finite.
  public var isFinite: Bool { elements.allSatisfy { ($0 - $0) == 0 } }
}

extension [Double] {
  /// The mean; not of nothing.
  public var mean: Double { reduce(0, +) / Double(count) }
}
