import Imaging
import Testing

@testable import Compositions

struct CutoutTests {
  @Test(arguments: [false, true], Toy.allCases)
  func aThingIsCutToItsEdges(_ isTransparent: Bool, _ toy: Toy) throws {
    let cutout = try #require(Cutout(toy.picture(isTransparent: isTransparent), atMost: 256))
    let inside = (0..<(Toy.side * Toy.side)).filter { toy.color($0 % Toy.side, $0 / Toy.side) != nil }
    let columns = inside.map { $0 % Toy.side }
    #expect(cutout.width == columns.max()! - columns.min()! + 1)
    #expect(cutout.height == inside.last! / Toy.side - inside[0] / Toy.side + 1)
    let layer = cutout.layer(width: cutout.width, height: cutout.height)
    let covered = layer.pixels.reduce(0) { $0 + Double($1.w) }
    #expect(abs(covered - Double(inside.count)) < 0.03 * Double(inside.count))
    // Over white, it is what it was.
    let (left, top) = (columns.min()!, inside[0] / Toy.side)
    let before = toy.picture().overWhite().cropped(x: left, y: top, width: cutout.width, height: cutout.height)
    let after = layer.overWhite()
    let worst = zip(before.pixels, after.pixels).map { abs(Int($0) - Int($1)) }.max()
    #expect(try #require(worst) <= 2)
  }

  @Test func whiteInsideAThingStays() throws {
    let cutout = try #require(Cutout(Toy.doughnut.picture(), atMost: 256))
    let layer = cutout.layer(width: cutout.width, height: cutout.height)
    let middle = layer.pixels[layer.height / 2 * layer.width + layer.width / 2]
    #expect(middle == SIMD4(1, 1, 1, 1))
    #expect(layer.pixels[0].w == 0)
  }

  @Test func aSoftEdgeIsCoveredInPart() throws {
    // A pixel half of red and half of white, all around a red square.
    var picture = Picture(width: 40, height: 40, color: .white)
    picture.paste(Picture(width: 22, height: 22, color: .init(red: 228, green: 128, blue: 128)), x: 9, y: 9)
    picture.paste(Picture(width: 20, height: 20, color: .init(red: 200, green: 0, blue: 0)), x: 10, y: 10)
    let layer = try #require(Cutout(TransparentPicture(picture), atMost: 64)).layer(width: 22, height: 22)
    let edge = layer.pixels[11]
    #expect(abs(edge.w - 0.5) < 0.02)
    #expect(abs(edge.x / edge.w - 0.78) < 0.03 && edge.y < 0.02)
  }

  @Test func aPhotographHasNone() {
    var pixels: [UInt8] = []
    for y in 0..<40 { for x in 0..<40 { pixels += [UInt8(4 * x), UInt8(5 * y), 120] } }
    #expect(Cutout(TransparentPicture(Picture(width: 40, height: 40, pixels: pixels)), atMost: 64) == nil)
    // White sky, and a meadow.
    var landscape = Picture(width: 40, height: 40, color: .white)
    landscape.paste(Picture(width: 40, height: 20, color: .init(red: 30, green: 120, blue: 30)), x: 0, y: 20)
    #expect(Cutout(TransparentPicture(landscape), atMost: 64) == nil)
  }

  @Test func nothingAndSpecksHaveNone() {
    var picture = Picture(width: 40, height: 40, color: .white)
    #expect(Cutout(TransparentPicture(picture), atMost: 64) == nil)
    picture.paste(Picture(width: 6, height: 6, color: .black), x: 9, y: 9)
    #expect(Cutout(TransparentPicture(picture), atMost: 64) == nil)
    let clear = TransparentPicture(width: 30, height: 30, pixels: Array(repeating: 0, count: 3600))
    #expect(Cutout(clear, atMost: 64) == nil)
  }

  @Test func aLargePictureIsScaledDown() throws {
    let large = Picture(width: 48, height: 48, pixels: Toy.box.picture().overWhite().pixels).enlarged(by: 5)
    let cutout = try #require(Cutout(TransparentPicture(large), atMost: 96))
    #expect(abs(cutout.width - 64) <= 2 && abs(cutout.height - 64) <= 2)
  }
}
