import Basics
import Captions
import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

/// Folders as people have them.
@Suite struct DataSetFolderTests {
  let folder: TemporaryFolder
  let reports = Reports()

  init() throws { folder = try TemporaryFolder() }

  func open(
    _ name: String = "set", captionColumn: String? = nil, strict: Bool = false
  ) throws(PipelineError) -> PictureDataSet {
    try PictureDataSet(
      contentsOf: folder.path(name), pictureSize: 4, captionColumn: captionColumn, strict: strict,
      report: reports.append)
  }

  func message(captionColumn: String? = nil, strict: Bool = false) -> String {
    do throws(PipelineError) {
      _ = try open(captionColumn: captionColumn, strict: strict)
      return ""
    } catch { return error.message }
  }

  private func writePair(_ name: String, ending: String = "txt") throws {
    try folder.writePicture("\(name).png")
    try folder.write("a \((name as NSString).lastPathComponent)", to: "\(name).\(ending)")
  }

  // MARK: Links

  @Test func linkedFoldersAreFollowedAndPicturesCountedOnce() throws {
    for name in ["elsewhere/a", "set/own"] { try writePair(name) }
    try folder.link("set/linked", to: "../elsewhere")
    try folder.link("set/again", to: "../elsewhere")
    try folder.link("set/loop", to: ".")
    try folder.link("set/twin.png", to: "own.png")
    try folder.link("set/twin.txt", to: "own.txt")
    try folder.link("set/alone.png", to: "own.png")
    try folder.link("set/other.png", to: "own.png")
    try folder.write("another caption", to: "set/other.txt")
    try folder.link("root", to: "set")
    for root in ["set", "root"] {
      let set = try open(root)
      #expect(set.entries.map(\.fileName) == ["again/a.png", "other.png", "own.png"])
      #expect(set.entries.map(\.captions) == [["a a"], ["another caption"], ["a own"]])
    }
    #expect(
      Set(reports.lines) == ["skipped loop: it is a link that leads back to a folder in which it lies"])
  }

  // MARK: Splits

  @Test(arguments: [
    ["train", "validation", "test"], ["Train", "val", "TEST"], ["training", "dev", "testing"],
    ["images/train2017", "images/val2017", "images/test2017"], ["train/cats", "valid/cats", "test/cats"],
  ])
  func foldersNameSplits(_ names: [String]) throws {
    for (count, name) in zip([12, 4, 3], names) {
      for i in 0..<count { try writePair("set/\(name)/\(name.count)-\(i)") }
    }
    let set = try open()
    #expect(Split.allCases.map { set.indices(of: $0).count } == [12, 4, 3])
    #expect(reports.lines.count == 1)
    #expect(reports.lines[0].hasPrefix("pictures belong to the splits that their folders name ("))
    #expect(reports.lines[0].hasSuffix("): 12 train, 4 validation, 3 test"))
  }

  @Test func foldersNameSplitsBelowOneMetadataFile() throws {
    var lines = ""
    for name in ["train/a", "train/b", "val/c", "test/d", "test/e"] {
      try folder.writePicture("set/\(name).png")
      let split = name == "test/e" ? #", "split": "Dev""# : name == "train/b" ? #", "split": "valid""# : ""
      lines += "{\"file_name\": \"\(name).png\", \"text\": \"x\"\(split)}\n"
    }
    try folder.write(lines, to: "set/metadata.jsonl")
    let set = try open()
    #expect(set.entries.map(\.fileName) == ["test/d.png", "test/e.png", "train/a.png", "train/b.png", "val/c.png"])
    #expect(set.entries.map(\.split) == [.test, .validation, .train, .validation, .validation])
    #expect(reports.lines.count == 1 && reports.lines[0].hasSuffix("(test, train, val): 1 train, 1 validation, 1 test"))
  }

  @Test func aSplitAloneAndOtherFoldersSayNothing() throws {
    let names = (0..<60).map { "\($0)" }
    for (folderName, count) in [("train", 30), ("testbed", 10), ("value", 10), ("cats dev", 10)] {
      for name in names.prefix(count) { try writePair("set/\(folderName)/\(name)") }
    }
    let set = try open()
    #expect(set.entries.allSatisfy { $0.split == Split.standard(forFileName: $0.fileName) } && reports.lines.isEmpty)
  }

  @Test func namesOfShardsNameSplits() throws {
    for name in ["birds-train-000001", "birds-val-000001", "plain"] {
      var tar = Tar()
      for i in 0..<3 {
        tar.add("\(i).png", try Picture(width: 6, height: 6, color: .white).pngData())
        tar.add("\(i).txt", Data("a \(i)".utf8))
      }
      try folder.write(tar.data, to: "set/\(name).tar")
    }
    let set = try open()
    #expect(set.entries.prefix(6).map(\.split) == [.train, .train, .train, .validation, .validation, .validation])
    #expect(reports.lines.count == 1 && reports.lines[0].contains("(birds-train-000001.tar, birds-val-000001.tar)"))
  }

  // MARK: Captions

  @Test func captionsStandInOtherColumns() throws {
    for name in ["a", "b", "c"] { try folder.writePicture("set/\(name).png") }
    try folder.write(
      """
      {"file_name": "a.png", "caption": "from caption", "title": "A"}
      {"file_name": "b.png", "prompt": "from prompt", "title": "B", "score": NaN}
      {"file_name": "c.png", "text": "from text", "caption": "unused", "title": null}
      """, to: "set/metadata.jsonl")
    #expect(try open().entries.flatMap(\.captions) == ["from caption", "from prompt", "from text"])
    #expect(
      reports.lines == [
        "captions that have no \"text\" are taken from other columns: 1 from \"caption\", 1 from \"prompt\""
      ])
    #expect(try open(captionColumn: "title").entries.flatMap(\.captions) == ["A", "B"])
    #expect(reports.lines.suffix(1) == ["skipped c.png: it has no caption in \"title\""])
    #expect(
      message(captionColumn: "name").hasSuffix(
        "has no such column; there are caption, file_name, title"))
  }

  @Test func tablesAreRead() throws {
    for name in ["train/a", "train/b"] { try folder.writePicture("set/\(name).png") }
    try folder.write(
      "\u{FEFF}file_name,text,split,title\r\na.png,\"one, \"\"two\"\"\",val,A\r\nb.png,three,,\r\nc.png\r\n",
      to: "set/train/metadata.csv")
    let set = try open()
    #expect(set.entries.map(\.captions) == [["one, \"two\""], ["three"]])
    #expect(set.entries.map(\.split) == [.validation, .train])
    #expect(
      reports.lines.contains("skipped train/metadata.csv line 4: it has 1 fields, and the first line names 4"))
    #expect(try open(captionColumn: "title").entries.flatMap(\.captions) == ["A"])
    // JSON lines beside it go before it.
    try folder.write(#"{"file_name": "a.png", "text": "line"}"#, to: "set/train/metadata.jsonl")
    #expect(try open().entries.flatMap(\.captions) == ["line"])
    #expect(reports.lines.contains { $0.hasPrefix("train/metadata.csv is not read") })
    try FileManager.default.removeItem(at: folder.path("set/train/metadata.jsonl"))
    try folder.write("file_name,text\na.png,\"open\n", to: "set/train/metadata.csv")
    #expect(message().hasPrefix("train/metadata.csv: in the record that begins on line 2"))
  }

  @Test func textsGoBeforeATableThatWasNotReadBefore() throws {
    for name in ["a", "b"] { try writePair("set/\(name)") }
    try folder.write("file_name,text\na.png,table\n", to: "set/metadata.csv")
    #expect(try open().entries.flatMap(\.captions) == ["a a", "a b"])
    #expect(message(captionColumn: "text").contains("`captionColumn` is \"text\", and"))
    // A pair among pictures that the table names says nothing.
    for name in ["c", "d", "e"] { try folder.writePicture("set/\(name).png") }
    #expect(try open().entries.flatMap(\.captions) == ["table"])
  }

  @Test func namesOfCaptionFiles() throws {
    for (name, ending) in [("a", "TXT"), ("b", "caption"), ("c", "txt")] {
      try writePair("set/\(name)", ending: ending)
    }
    try folder.write("tags", to: "set/c.caption")
    for ending in ["jfif", "JPE"] {
      try folder.copyFixture("color.jpg", to: "set/d.\(ending)")
    }
    try folder.write("a d", to: "set/d.Txt")
    let set = try open()
    #expect(set.entries.map(\.fileName) == ["a.png", "b.png", "c.png", "d.JPE", "d.jfif"])
    #expect(set.entries.map(\.captions) == [["a a"], ["a b"], ["a c"], ["a d"], ["a d"]])
    #expect(reports.lines == ["c.caption is not read: c.txt is"])
  }

  @Test func normalFormsOfNamesDoNotMatter() throws {
    let (composed, decomposed) = ("\u{E9}lan", "e\u{301}lan")
    try folder.writePicture("set/\(decomposed).png")
    try folder.writePicture("set/\u{FC}.png")
    try folder.write(
      "{\"file_name\": \"\(composed).png\", \"text\": \"x\"}\n{\"file_name\": \"u\u{308}.png\", \"text\": \"y\"}\n",
      to: "set/metadata.jsonl")
    let set = try open()
    #expect(set.entries.count == 2 && reports.lines.isEmpty)
    #expect(set.entries.contains { Array($0.fileName.utf8) == Array("\(decomposed).png".utf8) })
    try FileManager.default.removeItem(at: folder.path("set/metadata.jsonl"))
    try FileManager.default.removeItem(at: folder.path("set/\u{FC}.png"))
    try folder.write("a caption", to: "set/\(composed).txt")
    #expect(try open().entries.map(\.captions) == [["a caption"]])
  }

  // MARK: What is not read

  @Test func picturesOfOtherFormatsAreCounted() throws {
    try writePair("set/good")
    let heic = Data([0, 0, 0, 0x18]) + Data("ftypheic\u{0}\u{0}\u{0}\u{0}mif1heic".utf8)
    for (name, content) in [
      ("a.heic", heic), ("b.HEIC", heic), ("c.gif", Data("GIF89a".utf8)), ("d.tif", Data("II*\u{0}".utf8)),
    ] { try folder.write(content, to: "set/\(name)") }
    for name in ["a", "b", "c"] { try folder.write("x", to: "set/\(name).txt") }
    // It is what its bytes say.
    try folder.write(Picture(width: 6, height: 6, color: .white).pngData(), to: "set/e.gif")
    try folder.write("x", to: "set/e.txt")
    #expect(try open().entries.map(\.fileName) == ["e.gif", "good.png"])
    #expect(
      reports.lines.map { $0.prefix { $0 != "," } } == [
        "1 GIF picture is not read; convert it to PNG or JPEG",
        "2 HEIC pictures are not read; convert them to PNG or JPEG",
        "1 TIFF picture is not read; convert it to PNG or JPEG",
      ])
    #expect(message(strict: true).contains("2 HEIC pictures are not read"))
    for name in ["good.png", "good.txt", "e.gif", "e.txt", "c.gif", "c.txt", "d.tif"] {
      try FileManager.default.removeItem(at: folder.path("set/\(name)"))
    }
    #expect(message().contains("set: 2 HEIC pictures are not read; convert them"))
    // Named by metadata, it is not missing.
    try folder.writePicture("set/x.png")
    try folder.write(
      #"{"file_name": "x.png", "text": "x"}"# + "\n" + #"{"file_name": "a.heic", "text": "x"}"#,
      to: "set/metadata.jsonl")
    let count = reports.lines.count
    #expect(try open().entries.map(\.fileName) == ["x.png"])
    #expect(reports.lines.count == count + 1 && reports.lines[count].hasPrefix("2 HEIC pictures"))
  }

  @Test func foldersCalledLikePicturesAreNone() throws {
    try writePair("set/train.png/photo")
    #expect(try open(strict: true).entries.map(\.fileName) == ["train.png/photo.png"])
    try folder.write(
      #"{"file_name": "train.png", "text": "x"}"# + "\n" + #"{"file_name": "train.png/photo.png", "text": "y"}"#,
      to: "set/metadata.jsonl")
    #expect(try open().entries.flatMap(\.captions) == ["y"])
    #expect(reports.lines == ["skipped train.png: it is a folder"])
  }

  @Test func fieldsAreTakenOrNamed() throws {
    for name in ["a", "b", "c", "d"] { try folder.writePicture("set/\(name).png") }
    try folder.write(
      """
      {"file_name": "a.png", "text": "x", "keywords": "red, steep slope", "width": 32, "tags": {"a": [1]}}
      {"file_name": "b.png", "text": "x", "keywords": {"a": 1}, "split": "VAL"}
      {"file_name": "c.png", "text": {"en": "x"}}
      {"file_name": "d.png", "text": "x", "score": NaN, "split": null}
      """, to: "set/metadata.jsonl")
    let set = try open()
    #expect(set.entries.map(\.fileName) == ["a.png", "b.png", "d.png"])
    #expect(set.entries.map(\.keywords) == [["red", "steep slope"], [], []] && set.entries[1].split == .validation)
    #expect(
      reports.lines == [
        "skipped metadata.jsonl line 2: keywords is an object, not an array of words, and not read",
        "skipped metadata.jsonl line 3: text is an object, not a string or an array of strings",
      ])
  }

  // MARK: Shards

  private func png(_ gray: UInt8 = 0) throws -> Data {
    try Picture(width: 6, height: 6, color: .init(red: gray, green: gray, blue: gray)).pngData()
  }

  @Test func keysEndAtTheFirstDotAndWhatIsNotUsedIsNamed() throws {
    var tar = Tar()
    for i in 0..<2 {
      tar.add("0\(i).PNG", try png())
      tar.add("0\(i).txt", Data("a \(i)".utf8))
      tar.add("0\(i).cls", Data("1".utf8))
    }
    for (name, content) in [
      ("22.05.png", try png()), ("22.05.txt", Data("x".utf8)), ("03.heic", Data()), ("03.txt", Data()),
    ] {
      tar.add(name, content)
    }
    tar.add("04.webm.json", Data())
    try folder.write(tar.data, to: "set/0.TAR")
    #expect(try open().entries.map(\.fileName) == ["0.TAR/00.PNG", "0.TAR/01.PNG"])
    #expect(reports.lines.count == 3)
    for line in [
      "skipped members of shards: 1 .05.png (0.TAR/22.05.png), 1 .05.txt (0.TAR/22.05.txt), 1 .webm.json (0.TAR/04.webm.json): "
        + "a key ends at its first dot, and what follows is no kind that is read, such as .jpg or .txt",
      "members of shards that are not used: 2 .cls (0.TAR/00.cls)",
    ] { #expect(reports.lines.contains(line), "\(reports.lines)") }
    #expect(reports.lines.contains { $0.hasPrefix("1 HEIC picture is not read") })
    #expect(message(strict: true).contains("members of shards: 1 .05.png"))
  }

  @Test func linksInShardsAreFollowed() throws {
    var tar = Tar()
    tar.add("pictures/original.png", try png(80))
    tar.add("a/1.png", kind: "1", target: "pictures/original.png")
    tar.add("a/1.txt", Data("hard".utf8))
    tar.add("a/2.png", kind: "2", target: "../a/1.png")
    tar.add("a/2.txt", Data("soft".utf8))
    tar.add("a/3.png", kind: "1", target: "pictures/none.png")
    tar.add("a/4.png", kind: "2", target: "4.png")
    try folder.write(tar.data, to: "set/0.tar")
    let set = try open()
    #expect(set.entries.map(\.captions) == [["hard"], ["soft"]])
    #expect(try set.picture(at: 0).pixels.first == 80 && set.picture(at: 1) == set.picture(at: 0))
    #expect(
      reports.lines.contains("skipped 2 links in 0.tar: they lead to no file in it, a/3.png first"), "\(reports.lines)")
  }

  @Test func compressedArchivesAreRefused() throws {
    try folder.write(Data([0x1F, 0x8B, 8]), to: "set/0.tar.gz")
    #expect(message().contains("0.tar.gz cannot be read, for pictures are read from the middle of a shard; unpack it"))
    try folder.write(Data([0x1F, 0x8B, 8]), to: "set/1.tgz")
    try writePair("set/a")
    #expect(try open().entries.count == 1)
    #expect(
      reports.lines.count == 1 && reports.lines[0].hasPrefix("2 compressed archives, 0.tar.gz first, cannot be read"))
    try folder.write(Data([0x1F, 0x8B, 8, 0, 0, 0]), to: "set/2.tar")
    #expect(message().contains("set: 2 compressed archives"))
    #expect(reports.lines.contains { $0.hasPrefix("skipped the rest of 2.tar: it is compressed with gzip") })
  }

  @Test func captionsOfShardsInColumns() throws {
    var tar = Tar()
    for (key, json) in [("1", #"{"caption": "c", "title": "T"}"#), ("2", #"{"text": "t", "nsfw": NaN}"#), ("3", "[]")] {
      tar.add("\(key).png", try png())
      tar.add("\(key).json", Data(json.utf8))
    }
    try folder.write(tar.data, to: "set/0.tar")
    #expect(try open().entries.flatMap(\.captions) == ["c", "t"])
    #expect(reports.lines.contains("captions that have no \"caption\" are taken from other columns: 1 from \"text\""))
    #expect(reports.lines.contains("skipped 0.tar/3.png: 3.json: not a JSON object"))
    #expect(try open(captionColumn: "title").entries.flatMap(\.captions) == ["T"])
  }
}
