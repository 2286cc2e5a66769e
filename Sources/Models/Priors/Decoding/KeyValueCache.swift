import CKernels
import TensorCore

/// The keys and values of a transformer's layers for the positions of a sequence that were seen so far, kept as bfloat16 and
/// written in place. Each layer has them in an order in which what its mask lets a position see lies together, and nothing
/// else is read.
package final class KeyValueCache: @unchecked Sendable {
  /// Of each layer and head: see `ck_cache_keys` for their order.
  private let keys: Tensor
  /// Of each layer and head, and room for reading on.
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
    (self.width, self.heads) = (width, heads)
    let layerHeads = masks.count * heads
    keys = .zeros([layerHeads * self.length * 2 * Self.pairs(width / heads)], type: .bfloat16)
    values = .zeros([layerHeads * self.length * (width / heads) + multiple], type: .bfloat16)
  }

  private static func pairs(_ channels: Int) -> Int { (channels + 1) / 2 }
  /// D
  private var headWidth: Int { width / heads }
  /// Where a head's keys begin.
  private func firstKey(_ layer: Int, head: Int = 0) -> Int {
    (layer * heads + head) * length * 2 * Self.pairs(headWidth)
  }
  /// Where a head's values begin.
  private func firstValue(_ layer: Int, head: Int = 0) -> Int { (layer * heads + head) * length * headWidth }

  /// The number of elements that ``attend`` needs of scratch memory where there is room for `length` positions.
  package static func scratchLength(length: Int) -> Int {
    let multiple = Int(CK_CACHE_MULTIPLE)
    return (length + multiple - 1) / multiple * multiple + multiple
  }

  /// Keeps the keys and values among the outputs `range` of one row of queries, keys and values.
  /// - Parameter row: the row of `qkv` [.., 3·width].
  package func store(_ qkv: Tensor, row: Int, range: Range<Int>, layer: Int, position: Int) {
    let source = qkv.floats + row * 3 * width
    let slot = masks[layer].withKernelMask { ck_attention_slot($0, position) }
    let keyRange = range.clamped(to: width..<2 * width)
    ck_cache_keys(
      source + width, start(keys) + firstKey(layer), length, slot, headWidth,
      keyRange.lowerBound - width, keyRange.count)
    let valueRange = range.clamped(to: 2 * width..<3 * width)
    ck_cache_values(
      source + 2 * width, start(values) + firstValue(layer), length, slot, headWidth,
      valueRange.lowerBound - 2 * width, valueRange.count)
  }

  /// Some heads' attention of one row's queries to what the one at `position` sees.
  /// - Parameters:
  ///   - scores: at least ``scratchLength(length:)`` numbers of scratch memory, the calling thread's own.
  ///   - result: [.., width], written in place at the row and heads.
  package func attend(
    _ qkv: Tensor, row: Int, heads: Range<Int>, layer: Int, position: Int, scores: Tensor, into result: Tensor
  ) {
    let D = headWidth
    masks[layer].withKernelMask { mask in
      for head in heads {
        ck_decode_attention(
          qkv.floats + row * 3 * width + head * D, start(keys) + firstKey(layer, head: head),
          start(values) + firstValue(layer, head: head), length, mask, position, D, scores.floats,
          result.floats + row * width + head * D)
      }
    }
  }

  private func start(_ tensor: Tensor) -> UnsafeMutablePointer<UInt16> {
    tensor.pointer.assumingMemoryBound(to: UInt16.self)
  }
}
