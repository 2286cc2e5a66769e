import Foundation
import Imaging
import TestSupport
import Testing

extension TemporaryFolder {
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
  static let folder: Result<TemporaryFolder, any Error> = Result {
    let folder = try TemporaryFolder()
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
  static func copy() throws -> TemporaryFolder {
    let copy = try TemporaryFolder()
    let manager = FileManager.default
    for name in ["data", "checkpoints"] {
      try manager.copyItem(at: try folder.get().path(name), to: copy.path(name))
    }
    return copy
  }
}
