import Foundation
import Imaging
import TestSupport

/// The files that `Tests/Fixtures/make_media_fixtures.py` made.
enum MediaFixture {
  struct Expected: Decodable {
    var width: Int
    var height: Int
    var pixels: [UInt8]
  }

  /// The pixels that each fixture should decode to.
  static func expected() throws -> [String: Expected] {
    try JSONDecoder().decode(
      [String: Expected].self, from: Data(contentsOf: url("expected.json")))
  }

  static func url(_ name: String) -> URL { Fixtures.url("media/\(name)") }
}

/// A picture without symmetry, whose pixels depend on `seed`.
func pattern(width: Int, height: Int, seed: Int = 1) -> Picture {
  Picture(
    width: width, height: height,
    pixels: (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: ($0 &* 7919 &+ seed &* 104_729) >> 3) })
}
