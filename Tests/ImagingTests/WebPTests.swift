import Basics
import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct WebPTests {
  @Test(arguments: [
    "lossless.webp", "lossless-transparent.webp", "lossy.webp", "lossy-transparent.webp", "grey.webp", "animated.webp",
    "animated-part.webp",
  ])
  func everyKindOfWebPIsReadExactly(name: String) throws {
    let fixture = try PictureFixture(name)
    // What it is called does not matter.
    let picture = try Picture(decoding: fixture.bytes, name: "photo.jpg")
    #expect(fixture.largestDifference(from: picture) == 0)
    let transparent = try TransparentPicture(decoding: fixture.bytes, name: name)
    #expect(transparent.overWhite() == picture)
    let isTransparent = stride(from: 3, to: transparent.pixels.count, by: 4).contains { transparent.pixels[$0] < 255 }
    #expect(isTransparent == (name.contains("transparent") || name.contains("part")))
  }

  @Test func aSizeThatIsTooLargeIsRefusedBeforeAnythingIsAllocated() throws {
    var bytes = try PictureFixture("animated.webp").bytes
    for i in 24..<30 { bytes[i] = 0xFF }
    #expect(throws: PipelineError.self) { try Picture(decoding: bytes, name: "huge.webp") }
    // 16384 × 16384, the most that WebP has.
    for (i, byte) in ([0xFF, 0x3F, 0, 0xFF, 0x3F, 0] as [UInt8]).enumerated() { bytes[24 + i] = byte }
    #expect(
      throws: PipelineError(
        .badData, "huge.webp: the picture claims 16384×16384 pixels; at most 128 million are read")
    ) { try Picture(decoding: bytes, name: "huge.webp") }
  }

  @Test(arguments: ["lossless.webp", "lossy-transparent.webp", "animated.webp", "display-p3.webp"])
  func aWebPThatEndsEarlyIsRefused(name: String) throws {
    let bytes = try PictureFixture(name).bytes
    for count in [16, bytes.count / 2, bytes.count - 12] {
      let error = #expect(throws: PipelineError.self) {
        try Picture(decoding: Array(bytes[..<count]), name: "cut.webp")
      }
      let message = try #require(error).message
      #expect(message.hasPrefix("cut.webp: damaged WebP: the file ends early"), "\(message)")
    }
  }
}
