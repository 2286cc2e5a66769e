import TextTokenizer

/// What changes a text before it is cut.
enum Normalizer: Sendable {
  case form(NormalForm)
  case lowercase
  case strip(left: Bool, right: Bool)
  case replace(RegularExpression, by: [UInt8])
  case prepend([UInt8])

  /// In bytes: replacements and what is put before a text.
  private static let longestInsertion = 1024
  /// In bytes: a text that is so long already gets no more replacements.
  private static let longestText = 64 << 20

  /// A component and those that it consists of, in their order.
  static func all(_ json: JSONText?, count: inout ComponentCount) throws(FileFault) -> [Normalizer] {
    guard let json else { return [] }
    try count.add()
    let fields = try json.members(
      "type", "normalizers", "strip_left", "strip_right", "pattern", "content", "prepend")
    func field(_ name: String) throws(FileFault) -> JSONText { try fields.required(name, of: json.name) }
    func insertion(_ name: String) throws(FileFault) -> [UInt8] {
      let bytes = try field(name).utf8()
      guard bytes.count <= longestInsertion else {
        throw FileFault("\(json.name).\(name) is longer than \(longestInsertion) bytes")
      }
      return bytes
    }
    switch try field("type").text() {
    case "Sequence":
      var normalizers: [Normalizer] = []
      try field("normalizers").forEachElement { (element) throws(FileFault) in
        normalizers += try all(element.named("normalizer"), count: &count)
      }
      return normalizers
    case "NFC": return [.form(.c)]
    case "NFD": return [.form(.d)]
    case "NFKC": return [.form(.kc)]
    case "NFKD": return [.form(.kd)]
    case "Lowercase": return [.lowercase]
    case "Strip": return [.strip(left: try field("strip_left").bool(), right: try field("strip_right").bool())]
    case "Replace":
      return [.replace(try RegularExpression(field("pattern"), count: &count), by: try insertion("content"))]
    case "Prepend": return [.prepend(try insertion("prepend"))]
    case let type: throw FileFault("its normalizer \(type.utf8.shown) is not known")
    }
  }

  func normalized(_ segment: Segment, budget: inout RegularExpression.Budget) -> Segment {
    let text = segment.bytes
    switch self {
    case .form(let form):
      let scalars = text.scalars
      guard scalars.contains(where: { $0.value >= form.firstAffected }) else { return segment }
      var bytes: [UInt8] = []
      for scalar in form.applied(to: scalars) { bytes.append(contentsOf: scalar.utf8) }
      return Segment(bytes: bytes[...], isFirst: segment.isFirst)
    case .lowercase: return Segment(bytes: NormalizedText.lowercased(text.scalars)[...], isFirst: segment.isFirst)
    case .strip(let left, let right):
      var (start, end) = (text.startIndex, text.endIndex)
      while left, start < end, text.scalar(at: start).scalar.properties.isWhitespace {
        start = text.scalar(at: start).end
      }
      while right, start < end, text.scalar(before: end).scalar.properties.isWhitespace {
        end = text.scalar(before: end).start
      }
      return segment.part(start..<end)
    case .replace(let expression, let content):
      var bytes: [UInt8] = []
      var isFirst = segment.isFirst
      for part in expression.matches(in: text, budget: &budget) {
        let isReplaced = part.isMatch && bytes.count + text.count < Self.longestText
        bytes.append(contentsOf: isReplaced ? content[...] : text[part.range])
        // What is left does not begin where the text does.
        if bytes.isEmpty, !part.range.isEmpty { isFirst = false }
      }
      return Segment(bytes: bytes[...], isFirst: isFirst)
    case .prepend(let start):
      return text.isEmpty ? segment : Segment(bytes: start + text, isFirst: segment.isFirst)
    }
  }
}

extension [Normalizer] {
  func normalized(_ segment: Segment, budget: inout RegularExpression.Budget) -> Segment {
    var segment = segment
    for normalizer in self { segment = normalizer.normalized(segment, budget: &budget) }
    return segment
  }
}

/// How many components a file has, which each cost every text time, and how long its regular expressions are.
struct ComponentCount {
  private static let most = 128
  private static let mostPatternBytes = 1 << 16
  private static let mostByteLevels = 2
  private var count = 0
  private var patternBytes = 0
  private var byteLevels = 0

  /// Each makes a text of some bytes one of twice as many.
  mutating func addByteLevel() throws(FileFault) {
    byteLevels += 1
    guard byteLevels <= Self.mostByteLevels else {
      throw FileFault("it has more than \(Self.mostByteLevels) pre-tokenizers of type ByteLevel")
    }
  }

  mutating func addPattern(of byteCount: Int) throws(FileFault) {
    patternBytes += byteCount
    guard patternBytes <= Self.mostPatternBytes else {
      throw FileFault("its regular expressions are longer than \(Self.mostPatternBytes) bytes in all")
    }
  }

  mutating func add() throws(FileFault) {
    count += 1
    guard count <= Self.most else {
      throw FileFault("it has more than \(Self.most) normalizers, pre-tokenizers and post-processors")
    }
  }
}

extension [String: JSONText] {
  func required(_ name: String, of owner: String) throws(FileFault) -> JSONText {
    guard let field = self[name] else { throw FileFault("the field \(owner).\(name) is missing") }
    return field
  }
}

extension RegularExpression {
  /// `{"Regex": "…"}` or `{"String": "…"}`.
  convenience init(_ json: JSONText, count: inout ComponentCount) throws(FileFault) {
    let fields = try json.members("Regex", "String")
    guard (fields["Regex"] == nil) != (fields["String"] == nil),
      let pattern = try (fields["Regex"] ?? fields["String"])?.utf8()
    else { throw FileFault("\(json.name) is neither a Regex nor a String") }
    try count.addPattern(of: pattern.count)
    try self.init(pattern, isPlain: fields["Regex"] == nil)
  }
}
