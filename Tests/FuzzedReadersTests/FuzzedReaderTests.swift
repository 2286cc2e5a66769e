import Datasets
import Foundation
import FuzzedReaders
import TestSupport
import Testing

/// Readers of what others have made, on small files and on all that ever broke one of them. `.ci/fuzz` looks for more.
struct FuzzedReaderTests {
  /// Files whose names begin with "seed" are whole, and read.
  @Test(arguments: FuzzedReader.allCases) func theCorpusBreaksNothing(_ reader: FuzzedReader) throws {
    try withTemporaryFolder { folder in
      let files = try FileManager.default.contentsOfDirectory(at: reader.corpus, includingPropertiesForKeys: nil)
      #expect(files.contains { $0.lastPathComponent.hasPrefix("seed") })
      for file in files {
        let isTaken = try reader.read(Data(contentsOf: file), in: folder)
        #expect(isTaken || !file.lastPathComponent.hasPrefix("seed"), "\(file.lastPathComponent) is refused")
      }
    }
  }

  /// Seeds that were cut off, and in which bytes were replaced.
  @Test(arguments: FuzzedReader.allCases) func damageBreaksNothing(_ reader: FuzzedReader) throws {
    try withTemporaryFolder { folder in
      var random = SystemRandomNumberGenerator()
      for file in try FileManager.default.contentsOfDirectory(at: reader.corpus, includingPropertiesForKeys: nil) {
        let whole = try Data(contentsOf: file)
        for round in 0..<60 {
          var bytes = whole
          if round % 3 == 0 { bytes = bytes.prefix(Int.random(in: 0...bytes.count, using: &random)) }
          for _ in 0..<(bytes.isEmpty ? 0 : round % 5) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
          }
          // What breaks it is left for whoever looks into it.
          let place = FileManager.default.temporaryDirectory.appending(path: "damaged-\(reader.rawValue)")
          try bytes.write(to: place)
          try reader.read(bytes, in: folder)
          try FileManager.default.removeItem(at: place)
        }
      }
    }
  }

  /// The seed is of the shard that is written beside it: were it not, what is tried would be the shard alone, which has one picture.
  @Test func theSeedOfAnIndexIsTaken() throws {
    try withTemporaryFolder { folder in
      let reader = FuzzedReader.index
      let isTaken = try reader.read(Data(contentsOf: reader.corpus.appending(path: "seed-three")), in: folder)
      let dataSet = try PictureDataSet(contentsOf: folder, pictureSize: 4)
      #expect(isTaken && dataSet.entries.count == 3)
    }
  }
}
