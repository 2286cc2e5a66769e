import Basics
import Datasets
import Imaging
import TestSupport
import Testing

@testable import Compositions

struct RelationTests {
  private let folder: TemporaryFolder
  private let maker: CompositionMaker

  init() throws {
    folder = try TemporaryFolder()
    maker = try folder.maker()
  }

  private func picture(_ relation: String, _ first: String, _ second: String? = nil) throws -> Picture {
    try #require(try maker.composition(of: .init(relation: relation, first: first, second: second))).picture
  }

  // MARK: Where things are

  @Test func everyRelationMakesPictures() throws {
    #expect(maker.relations.map(\.name) == Relation.all.map(\.name))
    for relation in Relation.all {
      let single = try folder.maker([relation.name])
      for index in 0..<6 {
        let composition = try single.composition(at: index)
        #expect(composition.pair.relation == relation.name)
        #expect(composition.picture.width == 64 && composition.picture.height == 64)
        #expect(composition.picture.box() != nil, "\(composition.caption) is empty")
      }
    }
  }

  /// They are asked for by name, each shows what its caption says, and no index of a composition leads to one.
  @Test func threeRelationsAtOnceAreOnlyAskedFor() throws {
    let pairs = maker.pairs(of: .train, count: 40, threeAtOnce: true)
    let names = Set(Relation.threeAtOnce.map(\.name))
    #expect(Set(pairs.map(\.relation)) == names && pairs.allSatisfy { maker.split(of: $0) == .train })
    let held = maker.pairs(of: .test, count: 3, threeAtOnce: true)
    #expect(!held.isEmpty && held.allSatisfy { names.contains($0.relation) && maker.split(of: $0) == .test })
    #expect(!(0..<2000).contains { names.contains(maker.pair(at: $0).relation) })
    for pair in pairs + held {
      let composition = try #require(try maker.composition(of: pair))
      let second = try #require(pair.second)
      #expect(composition.picture.box() != nil && composition.caption.contains(second), "\(composition.caption)")
      // The plain pair holds out what the three do.
      let relation = try #require(Relation.named(pair.relation))
      #expect(
        composition.split
          == CompositionMaker.split(relation: relation.heldOutAs, first: pair.first, second: pair.second))
    }
    #expect(throws: PipelineError.self) { try folder.maker(["sized-colored-next-to"]) }
  }

  @Test func theFirstOfTwoIsOnTheLeft() throws {
    for relation in ["next-to", "sized-next-to"] {
      let picture = try picture(relation, "ball", "box")
      let (ball, box) = (try #require(picture.box(where: isRed)), try #require(picture.box(where: isBlue)))
      #expect(ball.x.upperBound <= box.x.lowerBound)
      #expect(ball.x.upperBound <= 48 && box.x.lowerBound >= 16)
    }
  }

  @Test func whatIsOnTopStandsOnTheOther() throws {
    let picture = try picture("on-top-of", "ball", "box")
    let (ball, box) = (try #require(picture.box(where: isRed)), try #require(picture.box(where: isBlue)))
    #expect(ball.y.lowerBound < box.y.lowerBound && ball.y.upperBound < box.y.upperBound)
    // They touch.
    #expect(ball.y.upperBound >= box.y.lowerBound - 1)
    let centres = (ball.x.lowerBound + ball.x.upperBound, box.x.lowerBound + box.x.upperBound)
    #expect(abs(centres.0 - centres.1) <= 3)
  }

  @Test(arguments: ["two": 2, "three": 3, "four": 4])
  func thereAreAsManyAsTheCaptionSays(_ word: String, _ count: Int) throws {
    let picture = try picture("counted", "ball", word)
    // Regions of connected red.
    var left = Set((0..<(64 * 64)).filter { isRed(picture.color($0 % 64, $0 / 64)) })
    var regions = 0
    while let start = left.first {
      var open = [start]
      left.remove(start)
      while let i = open.popLast() {
        for next in [i - 1, i + 1, i - 64, i + 64] where left.remove(next) != nil { open.append(next) }
      }
      regions += 1
    }
    #expect(regions == count)
  }

  @Test func sizesDiffer() throws {
    let small = try #require(try picture("sized", "box", "small").box())
    let large = try #require(try picture("sized", "box", "large").box())
    #expect(2 * small.x.count <= large.x.count + 2 && large.x.count >= 57)
    #expect(small.x.lowerBound + small.x.upperBound == 64)
    // Which one is small is said of the first.
    let pair = try #require(
      try folder.maker(["sized-next-to"]).composition(
        of: .init(relation: "sized-next-to", first: "ball", second: "box")))
    let ball = try #require(pair.picture.box(where: isRed)).x.count
    let box = try #require(pair.picture.box(where: isBlue)).x.count
    #expect(pair.caption.hasPrefix("a small ball") == (ball < box))
  }

  /// What is learnt of a thing in one place can be used in others: it is the same pixels, some whole places of a tokenizer further.
  @Test func aThingIsTheSamePixelsInEveryPlace() throws {
    func quarter(
      _ relation: String, _ first: String, _ second: String? = nil, x: Int, y: Int
    ) throws -> [SIMD3<Float>] {
      let picture = try picture(relation, first, second)
      return (0..<32).flatMap { row in (0..<32).map { picture.color(x + $0, y + row) } }
    }
    let ball = try quarter("counted", "ball", "two", x: 0, y: 16)
    #expect(ball.contains(where: isRed) && ball.first == .one && ball.last == .one)
    #expect(try quarter("counted", "ball", "two", x: 32, y: 16) == ball)
    #expect(try quarter("counted", "ball", "three", x: 16, y: 0) == ball)
    #expect(try quarter("counted", "ball", "four", x: 32, y: 32) == ball)
    #expect(try quarter("next-to", "ball", "box", x: 0, y: 16) == ball)
    #expect(try quarter("next-to", "box", "ball", x: 32, y: 16) == ball)
    #expect(try quarter("sketch-below", "ball", x: 16, y: 0) == ball)
    #expect(try quarter("sized", "ball", "small", x: 16, y: 16) == ball)
  }

  @Test func aCircleIsAroundTheThing() throws {
    let picture = try picture("inside-circle", "ball")
    let ball = try #require(picture.box(where: isRed))
    let ring = try #require(picture.box())
    #expect(ring.x.lowerBound < ball.x.lowerBound - 4 && ring.x.upperBound > ball.x.upperBound + 4)
    #expect(ring.y.count >= 58)
    // Between the two there is white.
    #expect(
      (0..<64).contains { picture.color($0, 32).min() > 0.98 && $0 > ring.x.lowerBound && $0 < ball.x.lowerBound })
  }

  // MARK: What things look like

  @Test(arguments: NamedColor.allCases.filter { $0 != .red })
  func aThingTakesItsColorAndKeepsItsEye(_ color: NamedColor) throws {
    let picture = try picture("colored", "ball", color.rawValue)
    if color != .white { #expect(picture.share(of: color) > 0.6) }
    #expect(picture.box(where: isRed) == nil || [.orange, .brown, .pink, .yellow].contains(color))
    // The eye, in 48 pixels at 15 and 17.
    let eye = picture.color(20, 24)
    #expect(eye.max() < 0.2)
  }

  /// A black silhouette has nothing that is darker or brighter than the color.
  /// Nor may a thing that is seen through stay as it is.
  @Test(arguments: NamedColor.allCases, [255, 180] as [UInt8])
  func whatIsAllBlackTakesAColor(_ color: NamedColor, _ alpha: UInt8) throws {
    let pixels = (0..<32 * 32).flatMap { i -> [UInt8] in
      (8..<24).contains(i % 32) && (8..<24).contains(i / 32) ? [0, 0, 0, alpha] : [255, 255, 255, 0]
    }
    let cutout = try #require(Cutout(TransparentPicture(width: 32, height: 32, pixels: pixels), atMost: 64))
    let layer = color.given(to: cutout.layer(fitting: 32))
    let covered = layer.pixels.indices.filter { layer.pixels[$0].w > 0.6 }
    // White has an outline, which of what is small and seen through covers much.
    let names: Set<NamedColor> = color == .white ? [.white, .grey] : [color]
    let named = covered.count { names.contains(NamedColor(naming: layer.color(at: $0))) }
    #expect(covered.count > 100 && 2 * named > covered.count, "\(named) of \(covered.count)")
  }

  @Test func aThingIsNotGivenTheColorThatItHas() throws {
    #expect(try maker.composition(of: .init(relation: "colored", first: "ball", second: "red")) == nil)
    #expect(try maker.composition(of: .init(relation: "colored", first: "box", second: "blue")) == nil)
    for index in 0..<40 {
      let composition = try folder.maker(["colored"]).composition(at: index)
      #expect([composition.pair.first, composition.pair.second] != ["ball", "red"])
    }
  }

  @Test func whatIsMadeOfAnotherHasItsTexture() throws {
    let picture = try picture("made-of", "ball", "wasp")
    // Upright stripes: colors change from column to column and hardly from row to row.
    var (across, down): (Float, Float) = (0, 0)
    for y in 20..<44 {
      for x in 28..<44 {
        across += abs(picture.color(x + 1, y).luma - picture.color(x, y).luma)
        down += abs(picture.color(x, y + 1).luma - picture.color(x, y).luma)
      }
    }
    #expect(across > 4 * down)
    #expect(picture.share(of: .yellow) + picture.share(of: .brown) + picture.share(of: .black) > 0.8)
    #expect(picture.box(where: isRed) == nil)
    // The shape is the ball's.
    let plain = try #require(try self.picture("made-of", "ball", "plate").box())
    let box = try #require(picture.box())
    #expect(abs(box.x.count - plain.x.count) <= 4 && picture.color(2, 2).min() > 0.98)
    // Its eye is seen in any texture.
    #expect(try self.picture("made-of", "ball", "plate").color(20, 24).max() < 0.35)
  }

  @Test func whatHasNoTextureIsNoMaterial() throws {
    #expect(Set(maker.materialNames).isSuperset(of: ["wasp", "plate", "grapes"]))
    #expect(!maker.materialNames.contains("box"))
    #expect(try maker.composition(of: .init(relation: "made-of", first: "ball", second: "box")) == nil)
    #expect(try maker.composition(of: .init(relation: "made-of", first: "wasp", second: "wasp")) == nil)
  }

  @Test func aSketchIsDarkLinesOnWhite() throws {
    let picture = try picture("sketch", "ball")
    let colors = (0..<(64 * 64)).map { picture.color($0 % 64, $0 / 64) }
    #expect(colors.allSatisfy { $0.max() - $0.min() < 0.08 })
    let dark = colors.count { $0.max() < 0.5 }
    #expect(dark > 100 && dark < 64 * 64 / 5)
    // The middle of the red disc is white, its outline and its eye's are not.
    #expect(picture.color(40, 40).min() > 0.95)
    #expect((0..<8).contains { picture.color($0, 32).max() < 0.5 })
  }

  @Test func theSketchBelowIsOfTheSameThing() throws {
    let picture = try picture("sketch-below", "ball")
    let top = picture.cropped(x: 0, y: 0, width: 64, height: 32)
    let bottom = picture.cropped(x: 0, y: 32, width: 64, height: 32)
    #expect(top.share(of: .red) > 0.6)
    #expect(bottom.box(where: isRed) == nil)
    let (above, below) = (try #require(top.box()), try #require(bottom.box()))
    #expect(abs(above.x.lowerBound - below.x.lowerBound) <= 1 && abs(above.y.count - below.y.count) <= 2)
    #expect(abs(above.x.lowerBound + above.x.upperBound - 64) <= 1)
  }
}
