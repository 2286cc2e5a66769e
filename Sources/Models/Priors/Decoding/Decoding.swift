import Basics
import CKernels
import TensorCore

/// A weight laid out for products with few rows, as in decoding token by token: bfloat16 in panels of outputs.
///
/// Every output is summed over the inputs in one fixed order, so that a row's result is the same bit for bit however
/// many rows and threads take part.
package struct PackedWeight: @unchecked Sendable {
  /// N
  package let outputs: Int
  /// K
  package let inputs: Int
  private let packed: Storage
  private let bias: Tensor?

  /// Outputs in a panel.
  private static let panelWidth = 32

  /// - Parameters:
  ///   - weight: [N, K]
  ///   - bias: [N], float32.
  package init(weight: Tensor, bias: Tensor?) {
    (outputs, inputs) = (weight.shape[0], weight.shape[1])
    packed = Storage(byteCount: ck_packed_size(outputs, inputs))
    self.bias = bias
    ck_pack(weight.floats, packed.base.assumingMemoryBound(to: UInt16.self), outputs, inputs)
  }

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
      packed.base.assumingMemoryBound(to: UInt16.self), bias?.floats, x.floats, inputs, y.floats, outputs, rows,
      outputs, inputs, range.lowerBound / Self.panelWidth, (range.upperBound + Self.panelWidth - 1) / Self.panelWidth,
      accumulate)
  }
}

/// The keys and values of a transformer's layers for the positions seen so far, kept as bfloat16 and written in place.
/// Each layer has them in an order in which what its mask lets a position see lies together, and nothing else is read.
package struct KeyValueCache: @unchecked Sendable {
  /// [layers, sequences, width, length] and room for reading on: see `ck_cache_keys` for why the positions lie side by
  /// side.
  private let keys: Tensor
  /// [layers, sequences, length, width]
  private let values: Tensor
  private let masks: [AttentionMask]
  private let sequences, width, heads: Int
  /// Positions that there is room for.
  private let length: Int
  /// The number of elements that ``attend`` needs of scratch memory.
  package let scratchLength: Int

  /// - Parameters:
  ///   - masks: of each layer.
  ///   - length: positions that there must be room for; for a sparse mask textLength + gridSide².
  package init(masks: [AttentionMask], sequences: Int, length: Int, width: Int, heads: Int) {
    precondition(masks.allSatisfy { $0.kind == .full || $0.textLength + $0.gridSide * $0.gridSide <= length })
    let multiple = Int(CK_CACHE_MULTIPLE)
    self.length = (length + multiple - 1) / multiple * multiple
    scratchLength = self.length + multiple
    self.masks = masks
    keys = .zeros([masks.count * sequences * width * self.length + multiple], type: .bfloat16)
    values = .zeros([masks.count, sequences, self.length, width], type: .bfloat16)
    (self.sequences, self.width, self.heads) = (sequences, width, heads)
  }

  private func start(_ tensor: Tensor, _ layer: Int, _ sequence: Int) -> UnsafeMutablePointer<UInt16> {
    tensor.pointer.assumingMemoryBound(to: UInt16.self) + (layer * sequences + sequence) * length * width
  }

  /// Keeps the keys and values among the outputs `range` of one row of queries, keys and values.
  /// - Parameter row: the row of `qkv` [.., 3·width].
  package func store(_ qkv: Tensor, row: Int, range: Range<Int>, layer: Int, sequence: Int, position: Int) {
    let source = qkv.floats + row * 3 * width
    let slot = masks[layer].withKernelMask { ck_attention_slot($0, position) }
    let keyRange = range.clamped(to: width..<2 * width)
    if !keyRange.isEmpty {
      ck_cache_keys(
        source + keyRange.lowerBound, start(keys, layer, sequence) + (keyRange.lowerBound - width) * length, length,
        slot, keyRange.count)
    }
    let valueRange = range.clamped(to: 2 * width..<3 * width)
    if !valueRange.isEmpty {
      ck_cache_values(
        source + valueRange.lowerBound,
        start(values, layer, sequence) + slot * width + valueRange.lowerBound - 2 * width, valueRange.count)
    }
  }

  /// One head's attention of one row's query to what the one at `position` of its sequence sees.
  /// - Parameters:
  ///   - scores: at least ``scratchLength`` numbers of scratch memory, the calling thread's own.
  ///   - result: [.., width], written in place at the row and head.
  package func attend(
    _ qkv: Tensor, row: Int, head: Int, layer: Int, sequence: Int, position: Int, scores: Tensor, into result: Tensor
  ) {
    let D = width / heads
    masks[layer].withKernelMask { mask in
      ck_decode_attention(
        qkv.floats + row * 3 * width + head * D, start(keys, layer, sequence) + head * D * length,
        start(values, layer, sequence) + head * D, length, width, mask, position, D, scores.floats,
        result.floats + row * width + head * D)
    }
  }
}

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
