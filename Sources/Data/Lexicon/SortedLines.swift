import Foundation

/// The lines of a mapped file that are sorted by the bytes of their first fields. A line is found by bisection, so that nothing
/// is read that was not asked for.
struct SortedLines: Sendable {
  private let bytes: Data
  /// What ends the first field.
  private let separator: UInt8

  init(_ bytes: Data, separator: Unicode.Scalar) {
    self.bytes = bytes
    self.separator = UInt8(ascii: separator)
  }

  /// The lines whose first field is `key`, in their order.
  func lines(of key: String) -> [String] {
    let key = Array(key.utf8)
    return bytes.withUnsafeBytes { bytes in
      // The first line that is not before the key begins at `low` or after it, and at `high` or before it.
      var (low, high) = (0, bytes.count)
      while low < high {
        var start = (low + high) / 2
        while start > low && bytes[start - 1] != UInt8(ascii: "\n") { start -= 1 }
        if field(at: start, of: bytes).lexicographicallyPrecedes(key) {
          low = Self.end(of: start, in: bytes) + 1
        } else {
          high = start
        }
      }
      var lines: [String] = []
      while low < bytes.count, field(at: low, of: bytes).elementsEqual(key) {
        let end = Self.end(of: low, in: bytes)
        lines.append(String(decoding: bytes[low..<end], as: UTF8.self))
        low = end + 1
      }
      return lines
    }
  }

  private func field(at start: Int, of bytes: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer> {
    var end = start
    while end < bytes.count, bytes[end] != separator, bytes[end] != UInt8(ascii: "\n") { end += 1 }
    return bytes[start..<end]
  }

  /// Where the line that begins at `start` ends, without its line feed.
  static func end(of start: Int, in bytes: UnsafeRawBufferPointer) -> Int {
    guard start < bytes.count, let base = bytes.baseAddress,
      let found = memchr(base + start, 0x0A, bytes.count - start)
    else { return bytes.count }
    return base.distance(to: UnsafeRawPointer(found))
  }
}
