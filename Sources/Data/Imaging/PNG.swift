import Basics
import CPNG
import Foundation

/// PNG by libpng.
enum PNG {
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ limits: DecodingLimits, name: String
  ) throws(PipelineError) -> DecodedPicture {
    // Signature (8), the header chunk's length and type (8), width (4), height (4), all big-endian, bits a sample, and the type of its colors.
    guard bytes.count >= 26 else { throw PipelineError(.badData, "\(name): damaged PNG: the file ends early") }
    let width = bytes[16..<20].reduce(0) { $0 << 8 | Int($1) }
    let height = bytes[20..<24].reduce(0) { $0 << 8 | Int($1) }
    try Picture.checkSize(width: width, height: height, atMost: limits.most, name: name)
    // Bits a pixel by the type of its colors: grey, RGB, palette, and the first two with opacity. Deflate makes a byte of 1032 at
    // most, so that a short file that claims a large picture is refused before there is memory for that.
    let bits = Int(bytes[24]) * ([0: 1, 2: 3, 3: 1, 4: 2, 6: 4][bytes[25]] ?? 1)
    guard height * (width * bits / 8) <= 1032 * bytes.count else {
      throw PipelineError(.badData, "\(name): damaged PNG: the file ends early")
    }
    let picture = try decode(bytes, width: width, height: height, bytesPerSample: 1, name: name)
    // Rounded to 8 bits before its colors are known, a picture in linear light would have lost its shadows.
    guard let encoding = picture.encoding, bytes[24] == 16,
      ColorConversion.conversion(of: encoding, layout: picture.layout) != nil
    else { return picture }
    return try decode(bytes, width: width, height: height, bytesPerSample: 2, name: name)
  }

  private static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, width: Int, height: Int, bytesPerSample: Int, name: String
  ) throws(PipelineError) -> DecodedPicture {
    let byteCount = 4 * bytesPerSample * width * height
    var message = [CChar](repeating: 0, count: Int(DALLE_PNG_MESSAGE_BYTES))
    var description = dalle_png_description()
    defer { dalle_png_free_description(&description) }
    var status: Int32 = 0
    let samples = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initialized in
      status = dalle_png_decode(
        bytes.baseAddress, bytes.count, UInt32(width), UInt32(height), UInt32(bytesPerSample), buffer.baseAddress,
        &description, &message)
      initialized = status == 0 ? byteCount : 0
    }
    guard status == 0 else { throw PipelineError(.badData, "\(name): damaged PNG: \(text(of: message))") }
    var picture = DecodedPicture(
      width: width, height: height, samples: samples,
      layout: SampleLayout(
        colors: description.is_grey != 0 ? .grey : .rgb, hasAlpha: true, bytesPerSample: bytesPerSample))
    picture.encoding = encoding(description)
    if let exif = description.exif {
      picture.orientation = Orientation(exif: Array(UnsafeBufferPointer(start: exif, count: description.exif_count)))
    }
    return picture
  }

  /// By the specification's order of precedence: cICP, iCCP, sRGB, and gAMA with cHRM.
  private static func encoding(_ description: dalle_png_description) -> ColorEncoding? {
    let codePoints = withUnsafeBytes(of: description.code_points) { Array($0) }
    if description.has_code_points != 0, let named = ColorEncoding(codePoints: codePoints) { return named }
    if let profile = description.profile {
      return .profile(Array(UnsafeBufferPointer(start: profile, count: description.profile_count)))
    }
    if description.is_srgb != 0 { return nil }
    var lights = ColorEncoding.Chromaticities.bt709
    if description.has_chromaticities != 0 {
      let xy = withUnsafeBytes(of: description.chromaticities) { Array($0.bindMemory(to: Double.self)) }
      lights = ColorEncoding.Chromaticities(
        white: Array(xy[0..<2]), red: Array(xy[2..<4]), green: Array(xy[4..<6]), blue: Array(xy[6..<8]))
    }
    // What programs write for sRGB is 1/2.2, which its curve comes close to.
    let isOfSRGB = lights.isClose(to: .bt709) && abs(2.2 * description.gamma - 1) < 0.05
    return description.gamma > 0 && !isOfSRGB
      ? .lights(lights, gamma: 1 / description.gamma)
      : lights.isClose(to: .bt709) ? nil : .lights(lights, gamma: nil)
  }

  /// libpng's words, which it leaves as a C string.
  package static func text(of message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

extension Picture {
  /// The picture as a PNG file in memory.
  /// - Parameters:
  ///   - text: key/value pairs to put into the file, as tEXt where the value is Latin-1 and as iTXt (UTF-8) otherwise.
  ///     A key is 1 to 79 Latin-1 characters; a value holds no NUL.
  ///   - compressionLevel: zlib's, 0 (none) ... 9 (slow).
  /// - Throws: `PipelineError` of kind `.usage` for text that a PNG cannot hold.
  public func pngData(
    text: [(key: String, value: String)] = [], compressionLevel: Int = 6
  ) throws(PipelineError) -> Data {
    var chunks: [dalle_png_text] = []
    defer {
      for chunk in chunks {
        free(chunk.key)
        free(chunk.text)
      }
    }
    for (key, value) in text {
      guard let keyBytes = Self.latin1(key), (1...79).contains(keyBytes.count) else {
        throw PipelineError(.usage, "the PNG text key \"\(key)\" is not 1 to 79 Latin-1 characters without NUL")
      }
      guard !value.utf8.contains(0) else {
        throw PipelineError(.usage, "the PNG text under \"\(key)\" contains a NUL character")
      }
      let valueBytes = Self.latin1(value)
      chunks.append(
        dalle_png_text(
          key: Self.cString(keyBytes), text: Self.cString(valueBytes ?? Array(value.utf8)),
          is_utf8: valueBytes == nil ? 1 : 0))
    }
    var message = [CChar](repeating: 0, count: Int(DALLE_PNG_MESSAGE_BYTES))
    var sink = dalle_png_sink()
    let status = dalle_png_encode(
      pixels, UInt32(width), UInt32(height), Int32(compressionLevel), chunks, Int32(chunks.count), &sink, &message)
    guard status == 0, let bytes = sink.bytes else {
      free(sink.bytes)
      throw PipelineError(.inputOutput, "cannot encode a \(width)×\(height) PNG: \(PNG.text(of: message))")
    }
    return Data(bytesNoCopy: bytes, count: sink.count, deallocator: .free)
  }

  /// Writes a PNG file, whole or not at all; see ``pngData(text:compressionLevel:)`` for `text`.
  /// - Throws: `PipelineError` of kind `.usage`, `.cannotCreate` or `.inputOutput`.
  public func write(to url: URL, text: [(key: String, value: String)] = []) throws(PipelineError) {
    try AtomicFile.write(pngData(text: text), to: url)
  }

  /// The text that a PNG file carries (tEXt, zTXt and iTXt), in the order of the file.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be read, and `.badData` where it is not a PNG.
  public static func pngText(of url: URL) throws(PipelineError) -> [(key: String, value: String)] {
    let data = try InputFile.contents(of: url, maximumByteCount: 1 << 30)
    final class Collector { var pairs: [(key: String, value: String)] = [] }
    let collector = Collector()
    var message = [CChar](repeating: 0, count: Int(DALLE_PNG_MESSAGE_BYTES))
    let status: Int32? = data.withUnsafeBytes { buffer in
      let bytes = buffer.bindMemory(to: UInt8.self)
      guard PictureFormat(of: buffer) == .png else { return nil }
      return dalle_png_read_text(
        bytes.baseAddress, bytes.count, Unmanaged.passUnretained(collector).toOpaque(),
        { context, key, text, isUTF8 in
          guard let context, let key, let text else { return }
          let value = isUTF8 != 0 ? String(cString: text) : Picture.string(latin1: text)
          Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().pairs.append(
            (key: Picture.string(latin1: key), value: value))
        }, &message)
    }
    guard let status else { throw PipelineError(.badData, "\(url.path): not a PNG picture") }
    guard status == 0 else { throw PipelineError(.badData, "\(url.path): damaged PNG: \(PNG.text(of: message))") }
    return collector.pairs
  }

  /// The bytes of `string` in Latin-1, or nil where it has other characters or a NUL.
  private static func latin1(_ string: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    for scalar in string.unicodeScalars {
      guard let byte = UInt8(exactly: scalar.value), byte != 0 else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  private static func string(latin1 text: UnsafePointer<CChar>) -> String {
    var string = String.UnicodeScalarView()
    for i in 0..<strlen(text) { string.append(Unicode.Scalar(UInt8(bitPattern: text[i]))) }
    return String(string)
  }

  /// A copy that libpng may keep a pointer to; the caller frees it.
  private static func cString(_ bytes: [UInt8]) -> UnsafeMutablePointer<CChar>? {
    (bytes.map(CChar.init(bitPattern:)) + [0]).withUnsafeBufferPointer { strdup($0.baseAddress!) }
  }
}
