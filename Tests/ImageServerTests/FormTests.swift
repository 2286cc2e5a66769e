import Foundation
import Generation
import Imaging
import TestSupport
import Testing

@testable import ImageServer

struct FormTests {
  private static let picture = {
    var picture = Picture(width: 41, height: 23, color: .init(red: 200, green: 20, blue: 20))
    picture.paste(Picture(width: 9, height: 11, color: .black), x: 20, y: 2)
    return picture
  }()
  private static let image = Result { FormPart.file("image", try picture.pngData()) }

  private static func drawn(_ prompt: String, _ count: Int, rows: Int?) throws -> [Picture] {
    try Shared.model().generate(
      prompt, count: count, options: .init(seed: 3, imagePrompt: ImagePrompt(picture, keptRows: rows)))
  }

  private func pictures(_ answer: Answer) throws -> [Picture] {
    try answer.pictures().map { try Picture(decoding: $0, name: "x") }
  }

  /// A mask of a side whose first rows are opaque.
  private func mask(_ side: Int, opaque rows: Int, hole: Bool = false, width: Int? = nil) throws -> FormPart {
    let width = width ?? side
    var picture = TransparentPicture(Picture(width: width, height: side, color: .black))
    for y in rows..<side { for x in 0..<width { picture.pixels[4 * (y * width + x) + 3] = 0 } }
    if hole { picture.pixels[3] = 0 }
    return .file("mask", try PNGWithAlpha.data(picture))
  }

  @Test func editsBeginWithAnImage() async throws {
    let server = try await Shared.server.value
    let common: [FormPart] = [.field("prompt", "a red square"), .field("seed", "3"), .field("n", "2")]
    let half = try await server.post("/v1/images/edits", form: common + [try Self.image.get()])
    #expect(try pictures(half) == Self.drawn("a red square", 2, rows: nil))
    let usage = try #require(try half.json()["usage"] as? [String: Any])
    #expect((usage["input_tokens_details"] as? [String: Int])?["image_tokens"] == 8)
    let one = try await server.post(
      "/v1/images/edits", form: common + [try Self.image.get(), .field("keep_rows", "1")])
    #expect(try pictures(one) == Self.drawn("a red square", 2, rows: 1))
    // As OpenAI's client names it in a list.
    var list = try Self.image.get()
    list.name = "image[]"
    let other = try await server.post("/v1/images/edits", form: common + [list, .field("keep_rows", "0")])
    #expect(try pictures(other) == Self.drawn("a red square", 2, rows: 0))
    for rows in 0..<4 {
      let masked = try await server.post(
        "/v1/images/edits", form: common + [try Self.image.get(), try mask(8, opaque: 2 * rows)])
      #expect(try pictures(masked) == Self.drawn("a red square", 2, rows: rows))
    }
  }

  @Test func variationsNeedNoPrompt() async throws {
    let server = try await Shared.server.value
    let image = try Self.image.get()
    let answer = try await server.post("/v1/images/variations", form: [image, .field("seed", "3")])
    #expect(try pictures(answer) == Self.drawn("", 1, rows: nil))
    let prompted = try await server.post(
      "/v1/images/variations",
      form: [.field("prompt", "a blue bar"), image, .field("seed", "3"), .field("size", "16x16")])
    #expect(try pictures(prompted) == Self.drawn("a blue bar", 1, rows: nil))
  }

  @Test func masksThatAreNotWholeBottomRowsAreRefused() async throws {
    let server = try await Shared.server.value
    let common: [FormPart] = [.field("prompt", "x"), try Self.image.get()]
    for mask in [
      try mask(8, opaque: 3), try mask(8, opaque: 8), try mask(8, opaque: 4, hole: true),
      try mask(8, opaque: 4, width: 9),
      .file("mask", try Self.picture.pngData()),
    ] {
      try await server.post("/v1/images/edits", form: common + [mask]).expectError(400, "mask", words: "bottom")
    }
    try await server.post("/v1/images/edits", form: common + [.file("mask", Data("x".utf8))]).expectError(400, "mask")
    try await server.post(
      "/v1/images/edits", form: common + [try mask(8, opaque: 4), .field("keep_rows", "1")]
    ).expectError(400, "mask", words: "keep_rows")
    try await server.post("/v1/images/variations", form: [try Self.image.get(), try mask(8, opaque: 4)])
      .expectError(400, "mask", words: "no field")
  }

