import Foundation
import Media

/// The files that `Tests/Fixtures/make_media_fixtures.py` made.
enum Fixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/media")

  struct Expected: Decodable {
    var width: Int
    var height: Int
    var pixels: [UInt8]
  }

  /// The pixels that each fixture should decode to.
  static func expected() throws -> [String: Expected] {
    try JSONDecoder().decode(
      [String: Expected].self, from: Data(contentsOf: folder.appendingPathComponent("expected.json")))
  }

  static func url(_ name: String) -> URL { folder.appendingPathComponent(name) }
}

/// A folder that is gone after `body`.
func withTemporaryFolder(_ body: (URL) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("media-tests-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  try body(folder)
}

/// A picture without symmetry, whose pixels depend on `seed`.
func pattern(width: Int, height: Int, seed: Int = 1) -> Picture {
  Picture(
    width: width, height: height,
    pixels: (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: ($0 &* 7919 &+ seed &* 104_729) >> 3) })
}
