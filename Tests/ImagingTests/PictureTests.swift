import Basics
import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct PictureReadingTests {
  @Test(arguments: [
    "rgba8.png", "rgba16.png", "rgb16.png", "grey16.png", "grey-alpha.png", "grey1.png", "palette.png",
    "color-key.png", "interlaced.png", "text.png",
  ])
  func everyKindOfPNGIsReadExactly(name: String) throws {
    let expected = try #require(try MediaFixture.expected()[name])
    let picture = try Picture(contentsOf: MediaFixture.url(name))
    #expect(picture.width == expected.width && picture.height == expected.height)
    #expect(picture.pixels == expected.pixels)
  }

  @Test(arguments: ["color.jpg", "grey.jpg", "cmyk-adobe.jpg", "cmyk-plain.jpg", "ycck.jpg", "jpeg-named.png"])
  func everyKindOfJPEGIsReadClosely(name: String) throws {
    let expected = try #require(try MediaFixture.expected()[name])
    let picture = try Picture(contentsOf: MediaFixture.url(name))
    #expect(picture.width == expected.width && picture.height == expected.height)
    let largest = zip(picture.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }.max()
    #expect(try #require(largest) <= 4)
  }

  /// 120×88 pixels.
  @Test(arguments: [(11, 1), (12, 2), (22, 2), (34, 4), (60, 6), (88, 8), (1000, 8)])
  func aLargeJPEGIsDecodedScaledDown(least: Int, eighths: Int) throws {
    let bytes = [UInt8](try Data(contentsOf: MediaFixture.url("smooth.jpg")))
    let whole = try Picture(decoding: bytes, name: "smooth")
    #expect(whole.width == 120 && whole.height == 88)
    let picture = try Picture(decoding: bytes, name: "smooth", atLeast: least)
    #expect(picture.width == 15 * eighths && picture.height == 11 * eighths)
    let averaged = whole.resized(width: picture.width, height: picture.height)
    let differences = zip(picture.pixels, averaged.pixels).map { abs(Int($0) - Int($1)) }
    #expect(differences.reduce(0, +) < differences.count, "\(differences.reduce(0, +)) over \(differences.count)")
  }

  @Test(arguments: [
    ("empty.png", "the file is empty"),
    ("not-a-picture.png", "not a PNG, JPEG or WebP picture"),
    ("truncated.png", "damaged PNG: the file ends early"),
    ("truncated.jpg", "damaged JPEG: the file ends early"),
    ("huge.png", "the picture claims 50000×50000 pixels; at most 128 million are read"),
  ])
  func badFilesAreNamedInOneLine(name: String, reason: String) throws {
    let url = MediaFixture.url(name)
    #expect(throws: PipelineError(.badData, "\(url.path): \(reason)")) { try Picture(contentsOf: url) }
  }

  @Test func missingFilesAndFoldersAreNotInput() {
    let missing = MediaFixture.url("missing.png")
    #expect(throws: PipelineError(.noInput, "cannot read \(missing.path): No such file or directory")) {
      try Picture(contentsOf: missing)
    }
    #expect(throws: PipelineError(.noInput, "cannot read \(Fixtures.url("media").path): it is a folder, not a file")) {
      try Picture(contentsOf: Fixtures.url("media"))
    }
  }

  @Test(arguments: ["rgba8.png", "interlaced.png", "color.jpg", "cmyk-adobe.jpg"])
  func aPictureCutAnywhereOrWithAFlippedByteNeverCrashes(name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: MediaFixture.url(name)))
    // Without its end, which is no part of the picture, it is whole.
    let endByteCount = name.hasSuffix("png") ? 16 : 2
    for count in 0..<(bytes.count - endByteCount) {
      #expect(throws: PipelineError.self) { try Picture(decoding: Array(bytes[..<count]), name: "cut") }
    }
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] ^= 0xFF
      // Some damage cannot be told from a good file; whatever comes out has to be whole.
      if let picture = try? Picture(decoding: damaged, name: "damaged") {
        #expect(picture.pixels.count == 3 * picture.width * picture.height)
      }
    }
  }
}

@Suite struct PNGWritingTests {
  @Test func pixelsAndTextRoundTrip() throws {
    try withTemporaryFolder { folder in
      let url = folder.appendingPathComponent("picture.png")
      let picture = pattern(width: 13, height: 9)
      let text = [
        (key: "Title", value: "a café\nin two lines"), (key: "Description", value: "日本の寿司 🍣"),
        (key: "Clé", value: ""),
      ]
      try picture.write(to: url, text: text)
      #expect(try Picture(contentsOf: url) == picture)
      let read = try Picture.pngText(of: url)
      #expect(read.map(\.key) == text.map(\.key))
      #expect(read.map(\.value) == text.map(\.value))
      let bytes = try Data(contentsOf: url)
      #expect(bytes.range(of: Data("tEXtTitle".utf8)) != nil)
      #expect(bytes.range(of: Data("iTXtDescription".utf8)) != nil)
      // Nothing but the file is left in the folder.
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["picture.png"])
    }
  }

  @Test func compressedTextOfOtherProgramsIsRead() throws {
    let text = try Picture.pngText(of: MediaFixture.url("text.png"))
    #expect(text.map(\.key) == ["packed", "plain"])
    #expect(text.map(\.value) == ["gepackt", "café"])
    #expect(throws: PipelineError.self) { try Picture.pngText(of: MediaFixture.url("color.jpg")) }
    #expect(throws: PipelineError.self) { try Picture.pngText(of: MediaFixture.url("truncated.png")) }
  }

  @Test(arguments: ["", "日本", String(repeating: "k", count: 80), "a\0b"])
  func keysThatPNGCannotHoldAreRefused(key: String) {
    #expect(throws: PipelineError.self) { try pattern(width: 1, height: 1).pngData(text: [(key, "value")]) }
  }

  @Test func valuesWithNULAreRefused() {
    #expect(throws: PipelineError.self) { try pattern(width: 1, height: 1).pngData(text: [("key", "a\0b")]) }
  }

  @Test func anUnwritableFolderIsNamed() {
    let url = URL(fileURLWithPath: "/proc/nowhere/picture.png")
    #expect {
      try pattern(width: 1, height: 1).write(to: url)
    } throws: { error in
      (error as? PipelineError)?.kind == .cannotCreate && "\(error)".contains(url.path)
    }
  }
}