  @Test func whatMakesNoSenseIsRefused() async throws {
    let server = try await Shared.server.value
    let image = try Self.image.get()
    func expect(
      _ parameter: String?, _ words: String, _ parts: [FormPart], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
      try await server.post("/v1/images/edits", form: parts)
        .expectError(400, parameter, words: words, sourceLocation: sourceLocation)
    }
    try await expect("prompt", "missing", [image])
    try await expect("image", "missing", [.field("prompt", "x")])
    try await expect("image", "several", [.field("prompt", "x"), image, image])
    try await expect("n", "twice", [.field("prompt", "x"), .field("n", "1"), .field("n", "2"), image])
    try await expect("n", "whole number", [.field("prompt", "x"), .field("n", "many"), image])
    try await expect("stream", "true or false", [.field("prompt", "x"), .field("stream", "on"), image])
    try await expect("keep_rows", "0 to 3", [.field("prompt", "x"), .field("keep_rows", "4"), image])
    try await expect("image", "not a PNG", [.field("prompt", "x"), .file("image", Data("hello".utf8))])
    try await expect("image", "empty", [.field("prompt", "x"), .file("image", Data())])
    try await expect("style", "no field", [.field("prompt", "x"), .field("style", "vivid"), image])
    try await expect("prompt", "string", [.file("prompt", Data("x".utf8)), image])
    try await expect("prompt", "UTF-8", [FormPart(name: "prompt", content: Data([0xFF])), image])
    try await server.post("/v1/images/edits", json: #"{"prompt": "x"}"#).expectError(415, words: "multipart")
  }

  /// A file of few bytes may claim a picture that takes gigabytes.
  @Test func picturesOfTooManyPixelsAreRefused() async throws {
    let server = try await TestServer { $0.requests.pixels = 1000 }
    let large = FormPart.file("image", try Picture(width: 40, height: 30, color: .white).pngData())
    try await server.post("/v1/images/edits", form: [.field("prompt", "x"), large]).expectError(
      400, "image", words: "40×30")
    #expect(
      try await server.post("/v1/images/edits", form: [.field("prompt", "x"), try Self.image.get()]).status == 200)
  }

  /// Pictures that once broke a reader, and halves of pictures.
  @Test(arguments: ["png", "jpeg", "webp"]) func damagedPicturesAreRefused(format: String) async throws {
    let server = try await Shared.server.value
    let folder = Fixtures.url("fuzz/\(format)")
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      let whole = try Data(contentsOf: folder.appending(path: name))
      for bytes in [whole, whole.prefix(whole.count / 2), whole + whole] {
        let answer = try await server.post(
          "/v1/images/edits", form: [.field("prompt", "x"), .file("image", Data(bytes))])
        if answer.status != 200 { try answer.expectError(400, "image") }
        #expect(answer.status == 200 || bytes.count != whole.count || !name.hasPrefix("seed"), "\(name)")
      }
    }
    #expect(try await server.get("/healthz").status == 200)
  }
}

/// A PNG with opacity, of stored deflate blocks: the package itself writes opaque ones alone.
enum PNGWithAlpha {
  static func data(_ picture: TransparentPicture) throws -> Data {
    var raw: [UInt8] = []
    for y in 0..<picture.height {
      raw += [0] + picture.pixels[4 * y * picture.width..<4 * (y + 1) * picture.width]
    }
    let length = UInt16(raw.count)
    var data: [UInt8] = [0x78, 0x01, 1] + bytes(length.byteSwapped) + bytes((~length).byteSwapped) + raw
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in raw { (a, b) = ((a + UInt32(byte)) % 65521, (b + (a + UInt32(byte)) % 65521) % 65521) }
    data += bytes(b << 16 | a)
    let header = bytes(UInt32(picture.width)) + bytes(UInt32(picture.height)) + [8, 6, 0, 0, 0]
    return Data(
      [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header) + chunk("IDAT", data) + chunk("IEND", [])
    )
  }

  private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  private static func chunk(_ type: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + content
    var remainder: UInt32 = 0xFFFF_FFFF
    for byte in body {
      remainder ^= UInt32(byte)
      for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0xEDB8_8320 : remainder >> 1 }
    }
    return bytes(UInt32(content.count)) + body + bytes(~remainder)
  }
}
