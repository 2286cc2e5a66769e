import Basics
import Foundation
import TestSupport
import Testing

@testable import Imaging

struct TransparentPictureTests {
  @Test(arguments: ["rgba8.png", "rgba16.png", "grey-alpha.png", "color-key.png", "rgb16.png", "color.jpg"])
  func transparencyIsKept(_ fixture: String) throws {
    let data = try Data(contentsOf: Fixtures.url("media/\(fixture)"))
    let picture = try TransparentPicture(decoding: data, name: fixture)
    #expect(picture.overWhite() == (try Picture(decoding: data, name: fixture)))
    let alphas = stride(from: 3, to: picture.pixels.count, by: 4).map { picture.pixels[$0] }
    #expect(alphas.contains { $0 < 255 } == !["rgb16.png", "color.jpg"].contains(fixture))
  }

  @Test func anOpaquePictureStaysAsItIs() {
    let picture = Picture(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6])
    #expect(TransparentPicture(picture).pixels == [1, 2, 3, 255, 4, 5, 6, 255])
    #expect(TransparentPicture(picture).overWhite() == picture)
  }

  @Test(arguments: ["empty.png", "huge.png", "not-a-picture.png", "truncated.png", "truncated.jpg"])
  func damageIsNamed(_ fixture: String) throws {
    let data = try Data(contentsOf: Fixtures.url("media/\(fixture)"))
    #expect {
      try TransparentPicture(decoding: data, name: fixture)
    } throws: { error in
      (error as? PipelineError)?.kind == .badData && "\(error)".contains(fixture)
    }
  }
}
