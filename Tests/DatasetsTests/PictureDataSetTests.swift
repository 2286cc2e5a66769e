import Basics
import Captions
import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct SplitTests {
  @Test func aTwentiethIsValidation() {
    let names = (0..<10_000).map { "picture-\($0).png" }
    let count = names.filter { Split.standard(forFileName: $0) == .validation }.count
    #expect((400...600).contains(count))
    #expect(names.allSatisfy { Split.standard(forFileName: $0) != .test })
    // A name is the same however its accents are written, as which systems differ.
    for number in 0..<200 {
      let name = "\u{E9}lan \u{AC15}\u{C544}\u{C9C0} \(number).jpg"
      let apart = name.decomposedStringWithCanonicalMapping
      #expect(Array(name.utf8) != Array(apart.utf8))
      #expect(Split.standard(forFileName: name) == Split.standard(forFileName: apart))
    }
  }
}

@Suite struct ImageFolderTests {
  @Test func metadataGivesCaptionsAndSplits() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for name in ["b.png", "a.png", "sub/c.png"] { try folder.writePicture(name) }
    try folder.write(
      """
      {"file_name": "b.png", "text": " a b ", "split": "test", "relation": "made-of"}
      {"file_name": "a.png", "text": ["one", "two"], "keywords": ["x", "y"], "split": "validation"}

      {"file_name": "./sub/../sub/c.png", "text": "größer", "other": 1, "relation": 2}
      {"file_name": "b.png", "text": "another"}
      """, to: "metadata.jsonl")
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4, report: reports.append)
    #expect(reports.lines.isEmpty)
    #expect(set.entries.map(\.fileName) == ["a.png", "b.png", "sub/c.png"])
    #expect(set.entries.map(\.captions) == [["one", "two"], ["a b", "another"], ["größer"]])
    #expect(set.entries.map(\.keywords) == [["x", "y"], [], []])
    #expect(set.entries.map(\.relation) == [nil, "made-of", nil])
    #expect(set.entries.map(\.allCaptions) == [["one", "two", "x, y"], ["a b", "another"], ["größer"]])
    #expect(set.entries.map(\.split) == [.validation, .test, Split.standard(forFileName: "sub/c.png")])
    #expect(set.indices(of: .test) == [1])
    #expect(try set.picture(at: 0) == Picture(width: 4, height: 4, color: .black))
  }

  @Test func metadataBesideSubfoldersIsRelativeToThem() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.writePicture("train/a.png")
    try folder.write("{\"file_name\": \"a.png\", \"text\": \"a\"}", to: "train/metadata.jsonl")
    #expect(try PictureDataSet(contentsOf: folder.url, pictureSize: 4).entries.map(\.fileName) == ["train/a.png"])
  }

  @Test func whatCannotBeUsedIsNamedAndLeftOut() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for name in ["good.png", "no-caption.png", "not-listed.png"] { try folder.writePicture(name) }
    try folder.copyFixture("truncated.png")
    try folder.copyFixture("empty.png")
    try folder.copyFixture("huge.png")
    try folder.write(
      """
      {"file_name": "good.png", "text": "good"}
      {"file_name": "no-caption.png", "text": "  "}
      {"file_name": "truncated.png", "text": "cut"}
      {"file_name": "empty.png", "text": "empty"}
      {"file_name": "huge.png", "text": "huge"}
      {"file_name": "missing.png", "text": "missing"}
      {"file_name": "../outside.png", "text": "outside"}
      {"file_name": "/etc/passwd", "text": "absolute"}
      {"file_name": "good.png", "text": "good", "split": "held out"}
      not json
      {"text": "no name"}
      """, to: "metadata.jsonl")
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4, report: reports.append)
    #expect(set.entries.map(\.fileName) == ["good.png"])
    for part in [
      "no-caption.png: it has no caption", "not-listed.png: metadata.jsonl has no line", "truncated.png: damaged PNG",
      "empty.png: the file is empty", "huge.png: the picture claims 50000×50000", "missing.png: the metadata names it",
      "metadata.jsonl line 7: file_name \"../outside.png\" leads out", "line 8: file_name \"/etc/passwd\" leads out",
      "line 9: split \"held out\" is none of", "line 10: not a JSON object", "line 11: it has no file_name",
    ] {
      #expect(reports.lines.filter { $0.hasPrefix("skipped ") && $0.contains(part) }.count == 1, "\(part)")
    }
    #expect(reports.lines.count == 11)
    #expect(throws: PipelineError.self) { try PictureDataSet(contentsOf: folder.url, pictureSize: 4, strict: true) }
  }
}

