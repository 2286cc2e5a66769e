/// What the pre-tokenizer's pattern tells apart: `\s`, `\p{L}`, `\p{N}` and the rest.
enum CharacterClass {
  case space
  case letter
  case number
  case other

  /// The version of Unicode by which the `tokenizers` library (0.23) tells letters and numbers. To it, later
  /// characters are of no class, as unassigned ones.
  static let lastUnicodeVersion = 16

  init(_ scalar: Unicode.Scalar) {
    guard scalar.isAssigned(upTo: Self.lastUnicodeVersion) else {
      self = .other
      return
    }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = scalar.properties.isWhitespace ? .space : .other
    }
  }

  init(ascii byte: UInt8) {
    switch byte {
    case 0x61...0x7A, 0x41...0x5A: self = .letter
    case 0x30...0x39: self = .number
    case 0x09...0x0D, 0x20: self = .space
    default: self = .other
    }
  }
}

/// Cuts normalised text into the words inside which pieces are merged.
///
/// The cuts are those of GPT-2's pattern (Radford et al. 2019), written out by hand:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
/// The words, one after the other, are the whole text.
package struct WordScanner: IteratorProtocol {
  private let bytes: [UInt8]
  private var position = 0

  /// - Parameter bytes: well-formed UTF-8.
  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The range of bytes of the next word; never empty.
  package mutating func next() -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    position = endOfContraction(at: start) ?? endOfRun(at: start)
    return start..<position
  }

  /// The end of an `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` that begins here.
  private func endOfContraction(at start: Int) -> Int? {
    guard bytes[start] == UInt8(ascii: "'"), start + 1 < bytes.count else { return nil }
    switch bytes[start + 1] {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
      return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"):
      return start + 2 < bytes.count && bytes[start + 2] == UInt8(ascii: "e") ? start + 3 : nil
    case UInt8(ascii: "l"):
      return start + 2 < bytes.count && bytes[start + 2] == UInt8(ascii: "l") ? start + 3 : nil
    default:
      return nil
    }
  }

  /// The end of a run of letters, numbers or other characters, with at most one U+0020 before it, or of white space.
  private func endOfRun(at start: Int) -> Int {
    var (runClass, end) = character(at: start)
    if runClass == .space {
      guard bytes[start] == 0x20, end < bytes.count, character(at: end).characterClass != .space else {
        return endOfWhiteSpace(at: start)
      }
      (runClass, end) = character(at: end)
    }
    while end < bytes.count {
      let (nextClass, nextEnd) = character(at: end)
      if nextClass != runClass { break }
      end = nextEnd
    }
    return end
  }

  /// White space goes up to the end of the text or leaves its last character to the word that follows.
  private func endOfWhiteSpace(at start: Int) -> Int {
    var startOfLast = start
    var end = start
    while end < bytes.count {
      let (nextClass, nextEnd) = character(at: end)
      if nextClass != .space { return startOfLast > start ? startOfLast : end }
      startOfLast = end
      end = nextEnd
    }
    return end
  }

  /// The class of the character that begins at a byte, and where the one after it begins.
  private func character(at start: Int) -> (characterClass: CharacterClass, end: Int) {
    let first = bytes[start]
    if first < 0x80 { return (CharacterClass(ascii: first), start + 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    // The lead byte of n bytes carries 7 - n bits, each of the others 6.
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for byte in bytes[start + 1..<start + length] { value = value << 6 | UInt32(byte & 0x3F) }
    guard let scalar = Unicode.Scalar(value) else { return (.other, start + length) }
    return (CharacterClass(scalar), start + length)
  }
}
