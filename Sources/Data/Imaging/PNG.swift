import Basics
import CPNG
import Foundation

/// PNG by libpng.
enum PNG {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  static func isPNG(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool { bytes.starts(with: signature) }

  package static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, name: String
  ) throws(PipelineError) -> TransparentPicture {
    // Signature (8), the header chunk's length and type (8), width (4), height (4), all big-endian.
    guard bytes.count >= 24 else { throw PipelineError(.badData, "\(name): damaged PNG: the file ends early") }
    let width = bytes[16..<20].reduce(0) { $0 << 8 | Int($1) }
    let height = bytes[20..<24].reduce(0) { $0 << 8 | Int($1) }
    try Picture.checkSize(width: width, height: height, name: name)
    let count = width * height
    var message = [CChar](repeating: 0, count: Int(DALLE_PNG_MESSAGE_BYTES))
    var status: Int32 = 0
    let rgba = [UInt8](unsafeUninitializedCapacity: 4 * count) { buffer, initialized in
      status = dalle_png_decode(
        bytes.baseAddress, bytes.count, UInt32(width), UInt32(height), buffer.baseAddress, &message)
      initialized = status == 0 ? 4 * count : 0
    }
    guard status == 0 else { throw PipelineError(.badData, "\(name): damaged PNG: \(text(of: message))") }
    return TransparentPicture(width: width, height: height, pixels: rgba)
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
      guard PNG.isPNG(bytes) else { return nil }
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
