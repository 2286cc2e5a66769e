/// GPT-2's alphabet: each byte as one printable character, so that pieces can be written as JSON text.
///
/// Bytes that print in Latin-1 stand for themselves; the others (controls, space, soft hyphen) are, in order,
/// the characters from U+0100 on: a space is "Ġ".
package enum ByteAlphabet {
  /// The character of each byte.
  package static let characters: [Unicode.Scalar] = {
    var later: UInt32 = 0x100
    return (0...255).map { (byte: UInt8) in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
      default:
        defer { later += 1 }
        return Unicode.Scalar(later) ?? "?"
      }
    }
  }()

  /// The byte of each character of the alphabet, by its scalar value.
  private static let bytes: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x180)
    for (byte, character) in characters.enumerated() { bytes[Int(character.value)] = UInt8(byte) }
    return bytes
  }()

  /// All bytes in the order of their characters, which is the order of the ids in GPT-2 and in trained vocabularies.
  static let bytesInOrder: [UInt8] = (UInt8.min...UInt8.max).sorted { characters[Int($0)] < characters[Int($1)] }

  /// A piece as it stands in the file.
  package static func text(of piece: [UInt8]) -> String {
    var text = String.UnicodeScalarView()
    for byte in piece { text.append(characters[Int(byte)]) }
    return String(text)
  }

  /// The bytes that a text in the file stands for; nil where a character is not of the alphabet.
  static func piece(of text: some StringProtocol) -> [UInt8]? {
    var piece: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard scalar.value < bytes.count, let byte = bytes[Int(scalar.value)] else { return nil }
      piece.append(byte)
    }
    return piece
  }
}
