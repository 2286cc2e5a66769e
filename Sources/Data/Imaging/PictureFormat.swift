import Basics
import Foundation

/// What kind of picture a file is, told by its first bytes: those that are read, and those that are known and not read.
public struct PictureFormat: Sendable, Hashable {
  /// As people write it: "JPEG", "HEIC".
  public let name: String
  /// The endings of such files' names, in lower case and without the dot, the usual one first.
  public let fileExtensions: [String]
  /// A program that makes PNG or JPEG of it; nil for what is read.
  public let converter: String?
  typealias Decode =
    @Sendable (
      _ bytes: UnsafeBufferPointer<UInt8>, _ limits: DecodingLimits, _ name: String
    ) throws(PipelineError) -> DecodedPicture
  /// Nil for what is not read.
  let decode: Decode?
  /// Whether the bytes, which are a file's first ones, are of this format.
  private let matches: @Sendable (UnsafeBufferPointer<UInt8>) -> Bool

  private init(
    _ name: String, _ fileExtensions: [String], converter: String? = nil, decode: Decode? = nil,
    _ matches: @escaping @Sendable (UnsafeBufferPointer<UInt8>) -> Bool
  ) {
    self.name = name
    self.fileExtensions = fileExtensions
    self.converter = converter
    self.decode = decode
    self.matches = matches
  }

  /// How many of a file's first bytes tell its format.
  public static let headByteCount = 4096

  static let png = PictureFormat(
    "PNG", ["png"], decode: { (bytes, limits, name) throws(PipelineError) in try PNG.decode(bytes, limits, name: name) }
  ) {
    $0.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
  }
  static let jpeg = PictureFormat(
    "JPEG", ["jpg", "jpeg", "jpe", "jfif"],
    decode: { (bytes, limits, name) throws(PipelineError) in try JPEG.decode(bytes, limits, name: name) }
  ) {
    $0.starts(with: [0xFF, 0xD8, 0xFF])
  }
  static let webP = PictureFormat(
    "WebP", ["webp"],
    decode: { (bytes, limits, name) throws(PipelineError) in try WebP.decode(bytes, limits, name: name) }
  ) {
    $0.starts(with: "RIFF".utf8) && $0.dropFirst(8).starts(with: "WEBP".utf8)
  }

