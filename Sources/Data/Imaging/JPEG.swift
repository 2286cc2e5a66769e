import Basics
import CJPEG

/// JPEG by libjpeg.
enum JPEG {
  /// The most pixels that a file may claim. A progressive one's coefficients take some three bytes each while it is decoded,
  /// however small the picture becomes.
  static let maximumClaimedPixelCount = 300_000_000

  static func isJPEG(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool { bytes.starts(with: [0xFF, 0xD8, 0xFF]) }

  /// - Parameter least: what neither side of the picture may fall below when it is decoded scaled down, which takes less time
  ///   and memory; nil decodes it whole.
  package static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, least: Int?, name: String
  ) throws(PipelineError) -> Picture {
    var message = [CChar](repeating: 0, count: Int(DALLE_JPEG_MESSAGE_BYTES))
    var claimedWidth: UInt32 = 0
    var claimedHeight: UInt32 = 0
    guard dalle_jpeg_read_size(bytes.baseAddress, bytes.count, &claimedWidth, &claimedHeight, &message) == 0 else {
      throw damaged(name, message)
    }
    let claimed = (width: Int(claimedWidth), height: Int(claimedHeight))
    try Picture.checkSize(
      width: claimed.width, height: claimed.height, atMost: maximumClaimedPixelCount, name: name)
    let shorter = min(claimed.width, claimed.height)
    // In eighths, what libjpeg's inverse transforms can do.
    let eighths = least.flatMap { least in (1..<8).first { shorter * $0 / 8 >= least } } ?? 8
    let (width, height) = ((claimed.width * eighths + 7) / 8, (claimed.height * eighths + 7) / 8)
    try Picture.checkSize(width: width, height: height, name: name)
    let count = width * height
    var channels: Int32 = 0
    var status: Int32 = 0
    let samples = [UInt8](unsafeUninitializedCapacity: 4 * count) { buffer, initialized in
      status = dalle_jpeg_decode(
        bytes.baseAddress, bytes.count, UInt32(width), UInt32(height), UInt32(eighths), buffer.baseAddress, &channels,
        &message)
      initialized = status == 0 ? Int(channels.magnitude) * count : 0
    }
    guard status == 0 else { throw damaged(name, message) }
    if channels == 3 { return Picture(width: width, height: height, pixels: samples) }
    // Light that ink lets through: with C, M, Y, K as full light = 255, R = C·K/255.
    let inkIsInverted = channels == -4
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, initialized in
      for i in 0..<count {
        let flip: UInt8 = inkIsInverted ? 0 : 255
        let key = Int(samples[4 * i + 3] ^ flip)
        for channel in 0..<3 {
          buffer[3 * i + channel] = UInt8((Int(samples[4 * i + channel] ^ flip) * key + 127) / 255)
        }
      }
      initialized = 3 * count
    }
    return Picture(width: width, height: height, pixels: pixels)
  }

  private static func damaged(_ name: String, _ message: [CChar]) -> PipelineError {
    let words = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return PipelineError(.badData, "\(name): damaged JPEG: \(words)")
  }
}
