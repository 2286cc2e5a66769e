import Foundation

/// The Unicode normal forms (Unicode Standard Annex 15) of the characters up to Unicode 9.
///
/// Foundation is asked for single characters and single pairs only, and for nothing about Hangul: over longer texts
/// its own normal form on Linux leaves "다" and a following final consonant apart, composes characters beside the
/// Hangul ranges, and does not reorder the marks that U+0F73, U+0F75 and U+0F81 decompose into.
package enum NormalForm: Sendable {
  case c, d, kc, kd

  /// To Unicode 9 a later character is a starter that neither decomposes nor composes.
  static let lastUnicodeVersion = 9

  /// A character with its canonical combining class; 0 is a starter.
  private struct Character {
    var scalar: Unicode.Scalar
    var combiningClass: UInt8
  }

  private var isCompatible: Bool { self == .kc || self == .kd }
  private var isComposed: Bool { self == .c || self == .kc }

  /// Characters below this one are in the form whatever is beside them.
  package var firstAffected: UInt32 {
    switch self {
    case .c: 0x300
    case .d: 0xC0
    case .kc, .kd: 0xA0
    }
  }

  /// A text in this form.
  package func applied(to scalars: some Sequence<Unicode.Scalar>) -> [Unicode.Scalar] {
    var characters: [Character] = []
    for scalar in scalars { decompose(scalar, into: &characters) }
    Self.sortMarks(&characters)
    return isComposed ? Self.composed(characters) : characters.map(\.scalar)
  }

  private static func composed(_ characters: [Character]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(characters.count)
    var starter: Int?
    /// The class of the last character kept since the starter; a character of no higher class cannot pass it.
    var lastClass: UInt8?
    for character in characters {
      let isBlocked = lastClass.map { $0 >= character.combiningClass } ?? false
      if let starter, !isBlocked, let composite = composite(of: result[starter], and: character.scalar) {
        result[starter] = composite
      } else if character.combiningClass == 0 {
        starter = result.count
        lastClass = nil
        result.append(character.scalar)
      } else {
        lastClass = character.combiningClass
        result.append(character.scalar)
      }
    }
    return result
  }

  private func decompose(_ scalar: Unicode.Scalar, into characters: inout [Character]) {
    // Nothing below À decomposes, and but for compatibility nothing below the no-break space.
    guard scalar.value >= (isCompatible ? 0xA0 : 0xC0), scalar.isAssigned(upTo: Self.lastUnicodeVersion) else {
      characters.append(Character(scalar: scalar, combiningClass: 0))
      return
    }
    if Hangul.decompose(scalar, { characters.append(Character(scalar: $0, combiningClass: 0)) }) { return }
    let text = String(scalar)
    let parts = isCompatible ? text.decomposedStringWithCompatibilityMapping : text.decomposedStringWithCanonicalMapping
    for part in parts.unicodeScalars {
      characters.append(
        Character(scalar: part, combiningClass: part.properties.canonicalCombiningClass.rawValue))
    }
  }

  /// Brings each run of marks into the order of their classes; marks of one class keep theirs.
  private static func sortMarks(_ characters: inout [Character]) {
    var start = 0
    while start < characters.count {
      var end = start
      while end < characters.count, characters[end].combiningClass != 0 { end += 1 }
      if end - start > 1 {
        let sorted = characters[start..<end].enumerated().sorted {
          ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
        }
        characters.replaceSubrange(start..<end, with: sorted.map(\.element))
      }
      start = end + 1
    }
  }

  private static func composite(of first: Unicode.Scalar, and second: Unicode.Scalar) -> Unicode.Scalar? {
    if let syllable = Hangul.composite(of: first, and: second) { return syllable }
    switch second.properties.generalCategory {
    // Outside Hangul only marks compose with what is before them.
    case .nonspacingMark, .spacingMark: break
    default: return nil
    }
    var scalars = String.UnicodeScalarView()
    scalars.append(first)
    scalars.append(second)
    let pair = String(scalars)
    // Decomposed first, because Foundation composes some characters (U+0CCB) only from all their parts.
    let composed = pair.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping
    // It also mistakes characters outside the basic plane for those with the same lower 16 bits. Strings are equal
    // when they are canonically equivalent, which the standard library decides for itself.
    guard composed.unicodeScalars.count == 1, composed == pair, let composite = composed.unicodeScalars.first,
      composite.isAssigned(upTo: lastUnicodeVersion)
    else { return nil }
    return composite
  }
}

/// Hangul syllables are composed of a leading consonant, a vowel and perhaps a trailing consonant by arithmetic:
/// The Unicode Standard, section 3.12.
private enum Hangul {
  private static let syllableBase: UInt32 = 0xAC00
  private static let leadingBase: UInt32 = 0x1100
  private static let vowelBase: UInt32 = 0x1161
  /// One before the first trailing consonant: 0 means that there is none.
  private static let trailingBase: UInt32 = 0x11A7
  private static let leadingCount: UInt32 = 19
  private static let vowelCount: UInt32 = 21
  private static let trailingCount: UInt32 = 28
  private static let syllableCount = leadingCount * vowelCount * trailingCount

  /// Hands over the two or three parts of a syllable, or returns false where the character is none.
  static func decompose(_ scalar: Unicode.Scalar, _ append: (Unicode.Scalar) -> Void) -> Bool {
    guard let index = index(of: scalar, from: syllableBase, count: syllableCount) else { return false }
    let trailing = index % trailingCount
    let parts = [
      leadingBase + index / (vowelCount * trailingCount),
      vowelBase + index / trailingCount % vowelCount,
      trailingBase + trailing,
    ]
    for part in trailing == 0 ? parts.dropLast() : parts[...] {
      if let scalar = Unicode.Scalar(part) { append(scalar) }
    }
    return true
  }

  static func composite(of first: Unicode.Scalar, and second: Unicode.Scalar) -> Unicode.Scalar? {
    if let leading = index(of: first, from: leadingBase, count: leadingCount),
      let vowel = index(of: second, from: vowelBase, count: vowelCount)
    {
      return Unicode.Scalar(syllableBase + (leading * vowelCount + vowel) * trailingCount)
    }
    if let syllable = index(of: first, from: syllableBase, count: syllableCount), syllable % trailingCount == 0,
      let trailing = index(of: second, from: trailingBase, count: trailingCount), trailing > 0
    {
      return Unicode.Scalar(first.value + trailing)
    }
    return nil
  }

  private static func index(of scalar: Unicode.Scalar, from base: UInt32, count: UInt32) -> UInt32? {
    scalar.value >= base && scalar.value < base + count ? scalar.value - base : nil
  }
}
