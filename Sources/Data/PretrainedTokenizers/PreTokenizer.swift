import TextTokenizer

/// A part of a text on its way to the model.
struct Segment {
  var bytes: ArraySlice<UInt8>
  /// Whether the text begins with it.
  var isFirst: Bool

  func part(_ range: Range<Int>) -> Segment {
    Segment(bytes: bytes[range], isFirst: isFirst && range.lowerBound == bytes.startIndex)
  }
}

/// What becomes of the places where a text is cut.
enum SplitBehavior: String {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  init(_ json: JSONText) throws(FileFault) {
    guard let behavior = SplitBehavior(rawValue: try json.text()) else {
      throw FileFault("\(json.name) \(try json.utf8().shown) is not known")
    }
    self = behavior
  }

  /// The ranges that are left, of which some may be empty.
  func ranges(_ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
    switch self {
    case .isolated: return parts.map(\.range)
    case .removed: return parts.filter { !$0.isMatch }.map(\.range)
    case .contiguous: return Self.joined(parts) { isMatch, isPreviousMatch in isMatch == isPreviousMatch }
    case .mergedWithPrevious: return Self.joined(parts) { isMatch, isPreviousMatch in isMatch && !isPreviousMatch }
    case .mergedWithNext:
      return Self.joined(parts.reversed()) { isMatch, isPreviousMatch in isMatch && !isPreviousMatch }.reversed()
    }
  }

  /// Joins each part for which a condition holds to the one before it.
  private static func joined(
    _ parts: [(range: Range<Int>, isMatch: Bool)], where condition: (Bool, Bool) -> Bool
  ) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var isPreviousMatch = false
    for (range, isMatch) in parts {
      if condition(isMatch, isPreviousMatch), let last = ranges.last {
        ranges[ranges.count - 1] = min(last.lowerBound, range.lowerBound)..<max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
      isPreviousMatch = isMatch
    }
    return ranges
  }
}

