import Basics
import CWebP

/// WebP by libwebp.
enum WebP {
  /// Decodes a picture, or the first one of an animation, with what the container says of its colors and of how it was held.
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ limits: DecodingLimits, name: String
  ) throws(PipelineError) -> DecodedPicture {
    var features = WebPBitstreamFeatures()
    try check(WebPGetFeatures(bytes.baseAddress, bytes.count, &features), name)
    let (width, height) = (Int(features.width), Int(features.height))
    try Picture.checkSize(width: width, height: height, atMost: limits.most, name: name)
    // Without the extended header there is nothing but pixels.
    guard bytes.dropFirst(12).starts(with: "VP8X".utf8) else {
      return try pixels(
        of: WebPData(bytes: bytes.baseAddress, size: bytes.count), hasAlpha: features.has_alpha != 0, width: width,
        height: height, name: name)
    }
    var data = WebPData(bytes: bytes.baseAddress, size: bytes.count)
    // What is cut off at the end may say how the camera was held, so that only a whole file is read.
    guard let container = WebPDemux(&data) else { throw damaged(name, "the file ends early, or its parts do not fit") }
    defer { WebPDemuxDelete(container) }
    var frame = WebPIterator()
    guard WebPDemuxGetFrame(container, 1, &frame) != 0, frame.complete != 0 else {
      throw damaged(name, "there is no whole picture in it")
    }
    defer { WebPDemuxReleaseIterator(&frame) }
    let (x, y) = (Int(frame.x_offset), Int(frame.y_offset))
    let (frameWidth, frameHeight) = (Int(frame.width), Int(frame.height))
    guard x >= 0, y >= 0, frameWidth > 0, frameHeight > 0, x + frameWidth <= width, y + frameHeight <= height else {
      throw damaged(name, "a part lies outside of the picture")
    }
    // What is not drawn takes memory and no bytes of the file.
    guard width * height <= 64 * frameWidth * frameHeight + 1 << 20 else {
      throw damaged(name, "it has \(width)×\(height) pixels, all but \(frameWidth)×\(frameHeight) of them empty")
    }
    var picture = try pixels(
      of: frame.fragment, hasAlpha: frame.has_alpha != 0 || frameWidth < width || frameHeight < height, width: width,
      height: height, part: (x, y, frameWidth, frameHeight), name: name)
    picture.encoding = chunk("ICCP", of: container).map(ColorEncoding.profile)
    picture.orientation = chunk("EXIF", of: container).map(Orientation.init(exif:)) ?? .upright
    return picture
  }

  /// - Parameter part: where the picture lies on the canvas, the rest of which is transparent; all of it unless given.
  private static func pixels(
    of data: WebPData, hasAlpha: Bool, width: Int, height: Int, part: (x: Int, y: Int, width: Int, height: Int)? = nil,
    name: String
  ) throws(PipelineError) -> DecodedPicture {
    let channelCount = hasAlpha ? 4 : 3
    let part = part ?? (0, 0, width, height)
    var config = WebPDecoderConfig()
    guard WebPInitDecoderConfig(&config) != 0 else { throw damaged(name, "libwebp is of another version") }
    var status = WebPGetFeatures(data.bytes, data.size, &config.input)
    // The container may claim another size than its picture has.
    if status == VP8_STATUS_OK, Int(config.input.width) != part.width || Int(config.input.height) != part.height {
      status = VP8_STATUS_BITSTREAM_ERROR
    }
    try check(status, name)
    let byteCount = channelCount * width * height
    let samples = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initialized in
      if part.width < width || part.height < height { buffer.initialize(repeating: 0) }
      let first = channelCount * (part.y * width + part.x)
      config.output.colorspace = hasAlpha ? MODE_RGBA : MODE_RGB
      config.output.is_external_memory = 1
      config.output.u.RGBA.rgba = buffer.baseAddress! + first
      config.output.u.RGBA.stride = Int32(channelCount * width)
      config.output.u.RGBA.size = byteCount - first
      status = WebPDecode(data.bytes, data.size, &config)
      initialized = status == VP8_STATUS_OK ? byteCount : 0
    }
    try check(status, name)
    return DecodedPicture(
      width: width, height: height, samples: samples, layout: SampleLayout(colors: .rgb, hasAlpha: hasAlpha))
  }

  private static func chunk(_ kind: String, of container: OpaquePointer) -> [UInt8]? {
    var iterator = WebPChunkIterator()
    guard WebPDemuxGetChunk(container, kind, 1, &iterator) != 0 else { return nil }
    defer { WebPDemuxReleaseChunkIterator(&iterator) }
    return Array(UnsafeBufferPointer(start: iterator.chunk.bytes, count: iterator.chunk.size))
  }

  private static func check(_ status: VP8StatusCode, _ name: String) throws(PipelineError) {
    switch status {
    case VP8_STATUS_OK: return
    case VP8_STATUS_NOT_ENOUGH_DATA, VP8_STATUS_SUSPENDED: throw damaged(name, "the file ends early")
    case VP8_STATUS_OUT_OF_MEMORY: throw damaged(name, "out of memory")
    case VP8_STATUS_UNSUPPORTED_FEATURE: throw damaged(name, "it has something that libwebp does not know")
    default: throw damaged(name, "its data makes no sense")
    }
  }

  private static func damaged(_ name: String, _ reason: String) -> PipelineError {
    PipelineError(.badData, "\(name): damaged WebP: \(reason)")
  }
}