@Suite struct TextFileFolderTests {
  @Test func eachLineIsACaption() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.writePicture("sub/deep/a.PNG")
    try folder.write("\u{FEFF}first\r\n\r\n  second \n", to: "sub/deep/a.txt")
    try folder.copyFixture("color.jpg", to: "b.jpeg")
    try folder.write(String(repeating: "x", count: 100_000), to: "b.txt")
    try folder.writePicture(".hidden/c.png")
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4)
    #expect(set.entries.map(\.fileName) == ["b.jpeg", "sub/deep/a.PNG"])
    #expect(set.entries[1].captions == ["first", "second"])
    #expect(set.entries[0].captions[0].count == 100_000)
  }

  @Test func whatCannotBeUsedIsNamedAndLeftOut() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for name in ["good", "alone", "blank", "latin1"] { try folder.writePicture("\(name).png") }
    try folder.write("good", to: "good.txt")
    try folder.write("\n \n", to: "blank.txt")
    try folder.write(Data([0x63, 0x61, 0x66, 0xE9]), to: "latin1.txt")
    try folder.write("nobody", to: "nobody.txt")
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4, report: reports.append)
    #expect(set.entries.map(\.fileName) == ["good.png"])
    #expect(
      reports.lines.sorted() == [
        "skipped alone.png: there is no caption file beside it",
        "skipped blank.png: its caption file blank.txt is empty",
        "skipped latin1.png: its captions in latin1.txt are not valid UTF-8",
        "skipped nobody.txt: there is no picture beside it",
      ])
  }

  @Test func aFolderOfOneTrainsOnIt() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let names = (0...).lazy.map { "\($0)" }
    let name = try #require(names.first { Split.standard(forFileName: $0 + ".png") == .validation })
    try folder.writePicture(name + ".png")
    try folder.write("alone", to: name + ".txt")
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4)
    #expect(set.indices(of: .train) == [0] && set.indices(of: .validation).isEmpty)
  }
}

@Suite struct WebDatasetTests {
  @Test(arguments: ["ustar.tar", "gnu.tar", "pax.tar"])
  func everyDialectOfTarIsRead(name: String) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.copyFixture(name, to: "00000.tar")
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 5, fit: .crop, report: reports.append)
    #expect(set.entries.map(\.captions) == [["a first picture"], ["a second picture"], ["a long name, größer"]])
    #expect(set.entries[0].fileName == "00000.tar/0001.png")
    #expect(set.entries[2].fileName.utf8.count > 150)
    let original = try Picture(contentsOf: Fixtures.url("media/rgba8.png"))
    #expect(try set.picture(at: 0) == original.squared(side: 5, fit: .crop))
    #expect(try set.picture(at: 2) == set.picture(at: 0))
    #expect(
      reports.lines.sorted() == [
        "skipped 00000.tar/0003.png: it has no caption",
        "skipped 00000.tar/0004: the shard has no picture for it",
        "skipped 00000.tar/0005.png: not a PNG, JPEG or WebP picture",
      ])
  }

  @Test func aShardCutAnywhereNeverCrashes() throws {
    let shard = try Data(contentsOf: Fixtures.url("media/pax.tar"))
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for count in stride(from: 0, to: shard.count, by: 379) {
      try folder.write(shard.prefix(count), to: "cut.tar")
      _ = try? PictureDataSet(contentsOf: folder.url, pictureSize: 4)
    }
    // Half a shard gives its first half, and says so.
    try folder.write(shard.prefix(5000), to: "cut.tar")
    let reports = Reports()
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 4, report: reports.append)
    #expect(set.entries[0].captions == ["a first picture"])
    #expect(reports.lines.contains { $0.hasPrefix("skipped the rest of cut.tar: ") })
  }

  @Test func sizesThatLieAreNotBelieved() throws {
    var shard = [UInt8](try Data(contentsOf: Fixtures.url("media/ustar.tar")))
    // The second header (after the folder's) claims the most that fits; the checksum is set right again.
    shard.replaceSubrange((512 + 124)..<(512 + 136), with: [0x80, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8))
    shard.replaceSubrange((512 + 148)..<(512 + 156), with: Array("        ".utf8))
    let sum = shard[512..<1024].reduce(0) { $0 + Int($1) }
    shard.replaceSubrange((512 + 148)..<(512 + 156), with: Array(String(format: "%06o\0 ", sum).utf8))
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.write(Data(shard), to: "lie.tar")
    #expect(throws: PipelineError.self) { try PictureDataSet(contentsOf: folder.url, pictureSize: 4) }
  }
}

@Suite struct BadDataSetTests {
  private func error(_ url: URL, pictureSize: Int = 4) -> PipelineError? {
    do throws(PipelineError) {
      _ = try PictureDataSet(contentsOf: url, pictureSize: pictureSize)
      return nil
    } catch { return error }
  }

  @Test func foldersThatAreNotDataSetsAreRefusedInWords() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let missing = folder.url.appendingPathComponent("missing")
    #expect(error(missing)?.kind == .noInput)
    #expect(error(missing)?.message.contains("no such folder") == true)
    #expect(error(folder.url)?.kind == .badData)
    #expect(error(folder.url)?.message.contains("is empty; a data set is a folder") == true)
    try folder.writePicture("a.png")
    #expect(error(folder.url)?.message.contains("1 pictures but no captions; a data set is") == true)
    let file = folder.url.appendingPathComponent("a.png")
    #expect(error(file)?.kind == .noInput)
    #expect(error(file)?.message.contains("is a file; a data set is a folder") == true)
    try folder.write("text", to: "b.txt")
    try FileManager.default.removeItem(at: file)
    #expect(error(folder.url)?.message.contains("no picture with a caption") == true)
    try folder.copyFixture("not-a-picture.png", to: "b.png")
    #expect(error(folder.url)?.message.contains("none of the 1 pictures") == true)
    #expect(error(folder.url, pictureSize: 0)?.kind == .usage)
  }

  @Test func fingerprintsTellDataSetsApart() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.fill(count: 3)
    let first = try PictureDataSet(contentsOf: folder.url, pictureSize: 4).fingerprint
    #expect(first.count == 16)
    #expect(try PictureDataSet(contentsOf: folder.url, pictureSize: 8).fingerprint == first)
    try folder.fill(count: 4)
    #expect(try PictureDataSet(contentsOf: folder.url, pictureSize: 4).fingerprint != first)
  }
}
