import Corpus
import Foundation
import Media
import Synchronization

/// A folder for one test, with helpers to fill it; `remove()` ends it.
struct TestFolder {
  let url: URL

  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/media")

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("corpus-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  func remove() { try? FileManager.default.removeItem(at: url) }

  func write(_ text: String, to name: String) throws { try write(Data(text.utf8), to: name) }

  func write(_ data: Data, to name: String) throws {
    let file = url.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: file)
  }

  /// A small picture whose gray tells it from the others.
  func writePicture(_ name: String, gray: UInt8 = 0) throws {
    let color = Picture.Color(red: gray, green: gray, blue: gray)
    try write(Picture(width: 6, height: 6, color: color).pngData(), to: name)
  }

  /// `count` pictures of different grays with a caption each, all in train.
  func fill(count: Int) throws {
    var metadata = ""
    for i in 0..<count {
      try writePicture("\(1000 + i).png", gray: UInt8(i % 251))
      metadata += "{\"file_name\": \"\(1000 + i).png\", \"text\": [\"picture \(i)\", \"further \(i)\", \"more \(i)\"], "
      metadata += "\"split\": \"train\"}\n"
    }
    try write(metadata, to: "metadata.jsonl")
  }

  func copyFixture(_ name: String, as newName: String? = nil) throws {
    try write(Data(contentsOf: Self.fixtures.appendingPathComponent(name)), to: newName ?? name)
  }
}

/// Collects what is reported, from any thread.
final class Reports: Sendable {
  private let storage = Mutex<[String]>([])
  var lines: [String] { storage.withLock { $0 } }
  func append(_ line: String) { storage.withLock { $0.append(line) } }
}
