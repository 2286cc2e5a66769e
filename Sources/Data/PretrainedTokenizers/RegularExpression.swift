import COniguruma
import TextTokenizer

/// A regular expression as the reference library understands it: by Oniguruma, in its own syntax, without options.
///
/// Which characters are letters, numbers and so on is that of Unicode 16, which the reference library has, whatever the
/// installed Oniguruma knows; only of other properties, as `\p{Alphabetic}` and scripts, its version counts.
final class RegularExpression: @unchecked Sendable {
  // Oniguruma does not change a compiled expression, so that threads may share it.
  private let regex: OnigRegex
  private let shown: String

  /// In bytes. The longest in use are lists of letters, of some thousand; compiling takes the square of it.
  private static let longestPattern = 1 << 14
  /// What waits to be tried again: at some 40 bytes each, below 64 MiB.
  private static let mostWaiting: UInt32 = 1 << 20
  /// As in the reference library.
  private static let mostRetriesOfAMatch: UInt = 10_000_000
  private static let isReady = dalle_onig_initialize(256) == ONIG_NORMAL

  /// How much an expression that is tried in vain may still cost a text.
  struct Budget {
    /// A limit was reached. No expression finds anything in the text from then on.
    fileprivate(set) var isSpent = false
  }

  /// - Parameter isPlain: whether the pattern is a text that stands for itself.
  /// - Throws: where it is not a regular expression, or one that takes too long for a line of text.
  init(_ pattern: [UInt8], isPlain: Bool) throws(FileFault) {
    shown = "the regular expression \"\(pattern.shown)\""
    guard Self.isReady else { throw FileFault("Oniguruma, which reads its regular expressions, does not start") }
    guard pattern.count <= Self.longestPattern else {
      throw FileFault("\(shown) is longer than \(Self.longestPattern) bytes")
    }
    // Before its release 6.9.9 Oniguruma did not count symbols among these.
    let pattern =
      isPlain
      ? pattern
      : Array(
        String(decoding: pattern, as: UTF8.self).replacing("[:punct:]", with: #"[\p{P}\p{S}]"#)
          .replacing("[:^punct:]", with: #"[^\p{P}\p{S}]"#).utf8)
    var regex: OnigRegex?
    var message = [UInt8](repeating: 0, count: Int(DALLE_ONIG_MESSAGE_BYTES))
    let status = pattern.withUnsafeBufferPointer { pattern in
      // An array of no bytes has no address.
      withUnsafePointer(to: 0) { (nothing: UnsafePointer<UInt8>) in
        dalle_onig_new(&regex, pattern.baseAddress ?? nothing, Int32(pattern.count), isPlain ? 1 : 0, &message)
      }
    }
    guard status == ONIG_NORMAL, let regex else {
      throw FileFault("\(shown) is not one: \(String(decoding: message.prefix { $0 != 0 }, as: UTF8.self))")
    }
    self.regex = regex
    for probe in Self.probes {
      var budget = Budget()
      _ = matches(in: probe[...], budget: &budget)
      if budget.isSpent { throw FileFault("\(shown) takes too long for a line of text") }
    }
  }

  deinit { onig_free(regex) }

  /// What makes expressions try for long: runs of one kind of characters, and words, with an end that fits nothing.
  private static let probes: [[UInt8]] = [
    "a", "A", "1", " ", "\n", ".", "가", "中", "ab ", "a1", "'s", "\r\n", "é-", "_",
  ].map {
    Array(String(repeating: $0, count: 48 / $0.unicodeScalars.count).utf8) + [0x01]
  }

  /// The parts of a text, in order: the matches, which may be empty, and what is between them.
  ///
  /// A search ends when it has gone back too often: 10 million times from one place, as in the reference library, or in
  /// all more often than the square of the text's length allows. That library fails then; here the rest of the text has
  /// no match, and neither has what is looked for with the same budget later.
  func matches(in text: ArraySlice<UInt8>, budget: inout Budget) -> [(range: Range<Int>, isMatch: Bool)] {
    guard !text.isEmpty else { return [] }
    guard !budget.isSpent, let parameters = onig_new_match_param(), let region = onig_region_new() else {
      return [(text.indices, false)]
    }
    defer {
      onig_free_match_param(parameters)
      onig_region_free(region, 1)
    }
    let square = UInt(min(text.count, 1 << 15) * min(text.count, 1 << 15))
    onig_set_retry_limit_in_match_of_match_param(parameters, Self.mostRetriesOfAMatch)
    onig_set_retry_limit_in_search_of_match_param(parameters, min(1_000_000 + 16 * square, 200_000_000))
    onig_set_match_stack_limit_size_of_match_param(parameters, Self.mostWaiting)

    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var done = text.startIndex
    let seen = text.asUnicode16
    seen.withUnsafeBufferPointer { buffer in
      guard let bytes = buffer.baseAddress else { return }
      var position = 0
      var skipsEmpty = false
      while position <= buffer.count {
        onig_region_clear(region)
        let found = onig_search_with_param(
          regex, bytes, bytes + buffer.count, bytes + position, bytes + buffer.count, region, ONIG_OPTION_NONE,
          parameters)
        guard found >= 0 else {
          if found != ONIG_MISMATCH { budget.isSpent = true }
          return
        }
        let start = text.startIndex + Int(region.pointee.beg[0])
        let end = text.startIndex + Int(region.pointee.end[0])
        // An expression can say that its match begins before or ends within what was matched.
        guard done <= start, start <= end, text.isBoundary(start), text.isBoundary(end) else { return }
        position = end - text.startIndex
        if start == end {
          position = end < text.endIndex ? text.scalar(at: end).end - text.startIndex : buffer.count + 1
          // As in the reference library: the first empty match after one that is not is passed over.
          if skipsEmpty {
            skipsEmpty = false
            continue
          }
        } else {
          skipsEmpty = true
        }
        if done < start { parts.append((done..<start, false)) }
        parts.append((start..<end, true))
        done = end
      }
    }
    if done < text.endIndex { parts.append((done..<text.endIndex, false)) }
    return parts
  }
}

extension ArraySlice<UInt8> {
  /// The text for an Oniguruma that knows Unicode 14 or a later version: what later versions assigned is replaced by a
  /// character of the same category and length, and what came after Unicode 16 by one that is none.
  fileprivate var asUnicode16: ArraySlice<UInt8> {
    // Nothing below U+0800 was assigned since.
    guard contains(where: { $0 >= 0xE0 }) else { return self }
    var copy = self
    var position = startIndex
    while position < endIndex {
      let (scalar, end) = scalar(at: position)
      if !scalar.isAssigned(upTo: 14), let substitute = scalar.earlierOfItsKind, substitute.utf8.count == end - position
      {
        for (offset, byte) in substitute.utf8.enumerated() { copy[position + offset] = byte }
      }
      position = end
    }
    return copy
  }
}

extension Unicode.Scalar {
  /// A character of Unicode 14 that stands for this one, of a later version, in regular expressions.
  fileprivate var earlierOfItsKind: Unicode.Scalar? {
    let isLong = value > 0xFFFF
    guard let age = properties.age else { return nil }
    if age.major > 16 { return isLong ? "\u{10FFFE}" : "\u{FFFE}" }
    switch properties.generalCategory {
    case .uppercaseLetter: return isLong ? "\u{10400}" : "\u{1E00}"
    case .lowercaseLetter: return isLong ? "\u{10428}" : "\u{1E01}"
    case .modifierLetter: return isLong ? "\u{16B40}" : "\u{A4F8}"
    case .otherLetter where value >= 0x20000: return "\u{20000}"
    case .otherLetter: return isLong ? "\u{10000}" : "\u{A000}"
    case .decimalNumber: return isLong ? "\u{104A0}" : "\u{966}"
    case .letterNumber: return isLong ? "\u{10140}" : "\u{16EE}"
    case .otherNumber: return isLong ? "\u{10107}" : "\u{2460}"
    case .nonspacingMark: return isLong ? "\u{10376}" : "\u{1AB0}"
    case .spacingMark: return isLong ? "\u{11000}" : "\u{903}"
    case .dashPunctuation: return isLong ? "\u{10EAD}" : "\u{2010}"
    case .otherPunctuation: return isLong ? "\u{10100}" : "\u{2020}"
    case .mathSymbol: return isLong ? "\u{1D6C1}" : "\u{2200}"
    case .currencySymbol: return isLong ? "\u{1E2FF}" : "\u{20A0}"
    case .modifierSymbol: return isLong ? "\u{1F3FB}" : "\u{1FBD}"
    case .otherSymbol where properties.isEmoji && isLong: return "\u{1F9E0}"
    case .otherSymbol: return isLong ? "\u{1D000}" : "\u{2300}"
    case .format: return isLong ? "\u{110BD}" : "\u{2060}"
    default: return nil
    }
  }
}
