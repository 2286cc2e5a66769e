import Basics
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct DamagedPictureTests {
  static let endOfImage: [UInt8] = [0xFF, 0xD9]
  static let scans = ["sequential.jpg", "progressive.jpg", "restarts.jpg"]

  @Test(arguments: scans) func aJPEGWithoutItsLastMarkerIsReadWhole(name: String) throws {
    let fixture = try PictureFixture(name)
    #expect(fixture.bytes.suffix(2) == Self.endOfImage[...])
    for count in 1...2 {
      let picture = try Picture(decoding: fixture.bytes.dropLast(count) + [], name: name)
      #expect(fixture.largestDifference(from: picture) == 0)
    }
    // Scaled down, too, and with what other programs leave behind it.
    _ = try Picture(decoding: fixture.bytes.dropLast(2) + [], name: name, atLeast: 6)
    let followed = try Picture(decoding: fixture.bytes + [0, 0, 0, 1, 2, 3], name: name)
    #expect(fixture.largestDifference(from: followed) == 0)
  }

  /// Wherever it is cut, and whether or not somebody has put a last marker behind what is left: the picture, or a refusal.
  @Test(arguments: scans + ["adobe-rgb.jpg", "cmyk-profile.jpg"]) func aJPEGThatEndsInTheMiddleIsRefused(name: String)
    throws
  {
    let fixture = try PictureFixture(name)
    let whole = try Picture(decoding: fixture.bytes, name: name)
    for count in stride(from: 4, to: fixture.bytes.count - 2, by: 3) {
      for end in [[], Self.endOfImage] {
        for least in [nil, 6] {
          do {
            _ = try Picture(decoding: fixture.bytes[..<count] + end, name: "cut", atLeast: least)
            // A progressive one that is cut between two scans and has its last marker is a coarser picture, and no damaged one.
            #expect(name == "progressive.jpg" && !end.isEmpty, "\(count) of \(fixture.bytes.count) bytes")
          } catch {
            #expect("\(error)".contains("end early") || "\(error)".contains("damaged JPEG"), "\(error)")
          }
        }
      }
    }
    #expect(whole.width == fixture.expected.width)
  }

  /// A few bytes each, and each takes the time of a whole picture.
  @Test func aJPEGOfVeryManyScansIsRefused() throws {
    let bytes = try PictureFixture("progressive.jpg").bytes
    // The first scan, up to the marker after it, again and again.
    let start = try #require(bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
    let end = try #require(bytes.indices.dropLast().first { $0 > start && bytes[$0] == 0xFF && bytes[$0 + 1] != 0 })
    func picture(scans: Int) throws -> Picture {
      let repeated = Array(repeatElement(bytes[start..<end], count: scans).joined())
      return try Picture(decoding: bytes[..<start] + repeated + bytes[end...], name: "a.jpg")
    }
    _ = try picture(scans: 400)
    #expect(throws: PipelineError(.badData, "a.jpg: damaged JPEG: it has more than 500 scans")) {
      try picture(scans: 600)
    }
  }

  @Test func aJPEGThatEndsInTheMiddleSaysSo() throws {
    let bytes = try PictureFixture("sequential.jpg").bytes
    let half = Array(bytes[..<(bytes.count - 200)])
    #expect(throws: PipelineError(.badData, "a.jpg: damaged JPEG: the file ends early")) {
      try Picture(decoding: half, name: "a.jpg")
    }
    #expect(throws: PipelineError(.badData, "a.jpg: damaged JPEG: its pixels end early")) {
      try Picture(decoding: half + Self.endOfImage, name: "a.jpg")
    }
  }

  @Test(arguments: ["rgba8.png", "interlaced.png", "grey16.png", "text.png", "palette.png"])
  func aPNGWithoutItsEndIsReadWhole(name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: MediaFixture.url(name)))
    let whole = try Picture(decoding: bytes, name: name)
    // The last chunk, and the check sum of the one before.
    for count in 1...16 { #expect(try Picture(decoding: bytes.dropLast(count) + [], name: name) == whole) }
    for count in 17..<bytes.count {
      #expect(throws: PipelineError.self) { try Picture(decoding: bytes.dropLast(count) + [], name: name) }
    }
    #expect(throws: PipelineError(.badData, "a.png: damaged PNG: the file ends early")) {
      try Picture(decoding: bytes.dropLast(30) + [], name: "a.png")
    }
  }

  @Test func whatAPNGSaysBeforeItsEndHoldsWithoutIt() throws {
    for name in ["turned-6.png", "turned-6-late.png", "gamma-1.8.png"] {
      let fixture = try PictureFixture(name)
      let picture = try Picture(decoding: fixture.bytes.dropLast(12) + [], name: name)
      #expect(try #require(fixture.largestDifference(from: picture)) <= 2)
    }
  }

  /// Pixels or one error, and soon.
  @Test(arguments: [
    "lossless.webp", "lossy.webp", "lossy-transparent.webp", "animated-part.webp", "turned-5.webp", "display-p3.webp",
    "adobe-rgb.png", "adobe-rgb-16.png", "linear-16.png", "turned-6-late.png", "code-points-of-p3.png",
    "turned-6.jpg", "adobe-rgb.jpg", "cmyk-profile.jpg", "grey-profile.jpg", "progressive.jpg", "restarts.jpg",
  ])
  func whateverHappensToAFileItIsPixelsOrOneError(name: String) throws {
    let bytes = try PictureFixture(name).bytes
    var random = Philox(seed: 1, stream: 1)
    for _ in 0..<300 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let position = Int.random(in: 0..<damaged.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: damaged[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: damaged[position] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &random)!
        case 2 where damaged.count > 40: damaged.removeSubrange(position..<min(position + 3, damaged.count))
        case 3 where position > 40: damaged = Array(damaged[..<position])
        default: break
        }
      }
      do throws(PipelineError) {
        let picture = try Picture(decoding: damaged, name: "damaged")
        #expect(picture.pixels.count == 3 * picture.width * picture.height)
      } catch {
        #expect(error.kind == .badData && error.message.hasPrefix("damaged: ") && !error.message.contains("\n"))
      }
    }
  }
}
