import TextTokenizer

/// A token that is cut out of a text before the model sees it.
struct AddedToken: Sendable {
  /// In bytes; the sum of all is bounded by the file.
  static let longestContent = 1024

  var content: [UInt8]
  /// Whether it is only found where no word goes on beside it.
  var isSingleWord: Bool
  /// Whether white space before it is part of it.
  var stripsLeft: Bool
  /// Whether white space after it is part of it.
  var stripsRight: Bool
  /// Whether it is looked for in the normalised text, and normalised itself.
  var isNormalized: Bool

  init(_ json: JSONText) throws(FileFault) {
    let fields = try json.named("an added token").members(
      "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
    func required(_ name: String) throws(FileFault) -> JSONText {
      guard let field = fields[name] else { throw FileFault("an added token has no \(name)") }
      return field
    }
    content = try required("content").utf8()
    guard content.count <= Self.longestContent else {
      throw FileFault("an added token is longer than \(Self.longestContent) bytes")
    }
    // As in the reference library a token's id is that of the model, or else the next: what stands here is not used.
    _ = try required("id").integer(upTo: BytePairModel.largestId)
    _ = try required("special").bool()
    isSingleWord = try required("single_word").bool()
    stripsLeft = try required("lstrip").bool()
    stripsRight = try required("rstrip").bool()
    isNormalized = try required("normalized").bool()
  }
}

/// All added tokens, and where they stand in a text.
struct AddedTokens: Sendable {
  /// The id of each, by its content.
  private(set) var ids: [[UInt8]: Int32] = [:]
  /// Those that are looked for in the text as it is.
  let plain: Matcher
  /// Those that are looked for in normalised text.
  let normalized: Matcher

  init(_ json: JSONText?, model: BytePairModel, normalizers: [Normalizer]) throws(FileFault) {
    var tokens: [Int32: AddedToken] = [:]
    var ids: [[UInt8]: Int32] = [:]
    var nextId = Int32(model.pieces.count)
    try json?.forEachElement { (element) throws(FileFault) in
      let token = try AddedToken(element)
      if token.content.isEmpty { return }
      var id = ids[token.content] ?? model.pieces.id(of: token.content[...])
      if id == nil {
        id = nextId
        nextId += 1
      }
      guard let id, id <= BytePairModel.largestId else { throw FileFault("it has too many added tokens") }
      ids[token.content] = id
      tokens[id] = token
    }
    self.ids = ids
    var plain: [Matcher.Entry] = []
    var normalized: [Matcher.Entry] = []
    for (id, token) in tokens {
      guard token.isNormalized else {
        plain.append(.init(pattern: token.content, id: id, token: token))
        continue
      }
      var budget = RegularExpression.Budget()
      let pattern = Array(
        normalizers.normalized(Segment(bytes: token.content[...], isFirst: true), budget: &budget).bytes)
      guard !pattern.isEmpty else {
        throw FileFault("the added token \"\(token.content.shown)\" is empty once normalised")
      }
      normalized.append(.init(pattern: pattern, id: id, token: token))
    }
    self.plain = try Matcher(plain)
    self.normalized = try Matcher(normalized)
  }

  /// Finds the leftmost of tokens, and of those that begin at one place the longest.
  struct Matcher: Sendable {
    struct Entry: Sendable {
      var pattern: [UInt8]
      var id: Int32
      var token: AddedToken
    }

    /// In the order of their patterns' bytes, so that those that begin alike are neighbours.
    private let entries: [Entry]
    /// The entries that begin with each byte.
    private let rangeOfFirstByte: [Range<Int>]

    init(_ entries: [Entry]) throws(FileFault) {
      let entries = entries.sorted { $0.pattern.lexicographicallyPrecedes($1.pattern) }
      for (entry, next) in zip(entries, entries.dropFirst()) where entry.pattern == next.pattern {
        throw FileFault("two added tokens are both \"\(entry.pattern.shown)\"")
      }
      var ranges = [Range<Int>](repeating: 0..<0, count: 256)
      for (position, entry) in entries.enumerated() {
        let first = Int(entry.pattern[0])
        ranges[first] = (ranges[first].isEmpty ? position : ranges[first].lowerBound)..<position + 1
      }
      self.entries = entries
      rangeOfFirstByte = ranges
    }

    /// The parts of a text, in order: tokens with their ids, and what is between them.
    func parts(of text: ArraySlice<UInt8>) -> [(range: Range<Int>, id: Int32?)] {
      guard !entries.isEmpty else { return [(text.indices, nil)] }
      var parts: [(range: Range<Int>, id: Int32?)] = []
      /// Where the last token ended, with the white space that belongs to it.
      var done = text.startIndex
      var position = text.startIndex
      while position < text.endIndex {
        guard let entry = longestEntry(at: position, in: text) else {
          position += 1
          continue
        }
        var start = position
        var end = position + entry.pattern.count
        // The search goes on behind the match also where it is not one or takes white space with it.
        position = end
        if entry.token.isSingleWord, text.isWord(before: start) || text.isWord(at: end) { continue }
        if entry.token.stripsLeft {
          var blank = start
          while blank > text.startIndex, text.scalar(before: blank).scalar.properties.isWhitespace {
            blank = text.scalar(before: blank).start
          }
          start = max(blank, done)
        }
        if entry.token.stripsRight {
          while end < text.endIndex, text.scalar(at: end).scalar.properties.isWhitespace {
            end = text.scalar(at: end).end
          }
        }
        if done < start { parts.append((done..<start, nil)) }
        if start < end { parts.append((start..<end, entry.id)) }
        done = end
      }
      if done < text.endIndex { parts.append((done..<text.endIndex, nil)) }
      return parts
    }

    private func longestEntry(at start: Int, in text: ArraySlice<UInt8>) -> Entry? {
      var range = rangeOfFirstByte[Int(text[start])]
      var longest: Entry?
      var length = 1
      while !range.isEmpty {
        // The shortest of them comes first.
        if entries[range.lowerBound].pattern.count == length {
          longest = entries[range.lowerBound]
          range = range.dropFirst()
        }
        guard start + length < text.endIndex else { break }
        let byte = text[start + length]
        let lower = firstEntry(in: range) { $0.pattern[length] >= byte }
        range = lower..<firstEntry(in: lower..<range.upperBound) { $0.pattern[length] > byte }
        length += 1
      }
      return longest
    }

    /// The first for which a condition holds that holds for all behind it.
    private func firstEntry(in range: Range<Int>, where condition: (Entry) -> Bool) -> Int {
      var (lower, upper) = (range.lowerBound, range.upperBound)
      while lower < upper {
        let middle = (lower + upper) / 2
        if condition(entries[middle]) { upper = middle } else { lower = middle + 1 }
      }
      return lower
    }
  }
}