/// What cuts a normalised text into the words inside which pieces are merged.
enum PreTokenizer: Sendable {
  case split(RegularExpression, SplitBehavior, isInverted: Bool)
  case digits(SplitBehavior)
  case punctuation(SplitBehavior)
  case whitespace
  case whitespaceSplit
  case byteLevel(addsPrefixSpace: Bool, usesPattern: Bool)
  case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)

  enum PrependScheme: String {
    case always, first, never
  }

  /// A component and those that it consists of, in their order.
  static func all(_ json: JSONText?, count: inout ComponentCount) throws(FileFault) -> [PreTokenizer] {
    guard let json else { return [] }
    try count.add()
    let fields = try json.members(
      "type", "pretokenizers", "pattern", "behavior", "invert", "individual_digits", "add_prefix_space", "use_regex",
      "replacement", "prepend_scheme", "split")
    func field(_ name: String) throws(FileFault) -> JSONText { try fields.required(name, of: json.name) }
    switch try field("type").text() {
    case "Sequence":
      var preTokenizers: [PreTokenizer] = []
      try field("pretokenizers").forEachElement { (element) throws(FileFault) in
        preTokenizers += try all(element.named("pre_tokenizer"), count: &count)
      }
      return preTokenizers
    case "Split":
      let expression = try RegularExpression(field("pattern"), count: &count)
      return [.split(expression, try SplitBehavior(field("behavior")), isInverted: try field("invert").bool())]
    case "Digits": return [.digits(try field("individual_digits").bool() ? .isolated : .contiguous)]
    case "Punctuation":
      let behavior: SplitBehavior =
        if let behavior = fields["behavior"] { try SplitBehavior(behavior) } else { .isolated }
      return [.punctuation(behavior)]
    case "Whitespace": return [.whitespace]
    case "WhitespaceSplit": return [.whitespaceSplit]
    case "ByteLevel":
      try count.addByteLevel()
      let usesPattern = try fields["use_regex"]?.bool() ?? true
      return [.byteLevel(addsPrefixSpace: try field("add_prefix_space").bool(), usesPattern: usesPattern)]
    case "Metaspace": return [try metaspace(fields, name: json.name)]
    case let type: throw FileFault("its pre-tokenizer \(type.utf8.shown) is not known")
    }
  }

  private static func metaspace(_ fields: [String: JSONText], name: String) throws(FileFault) -> PreTokenizer {
    let replacement = try fields.required("replacement", of: name).utf8()
    guard !replacement.isEmpty, replacement[...].scalar(at: 0).end == replacement.count else {
      throw FileFault("\(name).replacement is not one character")
    }
    var scheme = PrependScheme.always
    if let text = try fields["prepend_scheme"]?.text() {
      guard let named = PrependScheme(rawValue: text) else {
        throw FileFault("\(name).prepend_scheme \(text.utf8.shown) is not known")
      }
      scheme = named
    }
    if let adds = try fields["add_prefix_space"]?.bool(), !adds {
      guard scheme == .never else {
        throw FileFault("\(name).add_prefix_space and prepend_scheme contradict each other")
      }
    }
    return .metaspace(replacement: replacement, scheme, splits: try fields["split"]?.bool() ?? true)
  }

  /// The parts of one that are not empty.
  func segments(of segment: Segment, budget: inout RegularExpression.Budget) -> [Segment] {
    switch self {
    case .split(let expression, let behavior, let isInverted):
      var parts = expression.matches(in: segment.bytes, budget: &budget)
      if isInverted { for i in parts.indices { parts[i].isMatch.toggle() } }
      return behavior.segments(of: segment, parts)
    case .digits(let behavior): return behavior.segments(of: segment) { $0.isNumeric }
    case .punctuation(let behavior): return behavior.segments(of: segment) { $0.isPunctuation }
    case .whitespaceSplit: return SplitBehavior.removed.segments(of: segment) { $0.properties.isWhitespace }
    case .whitespace:
      // Words and what is neither word nor white space, by `\w+|[^\w\s]+`: to be a word goes before being a blank.
      return SplitBehavior.removed.segments(of: segment) { !$0.isWord && $0.properties.isWhitespace }
        .flatMap { SplitBehavior.contiguous.segments(of: $0) { $0.isWord } }
    case .byteLevel(let addsPrefixSpace, let usesPattern):
      var bytes = Array(segment.bytes)
      if addsPrefixSpace, bytes.first != 0x20 { bytes.insert(0x20, at: 0) }
      let words = usesPattern ? Array(AnyIterator(WordScanner(bytes))) : [bytes.indices]
      return words.map { word in
        Segment(
          bytes: bytes[word].flatMap { Self.alphabet[Int($0)] }[...], isFirst: segment.isFirst && word.lowerBound == 0)
      }
    case .metaspace(let replacement, let scheme, let splits):
      var bytes = segment.bytes.flatMap { $0 == 0x20 ? replacement : [$0] }
      if scheme == .always || (scheme == .first && segment.isFirst), !bytes.starts(with: replacement) {
        bytes = replacement + bytes
      }
      let segment = Segment(bytes: bytes[...], isFirst: segment.isFirst)
      guard splits else { return [segment] }
      let mark = replacement[...].scalar(at: 0).scalar
      return SplitBehavior.mergedWithNext.segments(of: segment) { $0 == mark }
    }
  }

  /// The character of each byte.
  private static let alphabet = ByteAlphabet.characters.map { Array(String($0).utf8) }
}

extension SplitBehavior {
  fileprivate func segments(of segment: Segment, _ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Segment] {
    ranges(parts).filter { !$0.isEmpty }.map(segment.part)
  }

  /// Cuts at each character for which a condition holds.
  fileprivate func segments(of segment: Segment, where isMatch: (Unicode.Scalar) -> Bool) -> [Segment] {
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var done = segment.bytes.startIndex
    var position = done
    while position < segment.bytes.endIndex {
      let (scalar, end) = segment.bytes.scalar(at: position)
      if isMatch(scalar) {
        if done < position { parts.append((done..<position, false)) }
        parts.append((position..<end, true))
        done = end
      }
      position = end
    }
    if done < position { parts.append((done..<position, false)) }
    return segments(of: segment, parts)
  }
}
