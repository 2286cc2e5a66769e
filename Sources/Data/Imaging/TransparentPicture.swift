import Basics
import Foundation

/// An 8-bit RGB picture with its transparency.
public struct TransparentPicture: Sendable, Equatable {
  /// Columns, at least 1.
  public let width: Int
  /// Rows, at least 1.
  public let height: Int
  /// Row-major red, green, blue, alpha, 0...255 (sRGB, not premultiplied): `4 * width * height` bytes, the channel last.
  public var pixels: [UInt8]

  /// - Precondition: `width` and `height` are positive and `pixels` holds `4 * width * height` bytes.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0, "a picture has at least one pixel")
    precondition(pixels.count == 4 * width * height, "a transparent picture has four bytes a pixel")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// The picture with every pixel opaque.
  public init(_ picture: Picture) {
    let count = picture.width * picture.height
    let pixels = [UInt8](unsafeUninitializedCapacity: 4 * count) { buffer, initialized in
      for i in 0..<count {
        for channel in 0..<3 { buffer[4 * i + channel] = picture.pixels[3 * i + channel] }
        buffer[4 * i + 3] = 255
      }
      initialized = 4 * count
    }
    self.init(width: picture.width, height: picture.height, pixels: pixels)
  }

  /// Decodes as ``Picture/init(decoding:name:atLeast:atMost:)`` does, and keeps transparency; a JPEG has none.
  /// - Parameters:
  ///   - bytes: of a PNG, JPEG or WebP.
  ///   - name: what the error messages call the picture.
  ///   - least: where the picture is only needed so large, in pixels of its shorter side: a JPEG is then decoded scaled down.
  ///   - most: the most pixels that it may have.
  /// - Throws: `PipelineError` of kind `.badData` where the bytes are empty, not such a picture, damaged, without some of its
  ///   pixels, or claim more than `most` pixels.
  public init(
    decoding bytes: some ContiguousBytes, name: String, atLeast least: Int? = nil,
    atMost most: Int = Picture.maximumPixelCount
  ) throws(PipelineError) {
    self = try DecodedPicture(bytes, DecodingLimits(least: least, most: most), name: name).transparentPicture()
  }

  /// The picture on white ground.
  public func overWhite() -> Picture {
    let count = width * height
    let opaque = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, initialized in
      pixels.withUnsafeBufferPointer { rgba in
        for i in 0..<count {
          let alpha = rgba[4 * i + 3]
          buffer[3 * i] = Picture.overWhite(rgba[4 * i], alpha: alpha)
          buffer[3 * i + 1] = Picture.overWhite(rgba[4 * i + 1], alpha: alpha)
          buffer[3 * i + 2] = Picture.overWhite(rgba[4 * i + 2], alpha: alpha)
        }
      }
      initialized = 3 * count
    }
    return Picture(width: width, height: height, pixels: opaque)
  }
}
