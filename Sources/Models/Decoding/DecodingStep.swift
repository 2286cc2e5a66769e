import CKernels
import TensorCore

/// In-place steps of decoding between the products.
package enum DecodingStep {
  /// How many rows of scratch memory to make for so many that are needed: a power of two, and no fewer than there are.
  /// Decoders that are given now many rows of few sequences and now few rows of many would make their memory anew for
  /// ever otherwise.
  package static func rowsToMake(for needed: Int, having present: Int) -> Int {
    let most = max(needed, present, 1)
    return 1 << (Int.bitWidth - (most - 1).leadingZeroBitCount)
  }

  /// y = layerNorm(x) for the first `rows` rows.
  /// - Parameter statistics: at least 2·rows numbers of scratch memory.
  package static func layerNorm(
    _ x: Tensor, rows: Int, gain: Tensor, bias: Tensor, into y: Tensor, statistics: Tensor, epsilon: Float = 1e-5
  ) {
    ck_layer_norm(
      CK_FLOAT32, x.floats, gain.floats, bias.floats, CK_FLOAT32, y.floats, statistics.floats,
      statistics.floats + rows, rows, x.lastDimension, epsilon)
  }

  /// y = rmsNorm(x) for the first `rows` rows.
  package static func rootMeanSquareNorm(_ x: Tensor, rows: Int, gain: Tensor, into y: Tensor, epsilon: Float) {
    ck_rms_norm(x.floats, gain.floats, y.floats, rows, x.lastDimension, epsilon)
  }

  /// Rotary positions (Su et al. 2021) for one head of a row: channel i of its first half is paired with channel i of its second
  /// one.
  /// - Parameters:
  ///   - x: [.., columns]
  ///   - column: the head's first.
  ///   - cosines: [positions, D/2], of the angles.
  ///   - sines: the same.
  package static func rotate(_ x: Tensor, row: Int, column: Int, position: Int, cosines: Tensor, sines: Tensor) {
    let half = cosines.lastDimension
    ck_rotate_halves(
      x.floats + row * x.lastDimension + column, cosines.floats + position * half, sines.floats + position * half,
      2 * half)
  }

  /// SwiGLU (Shazeer 2020) where the gates and what they let through lie side by side, a panel of each in turn:
  /// y = silu(gate)·up for the columns `range` of the first `rows` rows.
  /// - Parameters:
  ///   - pairs: [.., 2·C]
  ///   - range: whole pairs of panels.
  ///   - y: [.., C]
  package static func swiGLU(_ pairs: Tensor, rows: Int, range: Range<Int>, into y: Tensor) {
    let panel = PackedWeight.panelWidth
    for row in 0..<rows {
      for column in stride(from: range.lowerBound, to: range.upperBound, by: 2 * panel) {
        let gate = pairs.floats + row * pairs.lastDimension + column
        ck_swiglu(gate, gate + panel, y.floats + row * y.lastDimension + column / 2, panel)
      }
    }
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

  /// target[i] = source[row], as float32.
  package static func copyRow(_ source: Tensor, _ row: Int, into target: Tensor, _ i: Int) {
    let C = target.lastDimension
    ck_convert(source.kernelType, source.pointer + row * C * source.type.size, CK_FLOAT32, target.floats + i * C, C)
  }
}
