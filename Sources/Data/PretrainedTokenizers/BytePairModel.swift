import TextTokenizer

/// A model of the type BPE: its pieces are any texts, of the byte alphabet or not.
struct BytePairModel: Sendable {
  /// No published vocabulary that is known has a fourth of it.
  static let largestId: Int32 = (1 << 21) - 1
  static let largestMergeCount = 1 << 22
  /// Characters below this one, among them all of the byte alphabet, are looked up in an array.
  private static let lowCharacterCount = 0x180
  private static let absent: Int32 = -1

  let pieces: PieceTable
  private let merger: PairMerger
  private let idOfLowCharacter: [Int32]
  private let idOfHighCharacter: [Unicode.Scalar: Int32]
  /// The ids of `<0x00>` … `<0xFF>`; empty without `byte_fallback`.
  private let idOfByte: [Int32]
  /// What a character gets that is no piece; nil where it gets nothing.
  private let unknownId: Int32?
  private let fusesUnknown: Bool
  private let ignoresMerges: Bool

  init(_ json: JSONText) throws(FileFault) {
    let fields = try json.members(
      "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
      "ignore_merges", "vocab", "merges")
    // Files of the first releases do not say the type, and only BPE has merges.
    if let type = try fields["type"]?.text(), type != "BPE" {
      throw FileFault("its model is \(type), and only BPE is read")
    }
    guard let vocabulary = fields["vocab"] else { throw FileFault("the field model.vocab is missing") }
    guard let merges = fields["merges"] else { throw FileFault("the field model.merges is missing") }
    guard try fields["dropout"]?.number() ?? 0 == 0 else {
      throw FileFault("its model has dropout, with which no text has ids of its own")
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard try fields[name]?.utf8().isEmpty ?? true else {
        throw FileFault("its model has a \(name), which is not read")
      }
    }
    fusesUnknown = try fields["fuse_unk"]?.bool() ?? false
    ignoresMerges = try fields["ignore_merges"]?.bool() ?? false

    pieces = try Self.pieces(vocabulary)
    merger = PairMerger(try Self.merges(merges, of: pieces), multiplier: .random(in: 0 ... .max) | 1)
    var low = [Int32](repeating: Self.absent, count: Self.lowCharacterCount)
    var high: [Unicode.Scalar: Int32] = [:]
    pieces.forEach { piece, id in
      guard !piece.isEmpty, piece.count <= 4 else { return }
      let (scalar, end) = piece.scalar(at: piece.startIndex)
      guard end == piece.endIndex else { return }
      if scalar.value < Self.lowCharacterCount { low[Int(scalar.value)] = id } else { high[scalar] = id }
    }
    (idOfLowCharacter, idOfHighCharacter) = (low, high)
    var idOfByte: [Int32] = []
    if try fields["byte_fallback"]?.bool() ?? false {
      for byte in UInt8.min...UInt8.max {
        let digits = String(byte, radix: 16, uppercase: true)
        let name = "<0x\(byte < 16 ? "0" : "")\(digits)>"
        idOfByte.append(pieces.id(of: Array(name.utf8)[...]) ?? Self.absent)
      }
    }
    self.idOfByte = idOfByte
    // The reference library fails at the first unknown character where the piece for it is missing.
    unknownId = if let token = fields["unk_token"] { pieces.id(of: try token.utf8()[...]) } else { nil }
  }

  private static func pieces(_ json: JSONText) throws(FileFault) -> PieceTable {
    var pieces = PieceTable()
    try json.forEachMember { (piece, id) throws(FileFault) in
      do throws(FileFault) {
        pieces.insert(piece, id: try id.integer(upTo: largestId))
      } catch {
        throw FileFault("the piece \"\(piece.shown)\" has no id from 0 to \(largestId)")
      }
    }
    guard pieces.count > 0 else { throw FileFault("its model has no pieces") }
    return pieces
  }

  /// Merges stand as strings, `"a b"`, or as pairs, `["a", "b"]`.
  private static func merges(_ json: JSONText, of pieces: PieceTable) throws(FileFault) -> [PairMerger.Merge] {
    var merges: [PairMerger.Merge] = []
    try json.forEachElement { (merge) throws(FileFault) in
      var parts: [ArraySlice<UInt8>] = []
      if merge.isArray {
        try merge.forEachElement { (part) throws(FileFault) in
          guard parts.count < 2 else { throw FileFault("a merge is not of two pieces") }
          parts.append(try part.utf8()[...])
        }
      } else {
        let line = try merge.utf8()
        if line.starts(with: "#version".utf8) { return }
        parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
      }
      guard parts.count == 2 else { throw FileFault("a merge is not of two pieces") }
      guard merges.count < largestMergeCount else { throw FileFault("it has more than \(largestMergeCount) merges") }
      let product = parts[0] + parts[1]
      guard let left = pieces.id(of: parts[0]), let right = pieces.id(of: parts[1]) else {
        throw FileFault("a merge makes \"\(product.shown)\" of a missing piece")
      }
      guard let id = pieces.id(of: product) else {
        throw FileFault("a merge makes the missing piece \"\(product.shown)\"")
      }
      merges.append(PairMerger.Merge(left: left, right: right, product: id))
    }
    return merges
  }

  /// Appends the ids of one word.
  func append(_ word: ArraySlice<UInt8>, to ids: inout [Int32]) {
    if ignoresMerges, let id = pieces.id(of: word) {
      ids.append(id)
      return
    }
    let start = ids.count
    var isUnknownPending = false
    var position = word.startIndex
    while position < word.endIndex {
      let (scalar, end) = word.scalar(at: position)
      defer { position = end }
      if let id = id(of: scalar) {
        if isUnknownPending, let unknownId { ids.append(unknownId) }
        isUnknownPending = false
        ids.append(id)
      } else if !idOfByte.isEmpty, word[position..<end].allSatisfy({ idOfByte[Int($0)] != Self.absent }) {
        // As in the reference library an unknown character before them comes after them.
        for byte in word[position..<end] { ids.append(idOfByte[Int(byte)]) }
      } else {
        if isUnknownPending, !fusesUnknown, let unknownId { ids.append(unknownId) }
        isUnknownPending = true
      }
    }
    if isUnknownPending, let unknownId { ids.append(unknownId) }
    merger.merge(&ids, from: start)
  }

  private func id(of scalar: Unicode.Scalar) -> Int32? {
    guard scalar.value < Self.lowCharacterCount else { return idOfHighCharacter[scalar] }
    let id = idOfLowCharacter[Int(scalar.value)]
    return id == Self.absent ? nil : id
  }
}
