/// The rank of each pair of ids that is merged: a hash table with linear probing.
///
/// A caption asks for some hundred ranks, almost all of them of pairs that are not there; `Dictionary`'s keyed hash
/// would be most of the time of encoding.
package struct MergeTable: Sendable {
  /// The rank of a pair that is not merged: behind every other.
  static let absent = Int32.max

  private var keys: [UInt64]
  private var ranks: [Int32]
  private let shift: UInt64
  private let multiplier: UInt64

  /// 2⁶⁴ / φ, which spreads neighbouring keys best.
  package static let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// - Parameters:
  ///   - merges: by rank. Of a pair that stands twice the later rank counts, as in the `tokenizers` library.
  ///   - multiplier: any odd number; one drawn at random for merges of unknown origin, which might have been chosen so
  ///     that all of them meet in one slot.
  init(_ merges: [PairMerger.Merge], multiplier: UInt64 = goldenRatio) {
    self.multiplier = multiplier
    // At most half of the slots are taken, so that a search ends soon.
    var bits: UInt64 = 4
    while 1 << bits < 2 * merges.count { bits += 1 }
    shift = 64 - bits
    // Ids are not negative, so no pair has this key.
    keys = Array(repeating: .max, count: 1 << bits)
    ranks = Array(repeating: Self.absent, count: 1 << bits)
    for (rank, merge) in merges.enumerated() {
      let slot = slot(of: Self.key(merge.left, merge.right))
      keys[slot] = Self.key(merge.left, merge.right)
      ranks[slot] = Int32(rank)
    }
  }

  func rank(_ left: Int32, _ right: Int32) -> Int32 { ranks[slot(of: Self.key(left, right))] }

  static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The slot that holds a key, or the empty one where it would go.
  private func slot(of key: UInt64) -> Int {
    // Multiplicative hashing: the upper bits of a product.
    var slot = Int(truncatingIfNeeded: (key &* multiplier) >> shift)
    while keys[slot] != key && keys[slot] != .max { slot = (slot + 1) & (keys.count - 1) }
    return slot
  }
}
