/// A dense, row-major matrix of Float64: what the classical models compute with. One row is one point x ∈ ℝ^D.
public struct Matrix: Sendable, Equatable {
  public let rows, columns: Int
  /// Row-major, rows·columns.
  public var elements: [Double]

  public init(_ elements: [Double], rows: Int, columns: Int) {
    precondition(elements.count == rows * columns, "\(elements.count) elements do not fill \(rows)×\(columns)")
    (self.elements, self.rows, self.columns) = (elements, rows, columns)
  }

  public init(repeating value: Double = 0, rows: Int, columns: Int) {
    self.init(Array(repeating: value, count: rows * columns), rows: rows, columns: columns)
  }

  public subscript(row: Int, column: Int) -> Double {
    get { elements[row * columns + column] }
    set { elements[row * columns + column] = newValue }
  }

  public func row(_ index: Int) -> ArraySlice<Double> { elements[index * columns..<(index + 1) * columns] }
}
