import Foundation
import Imaging
import Testing

@testable import Basics
@testable import Evaluation

@Suite struct PatchDistanceTests {
  /// Stripes of single pixels and blots, of random colors.
  private static func pictures(_ count: Int, side: Int) -> [Picture] {
    var random = Philox(seed: 4, stream: 1)
    return (0..<count).map { _ in
      var picture = Picture(width: side, height: side, color: .white)
      for _ in 0..<12 {
        let color = Picture.Color(
          red: UInt8(random.index(below: 256)), green: UInt8(random.index(below: 256)),
          blue: UInt8(random.index(below: 256)))
        let (width, height) = (1 + random.index(below: side / 4), 1 + random.index(below: 3))
        picture.paste(
          Picture(width: width, height: height, color: color), x: random.index(below: side - width),
          y: random.index(below: side - height))
      }
      return picture
    }
  }

  private static func blurred(_ picture: Picture, to side: Int) -> Picture {
    picture.resized(width: side, height: side).resized(width: picture.width, height: picture.height)
  }

  @Test func picturesMayComeInGroups() throws {
    let pictures = Self.pictures(9, side: 24)
    let soft = pictures.map { Self.blurred($0, to: 8) }
    let distance = try PatchDistance(pictures, threads: 1)
    var (a, b) = (distance.sample(), distance.sample())
    a.add(pictures)
    for group in [0..<1, 1..<6, 6..<6, 6..<9] { b.add(Array(soft[group])) }
    let whole = try distance.between(pictures, soft)
    let grouped = try distance.between(a, b)
    #expect(whole > 0.01 && abs(grouped - whole) < 1e-9 * whole)
  }

  @Test func aBlurIsSeenTheMoreTheStrongerItIs() throws {
    let pictures = Self.pictures(40, side: 64)
    let distance = try PatchDistance(pictures, threads: 2)
    let own = try distance.between(pictures, pictures)
    let soft = try distance.between(pictures.map { Self.blurred($0, to: 32) }, pictures)
    let softer = try distance.between(pictures.map { Self.blurred($0, to: 16) }, pictures)
    #expect(own < 1e-6 && soft > 0.05 && softer > 1.5 * soft, "\(own) \(soft) \(softer)")
  }

  /// What changes a patch's mean alone is not looked at.
  @Test func itIsBlindToBrightness() throws {
    let pictures = Self.pictures(20, side: 32)
    let distance = try PatchDistance(pictures, threads: 1)
    let darker = pictures.map { picture in
      var picture = picture
      // No pixel is cut off.
      picture.pixels = picture.pixels.map { $0 / 2 }
      return picture
    }
    let darkest = darker.map { picture in
      var picture = picture
      picture.pixels = picture.pixels.map { $0 + 100 }
      return picture
    }
    #expect(try distance.between(darker, darkest) < 1e-6)
    #expect(try distance.between(darker, pictures) > 0.01)
  }

  @Test func smallPicturesAndFewOfThemDo() throws {
    let pictures = Self.pictures(1, side: 12)
    let distance = try PatchDistance(pictures, threads: 1)
    #expect(try distance.between(pictures, pictures) < 1e-6)
  }
}

extension PatchDistance {
  fileprivate func between(_ a: [Picture], _ b: [Picture]) throws -> Double {
    var (first, second) = (sample(), sample())
    first.add(a)
    second.add(b)
    return try between(first, second)
  }
}
