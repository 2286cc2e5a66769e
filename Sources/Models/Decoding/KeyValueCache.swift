import Basics
import CKernels
import TensorCore

/// The keys and values of a transformer's layers for the positions of a sequence that were seen so far, written in place. Each
/// layer has them in an order in which what its mask lets a position see lies together, and nothing else is read.
///
/// They are kept as bfloat16, or as float32 where every layer sees all that came before.
package final class KeyValueCache: @unchecked Sendable {
  /// Of each layer and head: see `ck_cache_keys` for their order.
  private let keys: Tensor
  /// Of each layer and head, and room for reading on.
  private let values: Tensor
  private let masks: [AttentionMask]
  private let headWidth, heads, keyHeads: Int
  /// Positions that there is room for.
  private let length: Int

  /// - Parameters:
  ///   - masks: of each layer.
  ///   - length: positions that there must be room for; for a sparse mask textLength + gridSide².
  ///   - headWidth: D
  ///   - heads: of queries.
  ///   - keyHeads: of keys and values, each shared by as many heads of queries (Ainslie et al. 2023); `heads` where nil.
  ///   - type: what keys and values are kept as.
  package init(
    masks: [AttentionMask], length: Int, headWidth: Int, heads: Int, keyHeads: Int? = nil,
    type: ElementType = .bfloat16
  ) {
    precondition(masks.allSatisfy { $0.kind == .full || $0.textLength + $0.gridSide * $0.gridSide <= length })
    precondition(type == .bfloat16 || masks.allSatisfy { $0.kind == .full })
    let multiple = Int(CK_CACHE_MULTIPLE)
    self.length = Self.scratchLength(length: length) - multiple
    self.masks = masks
    (self.headWidth, self.heads, self.keyHeads) = (headWidth, heads, keyHeads ?? heads)
    let layerHeads = masks.count * self.keyHeads
    keys = Self.zeros(layerHeads * self.length * 2 * Self.pairs(headWidth), type)
    values = Self.zeros(layerHeads * self.length * headWidth + multiple, type)
  }

  /// One with the keys and values that another one holds.
  package init(copying other: KeyValueCache) {
    (masks, headWidth, heads, keyHeads, length) = (
      other.masks, other.headWidth, other.heads, other.keyHeads, other.length
    )
    (keys, values) = (Self.copy(of: other.keys), Self.copy(of: other.values))
  }

  /// Bytes from which on memory goes back to the system with a cache: sizes follow the prompts, and of large ones the pool of
  /// tensors would keep one of each.
  private static let largeByteCount = 8 << 20

  private static func zeros(_ count: Int, _ type: ElementType) -> Tensor {
    let byteCount = count * type.size
    if byteCount < largeByteCount { return .zeros([count], type: type) }
    // The system's fresh memory is zero.
    return Tensor(MappedBytes(byteCount: byteCount) { _ in }, shape: [count], type: type)
  }

  private static func copy(of tensor: Tensor) -> Tensor {
    let byteCount = tensor.count * tensor.type.size
    if byteCount >= largeByteCount {
      let bytes = MappedBytes(byteCount: byteCount) {
        $0.copyMemory(from: .init(start: tensor.pointer, count: byteCount))
      }
      return Tensor(bytes, shape: tensor.shape, type: tensor.type)
    }
    let copy = Tensor(uninitialized: tensor.shape, tensor.type)
    copy.pointer.copyMemory(from: tensor.pointer, byteCount: byteCount)
    return copy
  }

  private static func pairs(_ channels: Int) -> Int { (channels + 1) / 2 }
  /// The columns of a row of queries, keys and values.
  private var rowWidth: Int { (heads + 2 * keyHeads) * headWidth }
  /// Where a head's keys begin.
  private func firstKey(_ layer: Int, head: Int = 0) -> Int {
    (layer * keyHeads + head) * length * 2 * Self.pairs(headWidth)
  }
  /// Where a head's values begin.
  private func firstValue(_ layer: Int, head: Int = 0) -> Int { (layer * keyHeads + head) * length * headWidth }

  /// The number of elements that ``attend`` needs of scratch memory where there is room for `length` positions.
  package static func scratchLength(length: Int) -> Int {
    let multiple = Int(CK_CACHE_MULTIPLE)
    return (length + multiple - 1) / multiple * multiple + multiple
  }

  /// Keeps the keys and values among the outputs `range` of one row of queries, keys and values.
  /// - Parameter row: the row of `qkv` [.., (heads + 2·keyHeads)·D].
  package func store(_ qkv: Tensor, row: Int, range: Range<Int>, layer: Int, position: Int) {
    let (queryWidth, keyWidth) = (heads * headWidth, keyHeads * headWidth)
    let k = qkv.floats + row * rowWidth + queryWidth
    let v = k + keyWidth
    let keyRange = range.clamped(to: queryWidth..<queryWidth + keyWidth)
    let valueRange = range.clamped(to: queryWidth + keyWidth..<rowWidth)
    let (firstChannel, firstValueChannel) = (
      keyRange.lowerBound - queryWidth, valueRange.lowerBound - queryWidth - keyWidth
    )
    if keys.type == .float32 {
      func copy(
        _ row: UnsafeMutablePointer<Float>, _ first: Int, _ count: Int, to target: Tensor, start: (Int, Int) -> Int
      ) {
        for channel in first..<first + count {
          let (head, d) = channel.quotientAndRemainder(dividingBy: headWidth)
          target.floats[start(layer, head) + position * headWidth + d] = row[channel]
        }
      }
      copy(k, firstChannel, keyRange.count, to: keys, start: firstKey)
      copy(v, firstValueChannel, valueRange.count, to: values, start: firstValue)
      return
    }
    let slot = masks[layer].withKernelMask { ck_attention_slot($0, position) }
    ck_cache_keys(k, halves(keys) + firstKey(layer), length, slot, headWidth, firstChannel, keyRange.count)
    ck_cache_values(
      v, halves(values) + firstValue(layer), length, slot, headWidth, firstValueChannel, valueRange.count)
  }

  /// Some heads' attention of one row's queries to what the one at `position` sees.
  /// - Parameters:
  ///   - scores: at least ``scratchLength(length:)`` numbers of scratch memory, the calling thread's own.
  ///   - result: [.., heads·D], written in place at the row and heads.
  package func attend(
    _ qkv: Tensor, row: Int, heads range: Range<Int>, layer: Int, position: Int, scores: Tensor, into result: Tensor
  ) {
    let D = headWidth
    masks[layer].withKernelMask { mask in
      for head in range {
        let keyHead = head * keyHeads / heads
        let (key, value) = (firstKey(layer, head: keyHead), firstValue(layer, head: keyHead))
        let q = qkv.floats + row * rowWidth + head * D
        let out = result.floats + (row * heads + head) * D
        if keys.type == .float32 {
          ck_decode_float_attention(
            q, keys.floats + key, values.floats + value, position + 1, D, scores.floats, out)
        } else {
          ck_decode_attention(
            q, halves(keys) + key, halves(values) + value, length, mask, position, D, scores.floats, out)
        }
      }
    }
  }

  private func halves(_ tensor: Tensor) -> UnsafeMutablePointer<UInt16> {
    tensor.pointer.assumingMemoryBound(to: UInt16.self)
  }
}
