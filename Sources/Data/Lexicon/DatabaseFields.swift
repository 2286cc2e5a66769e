/// The fields of a line of WordNet's database, which single spaces divide.
struct DatabaseFields {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  private let end: Int

  init(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) {
    self.bytes = bytes
    (position, end) = (line.lowerBound, line.upperBound)
  }

  /// Empty at the end of the line.
  mutating func next() -> Slice<UnsafeRawBufferPointer> {
    while position < end && bytes[position] == UInt8(ascii: " ") { position += 1 }
    let start = position
    while position < end && bytes[position] != UInt8(ascii: " ") { position += 1 }
    return bytes[start..<position]
  }

  /// Goes on to the end of the line at most, whatever a damaged file counts.
  mutating func skip(_ count: Int) { for _ in 0..<count where next().isEmpty { return } }

  /// Nil where the next field is none.
  mutating func number(radix: Int = 10) -> Int? {
    let digits = next()
    guard (1...9).contains(digits.count) else { return nil }
    var value = 0
    for digit in digits {
      let worth =
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(digit - UInt8(ascii: "a")) + 10
        default: radix
        }
      guard worth < radix else { return nil }
      value = value * radix + worth
    }
    return value
  }
}
