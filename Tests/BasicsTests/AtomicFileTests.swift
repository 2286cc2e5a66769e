import Basics
import Foundation
import TestSupport
import Testing

struct AtomicFileTests {
  @Test func replacesWhole() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "file")
      try AtomicFile.write(Data("a long first text".utf8), to: url)
      try AtomicFile.write(Data("second".utf8), to: url)
      #expect(try Data(contentsOf: url) == Data("second".utf8))
      let chunks = [[UInt8]("one ".utf8), [], [UInt8]("two".utf8)]
      let joined = chunks.flatMap(\.self)
      try joined.withUnsafeBytes { bytes in
        try AtomicFile.write(
          [
            UnsafeRawBufferPointer(rebasing: bytes[..<4]), UnsafeRawBufferPointer(start: nil, count: 0),
            UnsafeRawBufferPointer(rebasing: bytes[4...]),
          ], to: url)
      }
      #expect(try Data(contentsOf: url) == Data("one two".utf8))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
    }
  }

  /// Of processes that are no more, and of this file or folder alone.
  @Test func leftoversOfKilledProcessesAreRemoved() throws {
    try withTemporaryFolder { folder in
      let ended = Process()
      ended.executableURL = URL(filePath: "/bin/true")
      try ended.run()
      ended.waitUntilExit()
      let (gone, own) = (ended.processIdentifier, ProcessInfo.processInfo.processIdentifier)
      let kept = [
        "file.\(own).partial", "other.\(gone).partial", "file.x.partial", "file.partial", "file",
        "a.file.\(gone).partial",
      ]
      for name in kept + ["file.\(gone).partial"] { try Data().write(to: folder.appending(path: name)) }
      try AtomicFile.createDirectory(folder.appending(path: ".file.\(gone).partial/below"))
      AtomicFile.removeLeftovers(of: folder.appending(path: "file"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == kept.sorted())
    }
  }

  @Test func saysWhereNothingCanBeCreated() throws {
    try withTemporaryFolder { folder in
      let file = folder.appending(path: "file")
      try AtomicFile.write(Data("old".utf8), to: file)
      let error = #expect(throws: PipelineError.self) {
        try AtomicFile.write(Data("new".utf8), to: file.appending(path: "below"))
      }
      #expect(error?.kind == .cannotCreate)
      let folderError = #expect(throws: PipelineError.self) {
        try AtomicFile.createDirectory(file.appending(path: "below"))
      }
      #expect(folderError?.kind == .cannotCreate)
      #expect(try Data(contentsOf: file) == Data("old".utf8))
    }
  }

  @Test func leavesNothingBehindWhereAFolderIsInTheWay() throws {
    try withTemporaryFolder { folder in
      let inTheWay = folder.appending(path: "taken")
      try AtomicFile.createDirectory(inTheWay)
      let error = #expect(throws: PipelineError.self) { try AtomicFile.write(Data("new".utf8), to: inTheWay) }
      #expect(error?.kind == .cannotCreate)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["taken"])
    }
  }

  #if os(Linux)
    /// The temporary name is made a link to the device that is always full.
    @Test func keepsTheOldFileOnAFullDisk() throws {
      try withTemporaryFolder { folder in
        let file = folder.appending(path: "file")
        try AtomicFile.write(Data("old".utf8), to: file)
        let temporary = folder.appending(path: "file.\(ProcessInfo.processInfo.processIdentifier).partial")
        try FileManager.default.createSymbolicLink(atPath: temporary.path, withDestinationPath: "/dev/full")
        let error = #expect(throws: PipelineError.self) { try AtomicFile.write(Data("new".utf8), to: file) }
        #expect(error?.kind == .inputOutput)
        #expect(try Data(contentsOf: file) == Data("old".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
      }
    }
  #endif
}
