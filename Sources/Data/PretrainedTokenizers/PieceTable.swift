/// The id of each piece: a hash table with linear probing over bytes that lie one after the other.
///
/// Pieces are compared byte by byte, which `String` does not do, and asked for by slices of a text without making keys
/// of them. The hash is seeded anew in each process, so that no file can be made in which all pieces meet in one slot.
struct PieceTable: Sendable {
  private var bytes: [UInt8] = []
  /// Where each piece ends and the next begins.
  private var ends: [Int] = [0]
  private var ids: [Int32] = []
  /// Half of a piece's hash above, one more than its position below; 0 is empty.
  private var slots = [UInt64](repeating: 0, count: 64)

  var count: Int { ids.count }

  /// An id that the piece has already is replaced.
  mutating func insert(_ piece: [UInt8], id: Int32) {
    let hash = Self.hash(piece[...])
    let slot = slot(of: piece[...], hash: hash)
    if slots[slot] != 0 {
      ids[position(in: slot)] = id
      return
    }
    bytes.append(contentsOf: piece)
    ends.append(bytes.count)
    ids.append(id)
    slots[slot] = hash << 32 | UInt64(ids.count)
    if ids.count * 2 > slots.count { grow() }
  }

  func id(of piece: ArraySlice<UInt8>) -> Int32? {
    let slot = slot(of: piece, hash: Self.hash(piece))
    return slots[slot] == 0 ? nil : ids[position(in: slot)]
  }

  func forEach(_ body: (ArraySlice<UInt8>, Int32) -> Void) {
    for (position, id) in ids.enumerated() { body(bytes[ends[position]..<ends[position + 1]], id) }
  }

  private static func hash(_ piece: ArraySlice<UInt8>) -> UInt64 {
    var hasher = Hasher()
    piece.withUnsafeBytes { hasher.combine(bytes: $0) }
    return UInt64(UInt32(truncatingIfNeeded: hasher.finalize()))
  }

  private func position(in slot: Int) -> Int { Int(slots[slot] & 0xFFFF_FFFF) - 1 }

  /// The slot that holds a piece, or the empty one where it would go.
  private func slot(of piece: ArraySlice<UInt8>, hash: UInt64) -> Int {
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let position = position(in: slot)
      if slots[slot] >> 32 == hash, bytes[ends[position]..<ends[position + 1]].elementsEqual(piece) { break }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private mutating func grow() {
    let earlier = slots
    slots = [UInt64](repeating: 0, count: 2 * earlier.count)
    for entry in earlier where entry != 0 {
      var slot = Int(entry >> 32) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = entry
    }
  }
}
