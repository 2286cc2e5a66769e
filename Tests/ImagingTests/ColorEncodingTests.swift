import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct ColorEncodingTests {
  @Test(arguments: [
    "adobe-rgb.jpg", "adobe-rgb.png", "adobe-rgb-16.png", "adobe-rgb-turned-6.jpg", "display-p3.webp",
    "display-p3-transparent.png", "grey-profile.png", "grey-profile.jpg", "cmyk-profile.jpg", "cmyk-profile-plain.jpg",
    "gamma-1.8.png", "gamma-1.8-grey.png", "linear-16.png", "lights-of-p3.png", "lights-of-p3-gamma-2.2.png",
    "code-points-of-p3.png",
  ])
  func colorsAreBroughtToSRGB(name: String) throws {
    let fixture = try PictureFixture(name)
    let picture = try Picture(decoding: fixture.bytes, name: name)
    let difference = try #require(fixture.largestDifference(from: picture))
    #expect(difference <= 2, "\(name): \(difference)")
    #expect(try TransparentPicture(decoding: fixture.bytes, name: name).overWhite() == picture)
  }

  @Test(arguments: [
    "srgb.png", "srgb-table.jpg", "gamma-of-srgb.png", "srgb-before-gamma.png", "code-points-of-srgb.png",
    "profile-of-a-press.jpg", "profile-cut.jpg", "profile-of-grey.jpg",
  ])
  func whatIsSRGBOrIsNotOfThesePixelsChangesNone(name: String) throws {
    let fixture = try PictureFixture(name)
    #expect(try fixture.largestDifference(from: Picture(decoding: fixture.bytes, name: name)) == 0)
  }

  @Test func opacityIsNoColor() throws {
    let fixture = try PictureFixture("display-p3-transparent.png")
    let picture = try TransparentPicture(decoding: fixture.bytes, name: "p3")
    // As the script has it.
    for y in 0..<picture.height {
      for x in 0..<picture.width {
        #expect(picture.pixels[4 * (y * picture.width + x) + 3] == UInt8((7 * x + 20 * y) % 256))
      }
    }
  }

  /// More profiles than are kept, from several threads.
  @Test func profilesAreKnownAgainOnAllThreads() async throws {
    let names = ["adobe-rgb.jpg", "display-p3.webp", "grey-profile.png", "cmyk-profile.jpg", "srgb-table.jpg"]
    let fixtures = try names.map { try PictureFixture($0) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for thread in 0..<4 {
        group.addTask {
          for i in 0..<100 {
            let fixture = fixtures[(i + thread) % fixtures.count]
            let difference = try fixture.largestDifference(from: Picture(decoding: fixture.bytes, name: "again"))
            #expect(try #require(difference) <= 2)
            let gamma = 1 + Double(thread * 100 + i) / 400
            let layout = SampleLayout(colors: .rgb)
            _ = ColorConversion.conversion(of: .lights(.bt709, gamma: gamma), layout: layout)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// A profile of nothing but a list of `count` elements, all of them the same matrix.
  private func profile(ofElements count: Int) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
    func name(_ text: String) -> [UInt8] { Array(text.utf8) }
    let channels: [UInt8] = [0, 3, 0, 3]
    let numbers = (0..<12).flatMap { word($0 < 9 && $0 % 4 == 0 ? Int(Float(0.5).bitPattern) : 0) }
    let matrix = name("matf") + word(0) + channels + numbers
    let places = (0..<count).flatMap { _ in word(16 + 8 * count) + word(matrix.count) }
    let list = name("mpet") + word(0) + channels + word(count) + places + matrix
    var header = word(144 + list.count) + word(0) + word(0x0430_0000) + name("mntr") + name("RGB ") + name("XYZ ")
    header += word(0) + word(0) + word(0) + name("acsp")
    header += [UInt8](repeating: 0, count: 128 - header.count)
    return header + word(1) + name("D2B0") + word(144) + word(list.count) + list
  }

  /// A few hundred bytes list as many elements as one likes, and to read them takes minutes: no such list is read.
  @Test func listsOfElementsAreLeftAside() {
    for count in [1, 1000] {
      let layout = SampleLayout(colors: .rgb)
      #expect(ColorConversion.conversion(of: .profile(profile(ofElements: count)), layout: layout) == nil)
    }
  }

  /// A light that is nowhere, and a profile that claims tables of gigabytes.
  @Test func whatMakesNoSenseIsPassedOver() {
    let nowhere = ColorEncoding.Chromaticities(white: [0, 0], red: [0, 0], green: [0, 0], blue: [0, 0])
    let layout = SampleLayout(colors: .rgb)
    #expect(ColorConversion.conversion(of: .lights(nowhere, gamma: nil), layout: layout) == nil)
    #expect(ColorConversion.conversion(of: .profile([]), layout: layout) == nil)
    #expect(ColorConversion.conversion(of: .profile([UInt8](repeating: 0, count: 9 << 20)), layout: layout) == nil)
  }
}
