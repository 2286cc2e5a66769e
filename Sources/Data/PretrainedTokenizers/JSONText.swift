/// Why a file cannot be used.
struct FileFault: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}

/// A value in a JSON text that is looked through where it stands.
///
/// Foundation makes dictionaries of objects, in which strings that are canonically equivalent are one key: of the
/// pieces "é" and "é" (one character, and two) only one would be left. Here keys are bytes, nothing is copied that is
/// not asked for, and members come in their order.
struct JSONText {
  /// As deep as the `tokenizers` library follows.
  static let deepestNesting = 127

  private let bytes: [UInt8]
  /// Where the value begins.
  private let start: Int
  /// How the value is called in messages.
  let name: String

  private init(_ bytes: [UInt8], start: Int, name: String) {
    self.bytes = bytes
    self.start = start
    self.name = name
  }

  /// The value that is the whole text.
  /// - Throws: where the bytes are not JSON.
  init(_ bytes: [UInt8]) throws(FileFault) {
    self.init(bytes, start: Self.afterBlanks(bytes, 0), name: "the file")
    guard String(validating: bytes, as: UTF8.self) != nil else { throw FileFault("it is not UTF-8") }
    let end = Self.afterBlanks(bytes, try end(of: start, depth: 0))
    guard end == bytes.count else { throw Self.notJSON(at: end) }
  }

  private static func notJSON(at position: Int) -> FileFault { FileFault("it is not JSON at byte \(position)") }

  private func fault(_ expected: String) -> FileFault { FileFault("\(name) is not \(expected)") }

  // MARK: Values

  private var first: UInt8 { bytes[start] }
  var isNull: Bool { first == UInt8(ascii: "n") }
  var isString: Bool { first == UInt8(ascii: "\"") }
  var isArray: Bool { first == UInt8(ascii: "[") }

  func bool() throws(FileFault) -> Bool {
    switch first {
    case UInt8(ascii: "t"): return true
    case UInt8(ascii: "f"): return false
    default: throw fault("true or false")
    }
  }

  /// - Throws: where it is not a whole number from 0 to `largest`, written without a fraction.
  func integer(upTo largest: Int32) throws(FileFault) -> Int32 {
    guard let value = Int32(try numberOrWord()), value >= 0, value <= largest else {
      throw fault("an id from 0 to \(largest)")
    }
    return value
  }

  func number() throws(FileFault) -> Double {
    guard let value = Double(try numberOrWord()) else { throw fault("a number") }
    return value
  }

  private func numberOrWord() throws(FileFault) -> String {
    String(decoding: bytes[start..<(try end(of: start, depth: 0))], as: UTF8.self)
  }

  /// The UTF-8 bytes of a string.
  func utf8() throws(FileFault) -> [UInt8] {
    guard isString else { throw fault("a string") }
    return try string(at: start).value
  }

  func text() throws(FileFault) -> String { String(decoding: try utf8(), as: UTF8.self) }

  /// Those of an object's members that are asked for; of members of one name the last. Those that are null are left
  /// out.
  func members(_ names: String...) throws(FileFault) -> [String: JSONText] {
    var members: [String: JSONText] = [:]
    try forEachMember { key, value in
      let key = String(decoding: key, as: UTF8.self)
      if names.contains(key) {
        members[key] = value.isNull ? nil : value.named("\(name == "the file" ? "" : "\(name).")\(key)")
      }
    }
    return members
  }

  func forEachMember(_ body: ([UInt8], JSONText) throws(FileFault) -> Void) throws(FileFault) {
    guard first == UInt8(ascii: "{") else { throw fault("an object") }
    var position = Self.afterBlanks(bytes, start + 1)
    while bytes[position] != UInt8(ascii: "}") {
      let key = try string(at: position)
      let value = Self.afterBlanks(bytes, Self.afterBlanks(bytes, key.end) + 1)
      try body(key.value, JSONText(bytes, start: value, name: name))
      position = Self.afterBlanks(bytes, try end(of: value, depth: 0))
      if bytes[position] == UInt8(ascii: ",") { position = Self.afterBlanks(bytes, position + 1) }
    }
  }

  func forEachElement(_ body: (JSONText) throws(FileFault) -> Void) throws(FileFault) {
    guard isArray else { throw fault("an array") }
    var position = Self.afterBlanks(bytes, start + 1)
    while bytes[position] != UInt8(ascii: "]") {
      try body(JSONText(bytes, start: position, name: name))
      position = Self.afterBlanks(bytes, try end(of: position, depth: 0))
      if bytes[position] == UInt8(ascii: ",") { position = Self.afterBlanks(bytes, position + 1) }
    }
  }

