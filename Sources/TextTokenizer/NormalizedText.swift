import Foundation

/// The UTF-8 bytes of a text in Unicode normal form C, then lower-cased scalar by scalar.
///
/// This is what the Hugging Face normalizers `NFC` and `Lowercase` do in sequence. Lower-casing looks at no
/// context (every Σ becomes σ, also at the end of a word), may lengthen the text (İ becomes i and a combining dot)
/// and is not followed by a second normalisation.
enum NormalizedText {
  /// The last version of Unicode whose characters each step of the `tokenizers` library (0.23) knows.
  /// A character that came later passes that step unchanged, as an unassigned one does.
  enum LastUnicodeVersion {
    static let composition = 9
    static let lowercasing = 17
    static let classes = 16
  }

  static func bytes(of text: String) -> [UInt8] {
    var bytes = Array(text.utf8)
    if bytes.allSatisfy({ $0 < 0x80 }) {
      for i in bytes.indices where bytes[i] >= 0x41 && bytes[i] <= 0x5A { bytes[i] |= 0x20 }
      return bytes
    }
    bytes.removeAll(keepingCapacity: true)
    for scalar in composed(text) {
      if scalar.isAssigned(upTo: LastUnicodeVersion.lowercasing) {
        bytes.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
      } else {
        bytes.append(contentsOf: scalar.utf8)
      }
    }
    return bytes
  }

  /// Normal form C of the characters that Unicode 9 knows.
  ///
  /// To Unicode 9 a later character is a starter that neither composes nor reorders, so the text can be cut at each
  /// of them and the stretches between them composed on their own.
  private static func composed(_ text: String) -> String.UnicodeScalarView {
    var result = String.UnicodeScalarView()
    var stretch = String.UnicodeScalarView()
    var needsComposition = false
    func flush() {
      guard !stretch.isEmpty else { return }
      result.append(
        contentsOf: needsComposition
          ? String(stretch).precomposedStringWithCanonicalMapping.unicodeScalars : stretch)
      stretch = String.UnicodeScalarView()
      needsComposition = false
    }
    for scalar in text.unicodeScalars {
      if scalar.value < 0x300 {
        // Everything below the combining marks is in normal form C already.
        stretch.append(scalar)
      } else if scalar.isAssigned(upTo: LastUnicodeVersion.composition) {
        needsComposition = true
        stretch.append(scalar)
      } else {
        flush()
        result.append(scalar)
      }
    }
    flush()
    return result
  }
}

extension Unicode.Scalar {
  /// Whether the character was assigned in the given major version of Unicode or in one before it.
  func isAssigned(upTo majorVersion: Int) -> Bool {
    guard let age = properties.age else { return false }
    return age.major <= majorVersion
  }
}
