import Basics
import Foundation
import TestSupport
import Testing

@Suite struct InputFileTests {
  @Test func noMoreIsReadThanThereIs() throws {
    let folder = try TemporaryFolder()
    try folder.write("abcdef", to: "x")
    #expect(try InputFile.head(of: folder.path("x"), byteCount: 4) == Data("abcd".utf8))
    #expect(try InputFile.head(of: folder.path("x"), byteCount: 4000) == Data("abcdef".utf8))
    try folder.write("", to: "empty")
    #expect(try InputFile.head(of: folder.path("empty"), byteCount: 4).isEmpty)
    #expect(throws: PipelineError.self) { try InputFile.head(of: folder.path("none"), byteCount: 4) }
  }

  @Test func whatIsMappedIsWhatIsRead() throws {
    let folder = try TemporaryFolder()
    // Of a few bytes, of several pages, and larger than a huge page.
    for count in [0, 1, 14, 4096, 10_001, 3 << 20] {
      let data = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) })
      try folder.write(data, to: "x")
      let file = try OpenFile(folder.path("x"))
      // The file that was opened is read, whatever takes its name.
      try folder.write("another", to: "y")
      try FileManager.default.removeItem(at: folder.path("x"))
      let mapped = try file.mapped()
      #expect(mapped.data == data && mapped.byteCount == count && file.byteCount == count)
      #expect(try file.contents(at: 0, byteCount: count) == data)
      #expect(try file.contents(at: count / 2, byteCount: count - count / 2) == data.dropFirst(count / 2))
      #expect(mapped[count / 2..<count][0..<count - count / 2].data == data.dropFirst(count / 2))
      let error = #expect(throws: PipelineError.self) { try file.contents(at: 0, byteCount: count + 1) }
      #expect(error?.kind == .inputOutput)
    }
  }

  @Test func whatIsNoFileIsRefusedAtOnce() throws {
    let folder = try TemporaryFolder()
    try #require(mkfifo(folder.path("pipe").path, 0o600) == 0)
    for url in [folder.url, folder.path("pipe"), URL(filePath: "/dev/zero")] {
      #expect(#expect(throws: PipelineError.self) { try OpenFile(url) }?.kind == .noInput)
      #expect(#expect(throws: PipelineError.self) { try InputFile.mapped(url) }?.kind == .noInput)
    }
  }
}
