import Foundation
import Imaging
import TestSupport

/// A file that `Tests/Fixtures/make_picture_fixtures.py` made, and what Pillow, Little CMS and the equations make of it.
struct PictureFixture {
  let bytes: [UInt8]
  let expected: Picture

  init(_ name: String) throws {
    struct Expected: Decodable {
      var width: Int
      var height: Int
      var pixels: Data
    }
    bytes = [UInt8](try Data(contentsOf: Fixtures.url("pictures/\(name)")))
    let all = try JSONDecoder().decode(
      [String: Expected].self, from: Data(contentsOf: Fixtures.url("pictures/expected.json")))
    guard let expected = all[name] else { throw CocoaError(.fileNoSuchFile) }
    self.expected = Picture(width: expected.width, height: expected.height, pixels: Array(expected.pixels))
  }

  /// The largest difference of a channel of a pixel; nil where the sizes differ.
  func largestDifference(from picture: Picture) -> Int? {
    guard picture.width == expected.width, picture.height == expected.height else { return nil }
    return zip(picture.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }.max()
  }
}
