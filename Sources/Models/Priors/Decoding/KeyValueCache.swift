import CKernels
import TensorCore

/// The keys and values of a transformer's layers for the positions of a sequence that were seen so far, kept as bfloat16 and
/// written in place. Each layer has them in an order in which what its mask lets a position see lies together, and nothing
/// else is read.
package final class KeyValueCache: @unchecked Sendable {
  /// [layers, width, length] and room for reading on: see `ck_cache_keys` for why the positions lie side by side.
  private let keys: Tensor
  /// [layers, length, width]
  private let values: Tensor
  private let masks: [AttentionMask]
  private let width, heads: Int
  /// Positions that there is room for.
  private let length: Int

  /// - Parameters:
  ///   - masks: of each layer.
  ///   - length: positions that there must be room for; for a sparse mask textLength + gridSide².
  package init(masks: [AttentionMask], length: Int, width: Int, heads: Int) {
    precondition(masks.allSatisfy { $0.kind == .full || $0.textLength + $0.gridSide * $0.gridSide <= length })
    let multiple = Int(CK_CACHE_MULTIPLE)
    self.length = Self.scratchLength(length: length) - multiple
    self.masks = masks
    keys = .zeros([masks.count * width * self.length + multiple], type: .bfloat16)
    values = .zeros([masks.count, self.length, width], type: .bfloat16)
    (self.width, self.heads) = (width, heads)
  }

  /// The number of elements that ``attend`` needs of scratch memory where there is room for `length` positions.
  package static func scratchLength(length: Int) -> Int {
    let multiple = Int(CK_CACHE_MULTIPLE)
    return (length + multiple - 1) / multiple * multiple + multiple
  }

  private func start(_ tensor: Tensor, _ layer: Int) -> UnsafeMutablePointer<UInt16> {
    tensor.pointer.assumingMemoryBound(to: UInt16.self) + layer * length * width
  }

  /// Keeps the keys and values among the outputs `range` of one row of queries, keys and values.
  /// - Parameter row: the row of `qkv` [.., 3·width].
  package func store(_ qkv: Tensor, row: Int, range: Range<Int>, layer: Int, position: Int) {
    let source = qkv.floats + row * 3 * width
    let slot = masks[layer].withKernelMask { ck_attention_slot($0, position) }
    let keyRange = range.clamped(to: width..<2 * width)
    if !keyRange.isEmpty {
      ck_cache_keys(
        source + keyRange.lowerBound, start(keys, layer) + (keyRange.lowerBound - width) * length, length,
        slot, keyRange.count)
    }
    let valueRange = range.clamped(to: 2 * width..<3 * width)
    if !valueRange.isEmpty {
      ck_cache_values(
        source + valueRange.lowerBound,
        start(values, layer) + slot * width + valueRange.lowerBound - 2 * width, valueRange.count)
    }
  }

  /// One head's attention of one row's query to what the one at `position` sees.
  /// - Parameters:
  ///   - scores: at least ``scratchLength(length:)`` numbers of scratch memory, the calling thread's own.
  ///   - result: [.., width], written in place at the row and head.
  package func attend(
    _ qkv: Tensor, row: Int, head: Int, layer: Int, position: Int, scores: Tensor, into result: Tensor
  ) {
    let D = width / heads
    masks[layer].withKernelMask { mask in
      ck_decode_attention(
        qkv.floats + row * 3 * width + head * D, start(keys, layer) + head * D * length,
        start(values, layer) + head * D, length, width, mask, position, D, scores.floats,
        result.floats + row * width + head * D)
    }
  }
}