  func named(_ name: String) -> JSONText { JSONText(bytes, start: start, name: name) }

  // MARK: Grammar

  private static func afterBlanks(_ bytes: [UInt8], _ position: Int) -> Int {
    var position = position
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return position
      }
    }
    return position
  }

  /// Where the value that begins at a byte ends.
  private func end(of position: Int, depth: Int) throws(FileFault) -> Int {
    guard position < bytes.count else { throw Self.notJSON(at: position) }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try endOfList(position, UInt8(ascii: "}"), depth: depth)
    case UInt8(ascii: "["): return try endOfList(position, UInt8(ascii: "]"), depth: depth)
    case UInt8(ascii: "\""): return try endOfString(position)
    default: return try endOfNumberOrWord(position)
    }
  }

  private func endOfList(_ start: Int, _ bracket: UInt8, depth: Int) throws(FileFault) -> Int {
    guard depth < Self.deepestNesting else {
      throw FileFault("it is nested deeper than \(Self.deepestNesting) levels")
    }
    var position = Self.afterBlanks(bytes, start + 1)
    if position < bytes.count, bytes[position] == bracket { return position + 1 }
    while true {
      if bracket == UInt8(ascii: "}") {
        position = Self.afterBlanks(bytes, try endOfString(position))
        guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else { throw Self.notJSON(at: position) }
        position = Self.afterBlanks(bytes, position + 1)
      }
      position = Self.afterBlanks(bytes, try end(of: position, depth: depth + 1))
      guard position < bytes.count else { throw Self.notJSON(at: position) }
      if bytes[position] == bracket { return position + 1 }
      guard bytes[position] == UInt8(ascii: ",") else { throw Self.notJSON(at: position) }
      position = Self.afterBlanks(bytes, position + 1)
    }
  }

  private func endOfString(_ start: Int) throws(FileFault) -> Int {
    guard start < bytes.count, bytes[start] == UInt8(ascii: "\"") else { throw Self.notJSON(at: start) }
    var position = start + 1
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""): return position + 1
      case UInt8(ascii: "\\"): position += 2
      case 0..<0x20: throw Self.notJSON(at: position)
      default: position += 1
      }
    }
    throw Self.notJSON(at: bytes.count)
  }

  private func endOfNumberOrWord(_ start: Int) throws(FileFault) -> Int {
    var end = start
    scan: while end < bytes.count {
      switch bytes[end] {
      case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "E"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
        end += 1
      default: break scan
      }
    }
    // Ids are almost all that there is of numbers.
    if end > start, end - start < 10, bytes[start..<end].allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) { return end }
    let word = String(decoding: bytes[start..<end], as: UTF8.self)
    let isNumber = word.first.map { $0.isNumber || $0 == "-" } ?? false
    guard word == "true" || word == "false" || word == "null" || (isNumber && Double(word) != nil) else {
      throw Self.notJSON(at: start)
    }
    return end
  }

  private func string(at start: Int) throws(FileFault) -> (value: [UInt8], end: Int) {
    let end = try endOfString(start)
    let quoted = bytes[start + 1..<end - 1]
    guard quoted.contains(UInt8(ascii: "\\")) else { return (Array(quoted), end) }
    var value: [UInt8] = []
    var position = quoted.startIndex
    while position < quoted.endIndex {
      guard bytes[position] == UInt8(ascii: "\\") else {
        value.append(bytes[position])
        position += 1
        continue
      }
      switch bytes[position + 1] {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): value.append(bytes[position + 1])
      case UInt8(ascii: "b"): value.append(0x08)
      case UInt8(ascii: "f"): value.append(0x0C)
      case UInt8(ascii: "n"): value.append(0x0A)
      case UInt8(ascii: "r"): value.append(0x0D)
      case UInt8(ascii: "t"): value.append(0x09)
      case UInt8(ascii: "u"):
        var units = [try unit(at: position)]
        if UTF16.isLeadSurrogate(units[0]) {
          position += 6
          units.append(try unit(at: position))
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw Self.notJSON(at: position) }
        value.append(contentsOf: text.utf8)
        position += 4
      default: throw Self.notJSON(at: position)
      }
      position += 2
    }
    return (value, end)
  }

  /// The UTF-16 unit of a `\uXXXX`.
  private func unit(at position: Int) throws(FileFault) -> UInt16 {
    guard position + 6 <= bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u"),
      bytes[position + 2..<position + 6].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt16(String(decoding: bytes[position + 2..<position + 6], as: UTF8.self), radix: 16)
    else { throw Self.notJSON(at: position) }
    return unit
  }
}
