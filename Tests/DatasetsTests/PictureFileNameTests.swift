import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

/// Pictures by all the names that they go by, in a folder and in a shard.
@Suite struct PictureFileNameTests {
  private static func picture(_ fixture: String) throws -> Picture {
    try Picture(contentsOf: Fixtures.url("pictures/\(fixture)")).squared(side: 16, fit: .pad)
  }

  @Test func everyEndingOfWhatIsReadIsAPicture() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    // The last two are not what their names say.
    let fixtures = [
      "a.webp": "lossless.webp", "b.jfif": "turned-6.jpg", "c.JPE": "adobe-rgb.jpg", "d.WebP": "animated-part.webp",
      "e.jpg": "display-p3.webp", "f.jpeg": "turned-6.png",
    ]
    for (name, fixture) in fixtures {
      try folder.write(Data(contentsOf: Fixtures.url("pictures/\(fixture)")), to: name)
      try folder.write(fixture, to: (name as NSString).deletingPathExtension + ".txt")
    }
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 16, report: reports.append)
    #expect(set.entries.map(\.fileName) == fixtures.keys.sorted() && reports.lines.isEmpty)
    for (i, entry) in set.entries.enumerated() {
      #expect(try set.picture(at: i) == Self.picture(entry.captions[0]), "\(entry.fileName)")
    }
  }

  @Test func soInShards() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.write(Data(contentsOf: Fixtures.url("pictures/shard.tar")), to: "0.tar")
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 16)
    #expect(set.entries.map(\.fileName) == ["0.tar/1.webp", "0.tar/2.jfif"])
    #expect(try set.picture(at: 0) == Self.picture("lossless.webp"))
    #expect(try set.picture(at: 1) == Self.picture("turned-6.jpg"))
  }
}
