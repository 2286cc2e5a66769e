import Basics
import CKernels
import TensorCore

/// How the weights of products are kept where pictures are drawn: what a drawn token costs is reading them.
public enum WeightPrecision: String, Codable, Sendable, CaseIterable {
  case float32, bfloat16
  /// Whole numbers with a scale in bfloat16 for every 128 inputs of an output.
  case int8
  /// Whole numbers with a scale in bfloat16 for every 32 inputs of an output.
  case int4

  fileprivate var panels: ck_panel_format {
    switch self {
    case .float32: CK_PANELS_FLOAT32
    case .bfloat16: CK_PANELS_BFLOAT16
    case .int8: CK_PANELS_INT8
    case .int4: CK_PANELS_INT4
    }
  }
}

/// A weight laid out in panels of outputs for products with few rows, as in decoding token by token. The rows are rounded
/// alike, to bfloat16 or whole numbers, and products are summed as float32.
///
/// Every output is summed over the inputs in one fixed order, so that a row's result is the same bit for bit however
/// many rows and threads take part.
package struct PackedWeight: @unchecked Sendable {
  /// N
  package let outputs: Int
  /// K
  package let inputs: Int
  private let precision: WeightPrecision
  private let packed: UnsafeRawPointer
  private let owner: AnyObject
  private let bias: Tensor?

  /// Outputs in a panel.
  package static let panelWidth = 32

  /// - Parameters:
  ///   - weight: [N, K], float32.
  ///   - bias: [N], float32.
  ///   - memory: that has room for it; some of its own where nil.
  package init(
    weight: Tensor, bias: Tensor?, as precision: WeightPrecision = .bfloat16, in memory: PackedMemory? = nil
  ) {
    let size = Self.byteCount(outputs: weight.shape[0], inputs: weight.shape[1], as: precision)
    let memory = memory ?? PackedMemory(byteCount: size)
    let packed = memory.take(size)
    Self.pack(weight, as: precision, into: packed)
    self.init(
      UnsafeRawPointer(packed), keptBy: memory, outputs: weight.shape[0], inputs: weight.shape[1], as: precision,
      bias: bias)
  }

  /// One that is packed already.
  /// - Parameters:
  ///   - packed: ``byteCount(outputs:inputs:as:)`` bytes.
  ///   - owner: who keeps them where they are for as long as it lives.
  package init(
    _ packed: UnsafeRawPointer, keptBy owner: AnyObject, outputs: Int, inputs: Int, as precision: WeightPrecision,
    bias: Tensor? = nil
  ) {
    (self.packed, self.owner, self.outputs, self.inputs) = (packed, owner, outputs, inputs)
    (self.precision, self.bias) = (precision, bias)
  }

  /// The number of bytes that a weight [N, K] takes up in bfloat16.
  package static func byteCount(of weight: Tensor) -> Int {
    byteCount(outputs: weight.shape[0], inputs: weight.shape[1], as: .bfloat16)
  }

  package static func byteCount(outputs: Int, inputs: Int, as precision: WeightPrecision) -> Int {
    ck_packed_size(precision.panels, outputs, inputs)
  }

  /// Packs a weight, or whole panels of one.
  /// - Parameters:
  ///   - weight: [N, K], float32.
  ///   - packed: room for ``byteCount(outputs:inputs:as:)`` bytes.
  package static func pack(_ weight: Tensor, as precision: WeightPrecision, into packed: UnsafeMutableRawPointer) {
    ck_pack(precision.panels, weight.floats, packed, weight.shape[0], weight.shape[1])
  }

  /// Reads memory as weights are read, and does next to nothing with it: to measure how fast that can be.
  package static func touch(_ memory: UnsafeRawPointer, byteCount: Int, into sum: Tensor) {
    ck_touch(memory, byteCount, sum.floats)
  }

  /// The outputs that are a thread's part.
  /// - Parameter panels: how many stay together.
  package func share(of thread: Int, in team: ThreadTeam, panels: Int = 1) -> Range<Int> {
    team.range(of: thread, total: outputs, multiple: panels * Self.panelWidth)
  }

  /// y[r, n] (+)= Σ x[r, k]·w[n, k] + b[n] for r in 0 ..< rows and n in `range`, as ``share(of:in:panels:)`` gives it.
  ///
  /// - Parameters:
  ///   - x: [.., K], float32.
  ///   - y: [.., N], float32, written in place.
  package func multiply(_ x: Tensor, rows: Int, into y: Tensor, range: Range<Int>, accumulate: Bool = false) {
    guard !range.isEmpty else { return }
    ck_packed_product(
      precision.panels, packed, bias?.floats, x.floats, inputs, y.floats, outputs, rows,
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
  package func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
    defer { used += byteCount }
    return storage.base + used
  }
}
