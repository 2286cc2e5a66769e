/// How a camera was held, as EXIF numbers it: what has to be done with the pixels of a file to see the picture upright.
enum Orientation: Int {
  case upright = 1
  case mirrored
  case upsideDown
  case upsideDownMirrored
  /// Rows become columns.
  case transposed
  /// Upright when it is turned clockwise by a quarter.
  case turnedLeft
  /// Rows become columns, the last one first.
  case transversed
  /// Upright when it is turned counterclockwise by a quarter.
  case turnedRight

  /// Reads an EXIF block, with or without the six bytes "Exif\0\0" that JPEG puts before it. What makes no sense is upright, as
  /// programs that show pictures have it.
  init(exif: [UInt8]) {
    let start = exif.starts(with: "Exif\0".utf8) ? 6 : 0
    let isBigEndian = exif.dropFirst(start).starts(with: "MM\0*".utf8)
    self = .upright
    guard isBigEndian || exif.dropFirst(start).starts(with: "II*\0".utf8) else { return }
    /// The number of `count` bytes there, or nil beyond the end.
    func number(at offset: Int, _ count: Int) -> Int? {
      guard offset >= 0, start + offset + count <= exif.count else { return nil }
      let bytes = exif[(start + offset)..<(start + offset + count)]
      return isBigEndian
        ? bytes.reduce(0) { $0 << 8 | Int($1) } : bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = number(at: 4, 4), let entryCount = number(at: directory, 2) else { return }
    for entry in stride(from: directory + 2, to: directory + 2 + 12 * entryCount, by: 12) {
      guard let tag = number(at: entry, 2), let type = number(at: entry + 2, 2) else { return }
      guard tag == 0x0112 else { continue }
      // A byte, a 16-bit or a 32-bit number, at the beginning of the field.
      guard let size = [1: 1, 3: 2, 4: 4][type], let value = number(at: entry + 8, size) else { return }
      self = Orientation(rawValue: value) ?? .upright
      return
    }
  }

  /// Whether columns become rows.
  var swapsSides: Bool { rawValue >= Self.transposed.rawValue }

  /// The pixels upright.
  /// - Parameters:
  ///   - pixels: row-major, `channelCount * width * height` bytes.
  ///   - width: of `pixels`, as is `height`; where ``swapsSides`` says so, the result's are the other way round.
  func upright(_ pixels: [UInt8], width: Int, height: Int, channelCount: Int) -> [UInt8] {
    if self == .upright { return pixels }
    let last = width * height - 1
    // The first pixel of the result, and how far apart in `pixels` those lie that are neighbours in a row and in a column.
    let (first, alongRow, alongColumn) =
      switch self {
      case .upright: (0, 1, width)
      case .mirrored: (width - 1, -1, width)
      case .upsideDown: (last, -1, -width)
      case .upsideDownMirrored: (last - width + 1, 1, -width)
      case .transposed: (0, width, 1)
      case .turnedLeft: (last - width + 1, -width, 1)
      case .transversed: (last, -width, -1)
      case .turnedRight: (width - 1, width, -1)
      }
    let (columnCount, rowCount) = swapsSides ? (height, width) : (width, height)
    return [UInt8](unsafeUninitializedCapacity: pixels.count) { target, initialized in
      pixels.withUnsafeBufferPointer { source in
        var to = 0
        for row in 0..<rowCount {
          for column in 0..<columnCount {
            let from = channelCount * (first + column * alongRow + row * alongColumn)
            for channel in 0..<channelCount { target[to + channel] = source[from + channel] }
            to += channelCount
          }
        }
      }
      initialized = pixels.count
    }
  }
}
