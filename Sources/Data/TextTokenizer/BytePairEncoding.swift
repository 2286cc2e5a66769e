import Basics
import HeapModule

/// Byte-level byte-pair encoding of lower-cased text: Sennrich et al. 2016, over bytes as in Radford et al. 2019.
///
/// Text is brought to Unicode normal form C and lower-cased, cut into words by GPT-2's pattern, and each word's bytes
/// are merged pair by pair, the pair that was learned first before all others. Every text can be encoded. There are
/// no special tokens.
///
/// The ids are those that Hugging Face's `tokenizers` 0.23 gives with the file that ``write(to:)`` writes. Where the
/// Unicode versions inside that library are older than Swift's, its versions count, so other releases of it may cut
/// words of recently added scripts elsewhere.
///
/// ```swift
/// let vocabulary = try BytePairEncoding.train(on: ["a red heart", "a red car"], vocabularySize: 280)
/// let ids = vocabulary.encode("a red car")
/// ```
public struct BytePairEncoding: TextEncoder {
  /// Two neighbouring pieces that become one.
  struct Merge: Sendable, Equatable {
    var left: Int32
    var right: Int32
    /// The id of the two pieces' bytes joined.
    var product: Int32
  }

  /// The bytes that each id stands for. Each single byte is among them.
  let pieces: [[UInt8]]
  /// By rank: the merge learned first stands first.
  let merges: [Merge]
  /// Whether a text is read as if a space stood before it, so that its first word has the ids that it has elsewhere:
  /// "dog" those of the end of "a dog".
  public let addsPrefixSpace: Bool
  private let idOfByte: [Int32]
  private let ranks: MergeTable

  /// - Parameters:
  ///   - pieces: no two alike, all 256 single bytes among them.
  ///   - merges: of ids of those pieces.
  ///   - addsPrefixSpace: whether a text is read as if a space stood before it.
  init(pieces: [[UInt8]], merges: [Merge], addsPrefixSpace: Bool) {
    self.pieces = pieces
    self.merges = merges
    self.addsPrefixSpace = addsPrefixSpace
    var idOfByte = [Int32](repeating: 0, count: 256)
    for (id, piece) in pieces.enumerated() where piece.count == 1 { idOfByte[Int(piece[0])] = Int32(id) }
    self.idOfByte = idOfByte
    ranks = MergeTable(merges)
  }

  /// The number of ids; they are 0 ..< `vocabularySize`.
  public var vocabularySize: Int { pieces.count }

  /// The ids of a text; none for the empty text. The time grows with n log n in the length of the longest word.
  public func encode(_ text: String) -> [Int32] {
    // Without dropout no number is drawn, so any generator will do.
    var generator = Philox(seed: 0, stream: 0)
    return encode(text, dropout: 0, using: &generator)
  }

  /// The ids of a text where each merge is left out with a probability, so that a model sees a word in many
  /// segmentations: BPE-dropout, Provilkov et al. 2020, algorithm 1.
  /// - Parameters:
  ///   - text: any text.
  ///   - dropout: the probability that a possible merge is passed over, drawn anew at every step. 0 gives the ids of
  ///     ``encode(_:)`` and draws no numbers; 1 gives single bytes.
  ///   - generator: where the random numbers come from.
  public func encode(_ text: String, dropout: Float, using generator: inout Philox) -> [Int32] {
    let bytes = NormalizedText.bytes(of: text, addingPrefixSpace: addsPrefixSpace)
    var ids: [Int32] = []
    ids.reserveCapacity(bytes.count / 2)
    var words = WordScanner(bytes)
    while let word = words.next() { append(bytes[word], to: &ids, dropout: dropout, using: &generator) }
    return ids
  }

  /// Merges the bytes of one word.
  private func append(_ word: ArraySlice<UInt8>, to ids: inout [Int32], dropout: Float, using generator: inout Philox) {
    let start = ids.count
    for byte in word { ids.append(idOfByte[Int(byte)]) }
    if word.count <= Self.longestWordMergedByScanning {
      mergeByScanning(&ids, from: start, dropout: dropout, using: &generator)
    } else {
      mergeByQueue(&ids, from: start, dropout: dropout, using: &generator)
    }
  }

  /// For each id the ids that another vocabulary gives the same bytes, at least one.
  public func pieces(inTermsOf other: BytePairEncoding) -> [[Int32]] { pieces.map { other.ids(ofWord: $0[...]) } }

  /// What the bytes of one word are merged to.
  func ids(ofWord word: ArraySlice<UInt8>) -> [Int32] {
    var generator = Philox(seed: 0, stream: 0)
    var ids: [Int32] = []
    append(word, to: &ids, dropout: 0, using: &generator)
    return ids
  }

