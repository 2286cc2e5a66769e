import Basics
import DataFiles
import Foundation
import TestSupport
import Testing

@Suite struct FileTreeTests {
  @Test func filesAreListedWithoutFoldersAndHiddenOnes() throws {
    let folder = try TemporaryFolder()
    for name in ["b", "a.png/c", ".hidden/d", "e/.f", "e/g/h"] { try folder.write("", to: "set/\(name)") }
    try FileManager.default.createDirectory(at: folder.path("set/empty"), withIntermediateDirectories: true)
    let tree = try FileTree(folder.path("set"))
    #expect(tree.files == ["a.png/c", "b", "e/g/h"] && tree.leftOut.isEmpty)
    #expect(throws: PipelineError.self) { try FileTree(folder.path("nothing")) }
    #expect(throws: PipelineError.self) { try FileTree(folder.path("set/b")) }
  }

  @Test func linkedFoldersAreFollowedOnce() throws {
    let folder = try TemporaryFolder()
    for name in ["outside/a", "outside/deep/b", "set/real/c"] { try folder.write("", to: name) }
    try folder.link("set/linked", to: "../outside")
    try folder.link("set/again", to: "real")
    try folder.link("set/twice", to: "../outside/deep")
    try folder.link("root", to: "set")
    for root in ["set", "root"] {
      let tree = try FileTree(folder.path(root))
      #expect(tree.files == ["linked/a", "linked/deep/b", "real/c"])
      #expect(tree.leftOut.isEmpty)
    }
  }

  @Test func linksThatLeadBackOrNowhereAreNamed() throws {
    let folder = try TemporaryFolder()
    for name in ["set/a/b", "beside/c"] { try folder.write("", to: name) }
    try folder.link("set/a/up", to: "..")
    try folder.link("set/above", to: "../..")
    try folder.link("set/gone", to: "nowhere")
    try folder.link("set/self", to: "self")
    try folder.link("set/beside", to: "../beside")
    try folder.link("beside/back", to: "../set")
    let tree = try FileTree(folder.path("set"))
    #expect(tree.files == ["a/b", "beside/c"])
    #expect(
      tree.leftOut.map { "\($0.path) \($0.reason)" } == [
        "a/up it is a link that leads back to a folder in which it lies",
        "above it is a link that leads back to a folder in which it lies",
        "beside/back it is a link that leads back to a folder in which it lies",
        "gone it is a link that leads nowhere", "self it is a link that leads to itself",
      ])
  }

  @Test func linkedFilesKnowTheirOriginals() throws {
    let folder = try TemporaryFolder()
    try folder.write("", to: "set/b")
    try folder.write("", to: "outside")
    try folder.link("set/a", to: "b")
    for name in ["c", "d"] { try folder.link("set/\(name)", to: "../outside") }
    let tree = try FileTree(folder.path("set"))
    #expect(tree.files == ["a", "b", "c", "d"])
    #expect(tree.files.map(tree.original) == ["b", nil, nil, "c"])
  }

  @Test func normalFormsAreTheDisks() throws {
    let folder = try TemporaryFolder()
    let (composed, decomposed) = ("\u{E9}lan", "e\u{301}lan")
    try folder.write("", to: "set/\(decomposed)/\(composed)")
    let tree = try FileTree(folder.path("set"))
    let found = try #require(tree.spelling(of: "\(composed)/\(decomposed)"))
    #expect(Array(found.utf8) == Array("\(decomposed)/\(composed)".utf8))
    #expect(tree.spelling(of: "elan") == nil)
  }

  @Test func namesThatAreNoTextAreNamed() throws {
    let folder = try TemporaryFolder()
    try folder.write("", to: "set/a")
    let name = Array(folder.path("set").path.utf8CString.dropLast()) + [0x2F, CChar(bitPattern: 0xE9), 0]
    let descriptor = open(name, O_CREAT | O_WRONLY, 0o600)
    try #require(descriptor >= 0)
    close(descriptor)
    let tree = try FileTree(folder.path("set"))
    #expect(tree.files == ["a"] && tree.leftOut.map(\.reason) == ["its name is not valid UTF-8"])
    unlink(name)
  }

  @Test(arguments: [
    ("train/a.b.PNG", "train", "a.b.PNG", "train/a.b", "png"), ("a", "", "a", "a", ""),
    ("x.y/a", "x.y", "a", "x.y/a", ""),
    ("x/.png", "x", ".png", "x/.png", ""), ("a.", "", "a.", "a", ""),
  ])
  func partsOfPaths(_ path: String, _ folder: String, _ name: String, _ stem: String, _ ending: String) {
    let parts = PathParts(path)
    #expect(parts.folder == folder && parts.name == name && parts.stem == stem && parts.fileExtension == ending)
  }
}