  /// The formats, the ones that are read first. A format that is a special case of another's signature stands before it.
  public static let all: [PictureFormat] = [
    png, jpeg, webP,
    .init("GIF", ["gif"], converter: imageMagick) { $0.starts(with: "GIF8".utf8) },
    // The length of the second header tells it from a text that begins with BM.
    .init("BMP", ["bmp", "dib"], converter: imageMagick) {
      $0.starts(with: "BM".utf8) && $0.count > 17 && [12, 16, 40, 52, 56, 64, 108, 124].contains($0[14])
        && $0[15..<18].allSatisfy { $0 == 0 }
    },
    .init(
      "camera raw", ["dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "pef", "srw"], converter: "darktable-cli"
    ) {
      $0.starts(with: "FUJIFILMCCD-RAW".utf8) || $0.starts(with: "IIRO".utf8) || $0.starts(with: "IIRS".utf8)
        || $0.starts(with: "IIU\0".utf8) || $0.starts(with: "II*\0".utf8) && $0.dropFirst(8).starts(with: "CR".utf8)
        || Self.brands(of: $0).contains("crx ")
    },
    .init("TIFF", ["tif", "tiff"], converter: imageMagick) { bytes in
      ["II*\0", "MM\0*", "II+\0", "MM\0+"].contains { bytes.starts(with: $0.utf8) }
    },
    .init("AVIF", ["avif"], converter: "heif-convert") { !Self.brands(of: $0).isDisjoint(with: ["avif", "avis"]) },
    .init("HEIC", ["heic", "heif", "hif"], converter: "heif-convert") {
      !Self.brands(of: $0).isDisjoint(with: ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"])
    },
    .init("JPEG XL", ["jxl"], converter: "djxl") {
      $0.starts(with: [0xFF, 0x0A]) || $0.starts(with: [0, 0, 0, 12] + Array("JXL \r\n".utf8) + [0x87, 0x0A])
    },
    .init("JPEG 2000", ["jp2", "j2k", "jpx", "j2c"], converter: "opj_decompress") {
      $0.starts(with: [0, 0, 0, 12] + Array("jP  \r\n".utf8) + [0x87, 0x0A])
        || $0.starts(with: [0xFF, 0x4F, 0xFF, 0x51])
    },
    .init("PSD", ["psd", "psb"], converter: imageMagick) { $0.starts(with: "8BPS".utf8) },
    .init("XCF", ["xcf"], converter: imageMagick) { $0.starts(with: "gimp xcf".utf8) },
    .init("SVG", ["svg"], converter: "rsvg-convert") {
      let text = Self.text(of: $0)
      return text.hasPrefix("<") && !Self.isHTML(text) && text.contains("<svg")
    },
    .init("ICO", ["ico", "cur"], converter: imageMagick) {
      $0.count > 5 && $0[0] == 0 && $0[1] == 0 && (1...2).contains($0[2]) && $0[3] == 0 && $0[4] > 0 && $0[5] == 0
    },
    .init("Netpbm", ["ppm", "pgm", "pbm", "pnm", "pam"], converter: "pnmtopng") {
      $0.count > 2 && $0[0] == UInt8(ascii: "P") && (UInt8(ascii: "1")...UInt8(ascii: "7")).contains($0[1])
        && [0x09, 0x0A, 0x0D, 0x20].contains($0[2])
    },
    .init("OpenEXR", ["exr"], converter: imageMagick) { $0.starts(with: [0x76, 0x2F, 0x31, 0x01]) },
    .init("QOI", ["qoi"], converter: imageMagick) { $0.starts(with: "qoif".utf8) },
    .init("PDF", ["pdf"], converter: "pdftoppm") { $0.starts(with: "%PDF-".utf8) },
    // It has no signature; its name alone tells.
    .init("TGA", ["tga"], converter: imageMagick) { _ in false },
  ]

  private static let imageMagick = "ImageMagick's convert"

  /// The format of the file that begins with `bytes`, of which the first ``headByteCount`` are looked at; nil where it is no
  /// picture that is known.
  public init?(of bytes: some ContiguousBytes) {
    let format = bytes.withUnsafeBytes { buffer in
      let head = UnsafeBufferPointer(rebasing: buffer.bindMemory(to: UInt8.self).prefix(Self.headByteCount))
      return Self.all.first { $0.matches(head) }
    }
    guard let format else { return nil }
    self = format
  }

  /// The format that files of this ending have as a rule; nil where it is no picture's.
  /// - Parameter fileExtension: without the dot, in any case.
  public init?(fileExtension: String) {
    let lowercased = fileExtension.lowercased()
    guard let format = Self.all.first(where: { $0.fileExtensions.contains(lowercased) }) else { return nil }
    self = format
  }

  /// Whether ``Picture`` reads it.
  public var isRead: Bool { decode != nil }

  /// The endings of the names of pictures that are read, in lower case and without the dot.
  public static let readFileExtensions = Set(all.filter(\.isRead).flatMap(\.fileExtensions))

  /// What to say of one such file that is not read: "a HEIC picture, which is not read; …".
  var refusal: String {
    let article = ["AVIF", "ICO", "OpenEXR", "SVG", "XCF"].contains(name) ? "an" : "a"
    return
      "\(article) \(name) picture, which is not read; convert it to PNG or JPEG, for example with \(converter ?? "")"
  }

  /// What to say of a file that is no picture at all.
  static func refusal(ofUnknown bytes: UnsafeBufferPointer<UInt8>) -> String {
    let text = text(of: UnsafeBufferPointer(rebasing: bytes.prefix(headByteCount)))
    if isHTML(text) { return "an HTML page, not a picture" }
    if text.hasPrefix("version https://git-lfs") {
      return "a pointer of Git LFS in place of the picture, which git lfs pull fetches"
    }
    return "not a PNG, JPEG or WebP picture"
  }

  /// The brands that an ISO base media file claims in its first box; empty where it is none.
  private static func brands(of bytes: UnsafeBufferPointer<UInt8>) -> Set<String> {
    guard bytes.count >= 16, bytes[4..<8].elementsEqual("ftyp".utf8) else { return [] }
    let end = min(bytes[..<4].reduce(0) { $0 << 8 | Int($1) }, bytes.count)
    // After the main brand stands its version, which is no brand and does no harm.
    return Set(stride(from: 8, to: end - 3, by: 4).map { String(decoding: bytes[$0..<($0 + 4)], as: UTF8.self) })
  }

  /// Without what may stand before the first tag, in lower case.
  private static func text(of bytes: UnsafeBufferPointer<UInt8>) -> String {
    let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    return String(decoding: bytes[start...].drop { [0x09, 0x0A, 0x0D, 0x20].contains($0) }, as: UTF8.self).lowercased()
  }

  private static func isHTML(_ text: String) -> Bool { text.hasPrefix("<!doctype html") || text.hasPrefix("<html") }
}

extension PictureFormat {
  public static func == (a: PictureFormat, b: PictureFormat) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
