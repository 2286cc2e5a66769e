import Basics
import Foundation
import TestSupport
import Testing

struct AtomicFolderTests {
  @Test func aFolderAppearsWholeOrNotAtAll() throws {
    let folder = try TemporaryFolder()
    let target = folder.path("a/b")
    try AtomicFolder.make(target) { (partial) throws(PipelineError) in
      #expect(!folder.exists("a/b"))
      try AtomicFile.write(Data("x".utf8), to: partial.appendingPathComponent("file"))
    }
    #expect(try folder.contents(of: "a") == ["b/file": Data("x".utf8)])
    #expect(throws: PipelineError.self) {
      try AtomicFolder.make(folder.path("c")) { (partial) throws(PipelineError) in
        try AtomicFile.write(Data("x".utf8), to: partial.appendingPathComponent("file"))
        throw PipelineError(.badData, "half-way")
      }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a"])
  }

  @Test func whatIsThereStays() throws {
    let folder = try TemporaryFolder()
    try folder.write("mine", to: "full/file")
    for name in ["full", "full/file"] {
      #expect { try AtomicFolder.make(folder.path(name)) { _ in } } throws: {
        ($0 as? PipelineError)?.kind == .cannotCreate
      }
    }
    #expect(try folder.contents(of: "full") == ["file": Data("mine".utf8)])
    try FileManager.default.createDirectory(at: folder.path("empty"), withIntermediateDirectories: false)
    try AtomicFolder.make(folder.path("empty")) { _ in }
  }

  @Test func aLinkToAnEmptyFolderIsFilled() throws {
    let folder = try TemporaryFolder()
    let manager = FileManager.default
    try manager.createDirectory(at: folder.path("disk/set"), withIntermediateDirectories: true)
    for (name, target) in [("link", "disk/set"), ("lost", "disk/none")] {
      try manager.createSymbolicLink(atPath: folder.path(name).path, withDestinationPath: target)
    }
    try AtomicFolder.make(folder.path("link")) { (partial) throws(PipelineError) in
      #expect(partial.deletingLastPathComponent().lastPathComponent == "disk")
      #expect(
        AtomicFolder.partial(of: folder.path("link"), process: getpid()).lastPathComponent == partial.lastPathComponent)
      try AtomicFile.write(Data("x".utf8), to: partial.appendingPathComponent("file"))
    }
    #expect(try folder.read("disk/set/file") == Data("x".utf8))
    #expect(try manager.destinationOfSymbolicLink(atPath: folder.path("link").path) == "disk/set")
    // Before the work, and not after it.
    let error = #expect(throws: PipelineError.self) {
      try AtomicFolder.make(folder.path("lost")) { _ in Issue.record("filled for nothing") }
    }
    #expect(error?.message.contains("a link to nothing") ?? false)
  }
}
