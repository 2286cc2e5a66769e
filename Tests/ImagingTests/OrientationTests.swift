import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct OrientationTests {
  @Test(arguments: (1...8).map { "turned-\($0).jpg" } + ["turned-3-large.jpg"])
  func aJPEGIsTurnedAsItsEXIFSays(name: String) throws {
    let fixture = try PictureFixture(name)
    #expect(try fixture.largestDifference(from: Picture(decoding: fixture.bytes, name: name)) == 0)
    let transparent = try TransparentPicture(decoding: fixture.bytes, name: name)
    #expect(fixture.largestDifference(from: transparent.overWhite()) == 0)
  }

  @Test(arguments: ["turned-6.png", "turned-6-late.png", "turned-8-transparent.png", "turned-5.webp", "turned-3.webp"])
  func aPNGAndAWebPAreTurnedToo(name: String) throws {
    let fixture = try PictureFixture(name)
    #expect(try fixture.largestDifference(from: Picture(decoding: fixture.bytes, name: name)) == 0)
    let transparent = try TransparentPicture(decoding: fixture.bytes, name: name)
    #expect(fixture.largestDifference(from: transparent.overWhite()) == 0)
  }

  @Test func whatIsDecodedScaledDownIsTurnedToo() throws {
    let fixture = try PictureFixture("turned-3-large.jpg")
    let picture = try Picture(decoding: fixture.bytes, name: "large", atLeast: 12)
    #expect(picture.width == 20 && picture.height == 12)
    let averaged = fixture.expected.resized(width: 20, height: 12)
    #expect(zip(picture.pixels, averaged.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 8 })
  }

  /// Every place of the result, by the words of the specification: where the first row and the first column are seen.
  @Test func everyPixelGoesWhereTheSpecificationHasIt() {
    let (width, height) = (3, 2)
    let places: [Orientation: (_ x: Int, _ y: Int) -> (Int, Int)] = [
      .upright: { ($0, $1) }, .mirrored: { (2 - $0, $1) }, .upsideDown: { (2 - $0, 1 - $1) },
      .upsideDownMirrored: { ($0, 1 - $1) }, .transposed: { ($1, $0) }, .turnedLeft: { (1 - $1, $0) },
      .transversed: { (1 - $1, 2 - $0) }, .turnedRight: { ($1, 2 - $0) },
    ]
    #expect(places.count == 8)
    for (orientation, place) in places {
      let pixels = (0..<(2 * width * height)).map(UInt8.init)
      let upright = orientation.upright(pixels, width: width, height: height, channelCount: 2)
      let columnCount = orientation.swapsSides ? height : width
      for y in 0..<height {
        for x in 0..<width {
          let (toX, toY) = place(x, y)
          let (from, to) = (2 * (y * width + x), 2 * (toY * columnCount + toX))
          #expect(upright[to] == pixels[from] && upright[to + 1] == pixels[from + 1], "\(orientation) (\(x), \(y))")
        }
      }
    }
  }

  @Test func whatMakesNoSenseIsUpright() throws {
    let entry: [UInt8] = [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]
    let block: [UInt8] = [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 1, 0] + entry
    #expect(Orientation(exif: block) == .turnedLeft)
    #expect(Orientation(exif: Array("Exif\0\0".utf8) + block) == .turnedLeft)
    for count in 0..<block.count where count < 20 { #expect(Orientation(exif: Array(block[..<count])) == .upright) }
    // Beyond the end, before the beginning, more entries than there are, no such orientation, a text for a number.
    for (position, value) in [(4, 0xFF), (7, 0xFF), (0, 0x4D), (18, 9), (18, 0), (12, 2), (10, 0)] as [(Int, UInt8)] {
      var damaged = block
      damaged[position] = value
      #expect(Orientation(exif: damaged) == .upright, "\(position)")
    }
    var claims = block
    claims[9] = 0xFF
    #expect(Orientation(exif: claims) == .turnedLeft)
    claims[10] = 0
    #expect(Orientation(exif: claims) == .upright)
  }
}
