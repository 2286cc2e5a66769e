import CKernels
import TensorCore

/// In-place steps of decoding between the products.
package enum DecodingStep {
  /// y = layerNorm(x) for the first `rows` rows.
  /// - Parameter statistics: at least 2·rows numbers of scratch memory.
  package static func layerNorm(
    _ x: Tensor, rows: Int, gain: Tensor, bias: Tensor, into y: Tensor, statistics: Tensor, epsilon: Float = 1e-5
  ) {
    ck_layer_norm(
      CK_FLOAT32, x.floats, gain.floats, bias.floats, CK_FLOAT32, y.floats, statistics.floats,
      statistics.floats + rows, rows, x.lastDimension, epsilon)
  }

  /// x = f(x) for the columns `range` of the first `rows` rows.
  package static func apply(_ function: ElementwiseFunction, to x: Tensor, rows: Int, range: Range<Int>) {
    for row in 0..<rows {
      let start = x.floats + row * x.lastDimension + range.lowerBound
      ck_apply(function.kernel, CK_FLOAT32, start, CK_FLOAT32, start, range.count)
    }
  }

  /// target[row] = a[i] + b[j]
  package static func addRows(_ a: Tensor, _ i: Int, _ b: Tensor, _ j: Int, into target: Tensor, row: Int) {
    let C = target.lastDimension
    ck_combine(
      CK_FLOAT32, a.floats + i * C, 1, CK_FLOAT32, b.floats + j * C, 1, CK_FLOAT32, target.floats + row * C, C)
  }

  /// target[i] = source[row]
  package static func copyRow(_ source: Tensor, _ row: Int, into target: Tensor, _ i: Int) {
    let C = target.lastDimension
    (target.floats + i * C).update(from: source.floats + row * C, count: C)
  }
}
