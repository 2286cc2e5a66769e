import Basics
import Foundation

/// An 8-bit RGB picture in memory.
public struct Picture: Sendable, Equatable {
  /// Columns, at least 1.
  public let width: Int
  /// Rows, at least 1.
  public let height: Int
  /// Row-major red, green, blue, 0...255 (sRGB): `3 * width * height` bytes, the channel last.
  public var pixels: [UInt8]

  /// An 8-bit sRGB color.
  public struct Color: Sendable, Equatable {
    public var red: UInt8
    public var green: UInt8
    public var blue: UInt8

    public init(red: UInt8, green: UInt8, blue: UInt8) {
      self.red = red
      self.green = green
      self.blue = blue
    }

    public static let white = Color(red: 255, green: 255, blue: 255)
    public static let black = Color(red: 0, green: 0, blue: 0)
  }

  /// The most pixels that a picture in memory has; a file that claims more is refused before anything is allocated.
  public static let maximumPixelCount = 128_000_000

  /// - Precondition: `width` and `height` are positive and `pixels` holds `3 * width * height` bytes.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0, "a picture has at least one pixel")
    precondition(pixels.count == 3 * width * height, "a picture has three bytes a pixel")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// A picture of one color.
  /// - Precondition: `width` and `height` are positive.
  public init(width: Int, height: Int, color: Color) {
    let count = width * height
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, initialized in
      for i in 0..<count {
        buffer[3 * i] = color.red
        buffer[3 * i + 1] = color.green
        buffer[3 * i + 2] = color.blue
      }
      initialized = 3 * count
    }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// Reads a PNG, JPEG or WebP file; see ``init(decoding:name:atLeast:atMost:)``.
  /// - Throws: `PipelineError` of kind `.noInput` where the file is missing or cannot be read, and `.badData` where it
  ///   is not a whole PNG, JPEG or WebP.
  public init(contentsOf url: URL) throws(PipelineError) {
    try self.init(decoding: InputFile.contents(of: url, maximumByteCount: 1 << 30), name: url.path)
  }

  /// Decodes a PNG, JPEG or WebP, which are told apart by their first bytes.
  ///
  /// It is turned upright as EXIF says, and brought to sRGB from the colors of its profile (for PNG also of cICP, gAMA and cHRM).
  /// Transparency is laid over white; 16-bit samples are rounded to 8 bits; grey, palette and CMYK become RGB. Of an animation
  /// it is the first picture. A profile that is damaged, or not one of such pixels, is passed over.
  /// - Parameters:
  ///   - bytes: of a PNG, JPEG or WebP.
  ///   - name: what the error messages call the picture.
  ///   - least: where the picture is only needed so large, in pixels of its shorter side: a JPEG is then decoded scaled down, but
  ///     never below.
  ///   - most: the most pixels that it may have; from others than oneself, one wants fewer.
  /// - Throws: `PipelineError` of kind `.badData` where the bytes are empty, not such a picture, damaged, without some of its
  ///   pixels, or claim more than `most` pixels.
  public init(
    decoding bytes: some ContiguousBytes, name: String, atLeast least: Int? = nil,
    atMost most: Int = Picture.maximumPixelCount
  ) throws(PipelineError) {
    self = try DecodedPicture(bytes, DecodingLimits(least: least, most: most), name: name).picture()
  }

  /// Refuses what would take unreasonable amounts of memory.
  /// - Throws: `PipelineError` of kind `.badData`.
  static func checkSize(
    width: Int, height: Int, atMost maximum: Int = maximumPixelCount, name: String
  ) throws(PipelineError) {
    guard width > 0, height > 0 else {
      throw PipelineError(.badData, "\(name): the picture claims a size of \(width)×\(height)")
    }
    let (count, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, count <= maximum else {
      throw PipelineError(
        .badData,
        "\(name): the picture claims \(width)×\(height) pixels; at most \(maximum / 1_000_000) million are read")
    }
  }

  /// `color` with `alpha` (0...255, not premultiplied) over white, rounded to nearest.
  @inline(__always)
  static func overWhite(_ color: UInt8, alpha: UInt8) -> UInt8 {
    // 255·(1 − a) + c·a  =  255 − a·(255 − c), with a in units of 1/255.
    UInt8(255 - (Int(alpha) * (255 - Int(color)) + 127) / 255)
  }
}
