import TextTokenizer

extension ArraySlice<UInt8> {
  /// The character that begins at a byte of well-formed UTF-8, and where the one after it begins.
  func scalar(at start: Int) -> (scalar: Unicode.Scalar, end: Int) {
    let first = self[start]
    if first < 0x80 { return (Unicode.Scalar(first), start + 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    let end = Swift.min(start + length, endIndex)
    // The lead byte of n bytes carries 7 - n bits, each of the others 6.
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for byte in self[start + 1..<end] { value = value << 6 | UInt32(byte & 0x3F) }
    return (Unicode.Scalar(value) ?? "\u{FFFD}", end)
  }

  /// The character that ends before a byte, which is not the first, and where it begins.
  func scalar(before end: Int) -> (scalar: Unicode.Scalar, start: Int) {
    var start = end - 1
    while start > startIndex, !isBoundary(start) { start -= 1 }
    return (scalar(at: start).scalar, start)
  }

  /// Whether a character begins at a byte, or the text ends there.
  func isBoundary(_ position: Int) -> Bool { position == endIndex || self[position] & 0xC0 != 0x80 }

  func isWord(before end: Int) -> Bool { end > startIndex && scalar(before: end).scalar.isWord }

  func isWord(at start: Int) -> Bool { start < endIndex && scalar(at: start).scalar.isWord }

  var scalars: String.UnicodeScalarView { String(decoding: self, as: UTF8.self).unicodeScalars }
}

extension Collection<UInt8> {
  /// For a message: a text that may be long.
  var shown: String {
    let text = String(decoding: prefix(60), as: UTF8.self)
    return count > 60 ? text + "…" : text
  }
}

/// What the reference library's parts that are written in Rust tell apart, each by its own version of Unicode.
extension Unicode.Scalar {
  /// `\w` of the crate `regex`: letters, marks, decimal digits, what connects them.
  var isWord: Bool {
    guard isAssigned(upTo: 16) else { return false }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return properties.isAlphabetic || properties.isJoinControl
    }
  }

  /// `char::is_numeric`.
  var isNumeric: Bool {
    guard isAssigned(upTo: NormalizedText.lastUnicodeVersion) else { return false }
    switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: return true
    default: return false
    }
  }

  /// Punctuation of the crate `unicode_categories`, and all of ASCII that is neither letter, number, blank nor control.
  var isPunctuation: Bool {
    if isASCII { return value > 0x20 && value < 0x7F && !(properties.isAlphabetic || isNumeric) }
    guard isAssigned(upTo: 8) else { return false }
    // To Unicode 8 these two were punctuation.
    if value == 0x166D || value == 0x111C9 { return true }
    switch properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }
}