  /// The text that ids stand for: what was encoded, normalised, without the space that was put before it. Bytes that are
  /// not UTF-8 become U+FFFD, and ids outside the vocabulary are skipped.
  public func decode(_ ids: some Sequence<Int32>) -> String {
    var bytes: [UInt8] = []
    for id in ids where pieces.indices.contains(Int(id)) { bytes.append(contentsOf: pieces[Int(id)]) }
    return String(decoding: addsPrefixSpace && bytes.first == 0x20 ? bytes.dropFirst() : bytes[...], as: UTF8.self)
  }

  /// The text of each id, for people to read: `" heart"`. A piece that holds only part of a character is shown as
  /// its bytes, `"<0xF0><0x9F>"`, and an id outside the vocabulary as `"<unknown 70000>"`.
  public func pieces(_ ids: some Sequence<Int32>) -> [String] {
    ids.map { id in
      guard pieces.indices.contains(Int(id)) else { return "<unknown \(id)>" }
      let piece = pieces[Int(id)]
      if let text = String(validating: piece, as: UTF8.self) { return text }
      let digits = Array("0123456789ABCDEF")
      return piece.map { "<0x\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])>" }.joined()
    }
  }

  /// Looking through all pairs again after each merge is quadratic, but faster than a queue for words of usual length.
  static let longestWordMergedByScanning = 48

  /// Merges the last ids, those from `start` on, in place.
  func mergeByScanning(_ ids: inout [Int32], from start: Int, dropout: Float, using generator: inout Philox) {
    while true {
      var lowestRank = MergeTable.absent
      var position = start
      for i in start..<ids.count - 1 {
        let rank = ranks.rank(ids[i], ids[i + 1])
        // A pair behind the best so far is not merged whether it is dropped or not: nothing is drawn for it.
        if rank < lowestRank && !isDropped(dropout, using: &generator) {
          lowestRank = rank
          position = i
        }
      }
      if lowestRank == MergeTable.absent { return }
      ids[position] = merges[Int(lowestRank)].product
      ids.remove(at: position + 1)
    }
  }

  /// The same as ``mergeByScanning(_:from:dropout:using:)`` for words of any length: the pairs wait in a queue, and
  /// the ids are a linked list.
  func mergeByQueue(_ ids: inout [Int32], from start: Int, dropout: Float, using generator: inout Philox) {
    var symbols = Array(ids[start...])
    let end = symbols.count
    var previous = Array(-1..<end - 1)
    var next = Array(1...end)
    // The rank in the upper half and the position in the lower: the leftmost of equal pairs comes first.
    var queue = Heap<UInt64>()
    func enqueue(_ position: Int) {
      guard position >= 0, next[position] < end else { return }
      let rank = ranks.rank(symbols[position], symbols[next[position]])
      if rank != MergeTable.absent { queue.insert(UInt64(rank) << 32 | UInt64(position)) }
    }
    for position in 0..<end { enqueue(position) }

    /// Marks a symbol that has become part of the one before it.
    let merged: Int32 = -1
    var dropped: [UInt64] = []
    while let candidate = queue.popMin() {
      let position = Int(candidate & 0xFFFF_FFFF)
      let rank = Int32(candidate >> 32)
      let right = next[position]
      // Either of the two may have become part of another piece since the pair was queued.
      guard symbols[position] != merged, right < end, ranks.rank(symbols[position], symbols[right]) == rank else {
        continue
      }
      if isDropped(dropout, using: &generator) {
        dropped.append(candidate)
        continue
      }
      symbols[position] = merges[Int(rank)].product
      symbols[right] = merged
      next[position] = next[right]
      if next[right] < end { previous[next[right]] = position }
      enqueue(previous[position])
      enqueue(position)
      queue.insert(contentsOf: dropped)
      dropped.removeAll(keepingCapacity: true)
    }
    ids.removeSubrange(start...)
    ids.append(contentsOf: symbols.lazy.filter { $0 != merged })
  }

  private func isDropped(_ dropout: Float, using generator: inout Philox) -> Bool {
    dropout > 0 && generator.uniform() < dropout
  }
}

extension BytePairEncoding: Equatable {
  /// Whether two vocabularies have the same pieces under the same ids and the same merges in the same order, and begin
  /// texts alike.
  public static func == (a: BytePairEncoding, b: BytePairEncoding) -> Bool {
    a.pieces == b.pieces && a.merges == b.merges && a.addsPrefixSpace == b.addsPrefixSpace
  }
}
