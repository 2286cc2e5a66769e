import Basics

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
  /// The bytes that each id stands for. Each single byte is among them.
  let pieces: [[UInt8]]
  let merger: PairMerger
  /// Whether a text is read as if a space stood before it, so that its first word has the ids that it has elsewhere:
  /// "dog" those of the end of "a dog".
  public let addsPrefixSpace: Bool
  private let idOfByte: [Int32]

  /// - Parameters:
  ///   - pieces: no two alike, all 256 single bytes among them.
  ///   - merges: of ids of those pieces.
  ///   - addsPrefixSpace: whether a text is read as if a space stood before it.
  init(pieces: [[UInt8]], merges: [PairMerger.Merge], addsPrefixSpace: Bool) {
    self.pieces = pieces
    self.addsPrefixSpace = addsPrefixSpace
    var idOfByte = [Int32](repeating: 0, count: 256)
    for (id, piece) in pieces.enumerated() where piece.count == 1 { idOfByte[Int(piece[0])] = Int32(id) }
    self.idOfByte = idOfByte
    merger = PairMerger(merges)
  }

  /// By rank: the merge learned first stands first.
  var merges: [PairMerger.Merge] { merger.merges }

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
    merger.merge(&ids, from: start, dropout: dropout, using: &generator)
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
}

extension BytePairEncoding: Equatable {
  /// Whether two vocabularies have the same pieces under the same ids and the same merges in the same order, and begin
  /// texts alike.
  public static func == (a: BytePairEncoding, b: BytePairEncoding) -> Bool {
    a.pieces == b.pieces && a.merges == b.merges && a.addsPrefixSpace == b.addsPrefixSpace
  }
}
