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
}
