import Foundation
import Media
import Testing

/// A folder that is gone when the last reference to it is.
final class TestFolder: Sendable {
  let url: URL

  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/media")

  init() throws {
    url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
      .appendingPathComponent("command-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> URL { url.appendingPathComponent(name) }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name).path) }

  func data(_ name: String) throws -> Data { try Data(contentsOf: path(name)) }

  func write(_ data: Data, to name: String) throws {
    let file = path(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: file)
  }

  func write(_ text: String, to name: String) throws { try write(Data(text.utf8), to: name) }

  func copyFixture(_ fixture: String, to name: String) throws {
    try write(Data(contentsOf: Self.fixtures.appendingPathComponent(fixture)), to: name)
  }

  /// All files below, by their path, for comparing what was there before with what is there after.
  func contents(of name: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for case let file as String in FileManager.default.enumerator(atPath: path(name).path) ?? .init() {
      var isFolder: ObjCBool = false
      let full = path(name).appendingPathComponent(file)
      _ = FileManager.default.fileExists(atPath: full.path, isDirectory: &isFolder)
      if !isFolder.boolValue { contents[file] = try Data(contentsOf: full) }
    }
    return contents
  }

  /// Sixteen pictures of squares, with captions beside them, in `name`.
  func writeSquares(_ name: String = "data") throws {
    let colors: [(String, Picture.Color)] = [
      ("red", .init(red: 220, green: 20, blue: 20)), ("green", .init(red: 20, green: 200, blue: 20)),
      ("blue", .init(red: 20, green: 20, blue: 220)), ("grey", .init(red: 128, green: 128, blue: 128)),
    ]
    for (word, color) in colors {
      for side in [8, 16, 24, 40] {
        var picture = Picture(width: 40 + side / 2, height: 44, color: .white)
        picture.paste(Picture(width: side, height: side, color: color), x: 2, y: (44 - side) / 2)
        try write(picture.pngData(), to: "\(name)/\(word)\(side).png")
        try write("a \(word) square\nsquare, \(word), size \(side)\n", to: "\(name)/\(word)\(side).txt")
      }
    }
  }
}

/// A folder with data and a checkpoint with both stages, `checkpoints/local`, which the tests copy and never change.
enum Trained {
  static let folder: Result<TestFolder, any Error> = Result {
    let folder = try TestFolder()
    try folder.writeSquares()
    for stage in ["train-tokenizer", "train-prior"] {
      let outcome = try Program.run(
        [stage, "data", "--preset", "tiny", "--batch-size", "4", "--steps", "4"], in: folder)
      try #require(outcome.status == 0, "\(outcome)")
    }
    // The runner ends without letting go of what is static.
    atexit { if case .success(let folder) = Trained.folder { try? FileManager.default.removeItem(at: folder.url) } }
    return folder
  }

  /// A copy that a test may damage.
  static func copy() throws -> TestFolder {
    let copy = try TestFolder()
    let manager = FileManager.default
    for name in ["data", "checkpoints"] {
      try manager.copyItem(at: try folder.get().path(name), to: copy.path(name))
    }
    return copy
  }
}
