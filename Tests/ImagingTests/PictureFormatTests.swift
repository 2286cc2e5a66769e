import Basics
import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct PictureFormatTests {
  /// The beginnings of files, as the formats' specifications and the programs that write them have it.
  static let heads: [(name: String, head: [UInt8])] = [
    ("PNG", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]),
    ("JPEG", [0xFF, 0xD8, 0xFF, 0xE1]),
    ("WebP", bytes("RIFF\u{24}\0\0\0WEBPVP8 ")),
    ("GIF", bytes("GIF89a")),
    ("BMP", bytes("BM") + [0x36, 0x30, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 64, 0]),
    ("TIFF", [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0]),
    ("TIFF", [0x4D, 0x4D, 0, 0x2A, 0, 0, 0, 8]),
    ("TIFF", [0x49, 0x49, 0x2B, 0, 8, 0, 0, 0]),
    ("camera raw", [0x49, 0x49, 0x2A, 0, 16, 0, 0, 0] + bytes("CR\u{2}\0")),
    ("camera raw", box(brands: "crx ", "isom")),
    ("AVIF", box(brands: "avif", "mif1", "miaf")),
    ("AVIF", box(brands: "mif1", "avif", "miaf")),
    ("HEIC", box(brands: "heic", "mif1", "heic")),
    ("HEIC", box(brands: "mif1", "heic")),
    ("JPEG XL", [0xFF, 0x0A, 0xFA]),
    ("JPEG XL", [0, 0, 0, 12] + bytes("JXL \r\n") + [0x87, 0x0A]),
    ("JPEG 2000", [0, 0, 0, 12] + bytes("jP  \r\n") + [0x87, 0x0A]),
    ("PSD", bytes("8BPS\0\u{1}")),
    ("XCF", bytes("gimp xcf v011")),
    ("SVG", bytes("<svg xmlns=\"http://www.w3.org/2000/svg\">")),
    ("SVG", [0xEF, 0xBB, 0xBF] + bytes("\n<?xml version=\"1.0\"?><!-- by hand --><!DOCTYPE svg><svg>")),
    ("ICO", [0, 0, 1, 0, 2, 0, 16, 16]),
    ("Netpbm", bytes("P6\n4 4\n255\n")),
    ("OpenEXR", [0x76, 0x2F, 0x31, 0x01, 2]),
    ("QOI", bytes("qoif\0\0\0\u{4}")),
    ("PDF", bytes("%PDF-1.7")),
  ]

  @Test(arguments: heads) func aPictureIsKnownByItsFirstBytes(name: String, head: [UInt8]) throws {
    // Whatever follows, and however little.
    for tail in [[], [UInt8](repeating: 0x20, count: 9000)] {
      #expect(PictureFormat(of: head + tail)?.name == name)
    }
  }

  @Test(arguments: heads) func whatIsNotReadIsNamedInOneLine(name: String, head: [UInt8]) throws {
    let format = try #require(PictureFormat.all.first { $0.name == name })
    guard let converter = format.converter else { return }
    for fileName in ["photo.jpg", "photo"] {
      let error = #expect(throws: PipelineError.self) { try Picture(decoding: head, name: fileName) }
      let message = try #require(error).message
      #expect(message.hasPrefix("\(fileName): a"))
      #expect(
        message.hasSuffix(
          " \(name) picture, which is not read; convert it to PNG or JPEG, for example with \(converter)"))
    }
  }

  @Test(arguments: [
    ("A BM of a text", "not a PNG, JPEG or WebP picture"),
    ("BMW in the rain at night", "not a PNG, JPEG or WebP picture"),
    ("RIFF\u{24}\0\0\0WAVEfmt ", "not a PNG, JPEG or WebP picture"),
    ("\n<!DOCTYPE html><html><svg></svg>", "an HTML page, not a picture"),
    ("<HTML>404", "an HTML page, not a picture"),
    (
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
      "a pointer of Git LFS in place of the picture, which git lfs pull fetches"
    ),
  ])
  func whatIsNoPictureIsSaidToBeNone(text: String, reason: String) {
    #expect(PictureFormat(of: Data(text.utf8)) == nil)
    #expect(throws: PipelineError(.badData, "photo.jpg: \(reason)")) {
      try Picture(decoding: Data(text.utf8), name: "photo.jpg")
    }
  }

  @Test func cutAnywhereItIsSomeFormatOrNone() {
    for (_, head) in Self.heads {
      for count in 0...head.count { _ = PictureFormat(of: Array(head[..<count])) }
    }
    // A box that claims more than there is, and one that claims less than its own header.
    #expect(PictureFormat(of: [0xFF, 0xFF, 0xFF, 0xFF] + Self.bytes("ftypheic\0\0\0\0"))?.name == "HEIC")
    #expect(PictureFormat(of: [0, 0, 0, 1] + Self.bytes("ftypheic\0\0\0\0")) == nil)
  }

  @Test func everyEndingBelongsToOneFormat() {
    let all = PictureFormat.all.flatMap(\.fileExtensions)
    #expect(Set(all).count == all.count && all == all.map { $0.lowercased() })
    #expect(PictureFormat.readFileExtensions == ["png", "jpg", "jpeg", "jpe", "jfif", "webp"])
    #expect(PictureFormat(fileExtension: "HEIC")?.name == "HEIC")
    #expect(PictureFormat(fileExtension: "JPG")?.isRead == true)
    #expect(PictureFormat(fileExtension: "tga")?.isRead == false)
    #expect(PictureFormat(fileExtension: "txt") == nil && PictureFormat(fileExtension: "") == nil)
  }

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private static func box(brands main: String, _ others: String...) -> [UInt8] {
    [0, 0, 0, UInt8(16 + 4 * others.count)] + bytes("ftyp" + main) + [0, 0, 0, 0] + bytes(others.joined())
  }
}
