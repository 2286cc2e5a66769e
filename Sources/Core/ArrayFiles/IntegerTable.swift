import Foundation

/// Rows of whole numbers from 0 up, as a safetensors file holds them: [rowCount, columns].
public struct IntegerTable: Sendable, Equatable {
  /// The safetensors type of the numbers.
  public enum Width: String, Sendable {
    case oneByte = "U8"
    case twoBytes = "U16"

    var byteCount: Int { self == .oneByte ? 1 : 2 }
    /// The largest number there is room for.
    public var maximum: Int { self == .oneByte ? 255 : 65_535 }
  }

  public let rowCount: Int
  public let columns: Int
  public let width: Width
  /// Row by row, the low byte first.
  let bytes: Data

  init(bytes: Data, rowCount: Int, columns: Int, width: Width) {
    (self.bytes, self.rowCount, self.columns, self.width) = (bytes, rowCount, columns, width)
  }

  /// Rows of bytes.
  /// - Precondition: `bytes` are whole rows.
  package init(bytes: Data, columns: Int) {
    precondition(bytes.count % columns == 0, "\(bytes.count) bytes in rows of \(columns)")
    self.init(bytes: bytes, rowCount: bytes.count / columns, columns: columns, width: .oneByte)
  }

  /// - Parameters:
  ///   - rows: of `columns` numbers each.
  ///   - columns: numbers a row.
  ///   - width: that there is room in for each of them.
  /// - Precondition: each number fits.
  public init(_ rows: [[Int32]], columns: Int, width: Width) {
    var bytes = Data(capacity: rows.count * columns * width.byteCount)
    for row in rows {
      precondition(row.count == columns, "a row has \(row.count) numbers and not \(columns)")
      for number in row {
        precondition((0...width.maximum).contains(Int(number)), "\(number) needs more than \(width.byteCount) bytes")
        bytes.append(UInt8(truncatingIfNeeded: number))
        if width == .twoBytes { bytes.append(UInt8(truncatingIfNeeded: number >> 8)) }
      }
    }
    self.init(bytes: bytes, rowCount: rows.count, columns: columns, width: width)
  }

  /// The numbers of a row.
  public subscript(row: Int) -> [Int32] {
    precondition((0..<rowCount).contains(row), "there is no row \(row) among \(rowCount)")
    let size = columns * width.byteCount
    let start = bytes.startIndex + row * size
    return bytes[start..<start + size].withUnsafeBytes { bytes in
      switch width {
      case .oneByte: bytes.map { Int32($0) }
      case .twoBytes: (0..<columns).map { Int32(bytes[2 * $0]) | Int32(bytes[2 * $0 + 1]) << 8 }
      }
    }
  }
}
