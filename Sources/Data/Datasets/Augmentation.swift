import Basics
import Imaging

/// Random small changes to training pictures that leave their captions true.
public struct Augmentation: Sendable, Equatable, Codable {
  /// The largest shift along each axis, as a fraction of the side. Shifts are of whole pixels, for a part of one would blur.
  public var maximumShift: Float
  /// The largest change of size, as a fraction: 0.1 gives factors of 0.9 to 1.1. Pixels are interpolated, and so softer.
  public var maximumScaling: Float
  /// Whether half of the pictures are mirrored. Off by default: text, flags and arrows have a direction.
  public var horizontalFlip: Bool

  public init(maximumShift: Float = 0, maximumScaling: Float = 0, horizontalFlip: Bool = false) {
    self.maximumShift = maximumShift
    self.maximumScaling = maximumScaling
    self.horizontalFlip = horizontalFlip
  }

  /// Changes nothing.
  public static let none = Augmentation()

  /// The picture shifted, scaled about its centre and perhaps mirrored: bilinear, white where nothing is.
  ///
  /// Draws the same count of random numbers whatever the settings. Where the draw changes nothing, the result is the
  /// picture bit for bit.
  public func applied(to picture: Picture, using random: inout Philox) -> Picture {
    let scale = 1 + maximumScaling * (2 * random.uniform() - 1)
    let shiftX = (maximumShift * (2 * random.uniform() - 1) * Float(picture.width)).rounded()
    let shiftY = (maximumShift * (2 * random.uniform() - 1) * Float(picture.height)).rounded()
    let isMirrored = random.uniform() < 0.5 && horizontalFlip
    if scale == 1 && shiftX == 0 && shiftY == 0 && !isMirrored { return picture }
    let columns = Self.taps(count: picture.width, scale: max(scale, 0.01), shift: shiftX, isMirrored: isMirrored)
    let rows = Self.taps(count: picture.height, scale: max(scale, 0.01), shift: shiftY, isMirrored: false)
    let count = picture.pixels.count
    let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
      picture.pixels.withUnsafeBufferPointer { source in
        for (y, row) in rows.enumerated() {
          for (x, column) in columns.enumerated() {
            for channel in 0..<3 {
              // As ink, 255 − value, so that what lies outside is zero and needs no case of its own.
              func ink(_ y: Int, _ x: Int) -> Float { Float(255 - source[3 * (y * picture.width + x) + channel]) }
              let upper = column.lowWeight * ink(row.low, column.low) + column.highWeight * ink(row.low, column.high)
              let lower = column.lowWeight * ink(row.high, column.low) + column.highWeight * ink(row.high, column.high)
              let value = 255 - (row.lowWeight * upper + row.highWeight * lower)
              target[3 * (y * picture.width + x) + channel] = UInt8(min(max(value + 0.5, 0), 255))
            }
          }
        }
      }
      initialized = count
    }
    return Picture(width: picture.width, height: picture.height, pixels: pixels)
  }

  /// Two neighbouring source samples and their weights; a sample that lies outside has weight 0.
  private struct Tap {
    var low: Int
    var high: Int
    var lowWeight: Float
    var highWeight: Float
  }

  private static func taps(count: Int, scale: Float, shift: Float, isMirrored: Bool) -> [Tap] {
    (0..<count).map { i in
      let centre = Float(count) / 2
      let offset = (Float(i) + 0.5 - shift - centre) / scale
      let position = centre + (isMirrored ? -offset : offset) - 0.5
      let low = position.rounded(.down)
      let fraction = position - low
      let index = Int(low)
      let last = count - 1
      return Tap(
        low: min(max(index, 0), last), high: min(max(index + 1, 0), last),
        lowWeight: (0...last).contains(index) ? 1 - fraction : 0,
        highWeight: (0...last).contains(index + 1) ? fraction : 0)
    }
  }
}
