import Basics
import CKernels
import TensorCore

/// A weight laid out for products with few rows, as in decoding token by token: bfloat16 in panels of outputs. The rows are
/// rounded to bfloat16, too, and products are summed as float32.
///
/// Every output is summed over the inputs in one fixed order, so that a row's result is the same bit for bit however
/// many rows and threads take part.
package struct PackedWeight: @unchecked Sendable {
  /// N
  package let outputs: Int
  /// K
  package let inputs: Int
  private let packed: UnsafeMutablePointer<UInt16>
  private let memory: PackedMemory
  private let bias: Tensor?

  /// Outputs in a panel.
  private static let panelWidth = 32

  /// - Parameters:
  ///   - weight: [N, K]
  ///   - bias: [N], float32.
  ///   - memory: that has room for it; some of its own where nil.
  package init(weight: Tensor, bias: Tensor?, in memory: PackedMemory? = nil) {
    (outputs, inputs) = (weight.shape[0], weight.shape[1])
    self.bias = bias
    let size = Self.byteCount(of: weight)
    self.memory = memory ?? PackedMemory(byteCount: size)
    packed = self.memory.take(size)
    ck_pack(weight.floats, packed, outputs, inputs)
  }

  /// The number of bytes that a weight [N, K] takes up.
  package static func byteCount(of weight: Tensor) -> Int { ck_packed_size(weight.shape[0], weight.shape[1]) }

  /// The outputs that are a thread's part.
  package func share(of thread: Int, in team: ThreadTeam) -> Range<Int> {
    team.range(of: thread, total: outputs, multiple: Self.panelWidth)
  }

  /// y[r, n] (+)= Σ x[r, k]·w[n, k] + b[n] for r in 0 ..< rows and n in `range`, as ``share(of:in:)`` gives it.
  ///
  /// - Parameters:
  ///   - x: [.., K], float32.
  ///   - y: [.., N], float32, written in place.
  package func multiply(_ x: Tensor, rows: Int, into y: Tensor, range: Range<Int>, accumulate: Bool = false) {
    guard !range.isEmpty else { return }
    ck_packed_product(
      packed, bias?.floats, x.floats, inputs, y.floats, outputs, rows,
      outputs, inputs, range.lowerBound / Self.panelWidth, (range.upperBound + Self.panelWidth - 1) / Self.panelWidth,
      accumulate)
  }
}

/// Where packed weights lie side by side. All of a model's are read at every step: one piece takes few huge pages, where a
/// piece each would fill the address translation cache.
package final class PackedMemory: @unchecked Sendable {
  private let storage: Storage
  private var used = 0

  package init(byteCount: Int) { storage = Storage(byteCount: byteCount) }

  /// The next bytes, whole panels of them.
  fileprivate func take(_ byteCount: Int) -> UnsafeMutablePointer<UInt16> {
    defer { used += byteCount }
    return (storage.base + used).assumingMemoryBound(to: UInt16.self)
  }
}
