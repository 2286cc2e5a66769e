/// The UTF-8 bytes of a text in Unicode normal form C, then lower-cased scalar by scalar.
///
/// This is what the Hugging Face normalizers `NFC` and `Lowercase` do in sequence. Lower-casing looks at no
/// context (every Σ becomes σ, also at the end of a word), may lengthen the text (İ becomes i and a combining dot)
/// and is not followed by a second normalisation.
package enum NormalizedText {
  /// The last version of Unicode after which the `tokenizers` library (0.23) lower-cases.
  package static let lastUnicodeVersion = 17

  /// - Parameter addsPrefixSpace: whether a text that is not empty and does not begin with a space gets one, as by the
  ///   pre-tokenizer ByteLevel's `add_prefix_space`.
  static func bytes(of text: String, addingPrefixSpace addsPrefixSpace: Bool) -> [UInt8] {
    let bytes = bytes(of: text)
    guard addsPrefixSpace, let first = bytes.first, first != 0x20 else { return bytes }
    return [0x20] + bytes
  }

  static func bytes(of text: String) -> [UInt8] {
    var bytes = Array(text.utf8)
    if bytes.allSatisfy({ $0 < 0x80 }) {
      for i in bytes.indices where bytes[i] >= 0x41 && bytes[i] <= 0x5A { bytes[i] |= 0x20 }
      return bytes
    }
    let scalars =
      text.unicodeScalars.allSatisfy { $0.value < NormalForm.c.firstAffected }
      ? Array(text.unicodeScalars) : NormalForm.c.applied(to: text.unicodeScalars)
    return lowercased(scalars)
  }

  /// The UTF-8 bytes of a text that is lower-cased scalar by scalar.
  package static func lowercased(_ scalars: some Sequence<Unicode.Scalar>) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in scalars {
      if scalar.isAssigned(upTo: lastUnicodeVersion) {
        bytes.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
      } else {
        bytes.append(contentsOf: scalar.utf8)
      }
    }
    return bytes
  }
}

extension Unicode.Scalar {
  /// Whether the character was assigned in the given major version of Unicode or in one before it.
  package func isAssigned(upTo majorVersion: Int) -> Bool {
    guard let age = properties.age else { return false }
    return age.major <= majorVersion
  }
}
