extension BytePairEncoding {
  /// The words of a text, normalised as for ``encode(_:)``: runs of letters and numbers with the marks on them, in
  /// their order, repeated ones too.
  ///
  /// The endings 's, 't, 're, 've, 'm, 'll and 'd (with ' or ’) are no words and left out, so that "woman's" counts
  /// as "woman". Scripts that put no spaces between words give one word for each stretch.
  public static func words(in text: String) -> [String] {
    // Without an apostrophe, words of ASCII are runs of letters and digits; nearly all captions are such.
    if text.utf8.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: "'") }) {
      return text.lowercased().utf8.split { !isLetterOrDigit($0) }.map { String(Substring($0)) }
    }
    let scalars = Array(String(decoding: NormalizedText.bytes(of: text), as: UTF8.self).unicodeScalars)
    var words: [String] = []
    var position = 0
    while position < scalars.count {
      let start = position
      while position < scalars.count, continuesWord(scalars[position], isFirst: position == start) { position += 1 }
      if position == start {
        position += 1
        continue
      }
      let word = String(String.UnicodeScalarView(scalars[start..<position]))
      let followsApostrophe = start >= 2 && isApostrophe(scalars[start - 1])
      if followsApostrophe && endings.contains(word) && continuesWord(scalars[start - 2], isFirst: false) { continue }
      words.append(word)
    }
    return words
  }

  /// The signs of a text that say something by themselves, such as emoji, arrows and currencies, in their order, repeated ones
  /// too: each as people see it, with what is joined to it, and without what chooses between its looks as text and as emoji.
  public static func signs(in text: String) -> [String] {
    if text.utf8.allSatisfy({ $0 < 0x80 && !asciiSigns.contains($0) }) { return [] }
    return text.compactMap { character in
      switch character.unicodeScalars.first?.properties.generalCategory {
      case .mathSymbol, .currencySymbol, .otherSymbol:
        String(String.UnicodeScalarView(character.unicodeScalars.filter { !$0.properties.isVariationSelector }))
      default: nil
      }
    }
  }

  /// Those of ASCII that are mathematical signs or currencies.
  private static let asciiSigns = Array("+<=>|~$".utf8)

  /// - Parameter byte: of ASCII, in lower case.
  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }

  private static let endings: Set<String> = ["s", "t", "re", "ve", "m", "ll", "d"]

  private static func isApostrophe(_ scalar: Unicode.Scalar) -> Bool { scalar == "'" || scalar == "\u{2019}" }

  /// Letters and numbers make words; accents and vowel signs only go on with one.
  private static func continuesWord(_ scalar: Unicode.Scalar, isFirst: Bool) -> Bool {
    switch CharacterClass(scalar) {
    case .letter, .number: return true
    case .space: return false
    case .other:
      let properties = scalar.properties
      let isMark = properties.generalCategory == .nonspacingMark || properties.generalCategory == .spacingMark
      return !isFirst && isMark && !properties.isVariationSelector
    }
  }
}
