/// The FNV-1a hash of 64 bits (Fowler, Noll, Vo): small, and the same on every machine and in every version, which
/// Swift's `Hasher` is not.
public struct FNV1a: Sendable {
  public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  public mutating func combine(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
  }

  /// The value in sixteen digits.
  public var hexadecimal: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The hash of a string's UTF-8 bytes.
  public static func hash(_ string: String) -> UInt64 {
    var hash = FNV1a()
    hash.combine(string.utf8)
    return hash.value
  }
}
