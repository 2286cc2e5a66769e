import Foundation
import LinearAlgebra

func matrix(_ rows: [[Double]]) -> Matrix {
  Matrix(rows.flatMap(\.self), rows: rows.count, columns: rows[0].count)
}

func diagonal(_ values: [Double]) -> Matrix {
  matrix(values.indices.map { i in values.indices.map { $0 == i ? values[i] : 0 } })
}

/// A rotation by Givens rotations in several planes.
func rotation(_ size: Int) -> Matrix {
  var result = diagonal(Array(repeating: 1, count: size))
  for i in 0..<size - 1 {
    let (c, s) = (cos(0.3 + Double(i)), sin(0.3 + Double(i)))
    for row in 0..<size {
      let (a, b) = (result[row, i], result[row, i + 1])
      (result[row, i], result[row, i + 1]) = (c * a - s * b, s * a + c * b)
    }
  }
  return result
}
