import Basics
import CJPEG

/// JPEG by libjpeg.
enum JPEG {
  /// The most pixels that a file may claim. A progressive one's coefficients take some three bytes each while it is decoded,
  /// however small the picture becomes.
  static let maximumClaimedPixelCount = 300_000_000

  /// A block of 64 pixels takes a bit at least, in a progressive file of grey; twice as many would be no picture.
  private static let pixelsPerByte = 1024

  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ limits: DecodingLimits, name: String
  ) throws(PipelineError) -> DecodedPicture {
    var message = [CChar](repeating: 0, count: Int(DALLE_JPEG_MESSAGE_BYTES))
    var header = dalle_jpeg_header()
    defer { dalle_jpeg_free_header(&header) }
    guard dalle_jpeg_read_header(bytes.baseAddress, bytes.count, &header, &message) == 0 else {
      throw damaged(name, message)
    }
    let claimed = (width: Int(header.width), height: Int(header.height))
    try Picture.checkSize(
      width: claimed.width, height: claimed.height,
      atMost: maximumClaimedPixelCount / 1000 * limits.most / (Picture.maximumPixelCount / 1000), name: name)
    guard claimed.width * claimed.height <= pixelsPerByte * bytes.count + 64 * 64 else {
      throw PipelineError(.badData, "\(name): damaged JPEG: the file ends early")
    }
    let shorter = min(claimed.width, claimed.height)
    // In eighths, what libjpeg's inverse transforms can do.
    let eighths = limits.least.flatMap { least in (1..<8).first { shorter * $0 / 8 >= least } } ?? 8
    let (width, height) = ((claimed.width * eighths + 7) / 8, (claimed.height * eighths + 7) / 8)
    try Picture.checkSize(width: width, height: height, atMost: limits.most, name: name)
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
    let colors: SampleLayout.Colors =
      channels == 3 ? (header.is_grey != 0 ? .grey : .rgb) : .cmyk(isInverted: channels == -4)
    var picture = DecodedPicture(width: width, height: height, samples: samples, layout: SampleLayout(colors: colors))
    if let profile = header.profile {
      picture.encoding = .profile(Array(UnsafeBufferPointer(start: profile, count: Int(header.profile_count))))
    }
    if let exif = header.exif {
      picture.orientation = Orientation(exif: Array(UnsafeBufferPointer(start: exif, count: header.exif_count)))
    }
    return picture
  }

  private static func damaged(_ name: String, _ message: [CChar]) -> PipelineError {
    let words = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return PipelineError(.badData, "\(name): damaged JPEG: \(words)")
  }
}
