import Basics
import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

/// Folders whose makers had something else in mind.
extension DataSetFolderTests {
  private func writeLines(_ lines: String...) throws {
    try folder.write(lines.joined(separator: "\n"), to: "set/metadata.jsonl")
  }

  private func shard(_ names: String...) throws -> Data {
    var tar = Tar()
    for name in names {
      let isPicture = name.hasSuffix("png") || name.hasSuffix("jpg")
      tar.add(
        name, isPicture ? try Picture(width: 4, height: 4, color: .white).pngData() : Data("of \(name)".utf8))
    }
    return tar.data
  }

  @Test func aTableInAnotherEncodingIsNamed() throws {
    try folder.writePicture("set/a.png")
    let table = try #require("file_name\ttext\na.png\tred\n".data(using: .utf16))
    try folder.write(table, to: "set/metadata.csv")
    #expect(message().contains("metadata.csv is no text in UTF-8; save it as CSV in UTF-8"))
  }

  /// As programs write it that are run beside the folder.
  @Test func aShardWhoseNamesLeadOutOfItBeginsAtItsTop() throws {
    try folder.write(try shard("../a/0.png", "../a/0.txt", "a/../../1.png", "a/../../1.txt"), to: "set/0.tar")
    #expect(try open().entries.map(\.fileName) == ["0.tar/1.png", "0.tar/a/0.png"])
  }

  @Test func picturesInAnotherFormThanTheOneThatIsReadAreNamed() throws {
    try folder.write(try shard("0.png", "0.txt"), to: "set/0.tar")
    for name in ["a", "b"] {
      try folder.writePicture("set/\(name).png")
      try folder.write("a thing", to: "set/\(name).txt")
    }
    #expect(try open().entries.map(\.fileName) == ["0.tar/0.png"])
    #expect(
      reports.lines.count == 1
        && reports.lines[0].hasPrefix("skipped 2 pictures that are files of their own, a.png first: there are shards"))
    #expect(message(strict: true).contains("files of their own"))
    try writeLines(#"{"file_name": "a.png", "text": "a"}"#, #"{"file_name": "b.png", "text": "b"}"#)
    #expect(try open().entries.map(\.fileName) == ["a.png", "b.png"])
    #expect(reports.lines.last?.hasPrefix("skipped 0.tar: metadata.jsonl has the captions") == true)
  }

  @Test func anEmptyColumnHidesNoCaption() throws {
    try folder.writePicture("set/0.png")
    try writeLines(#"{"file_name": "0.png", "text": " ", "caption": "a slope", "title": null}"#)
    #expect(try open().entries.map(\.captions) == [["a slope"]])
    #expect(message(captionColumn: "title").contains("has no caption in any row of its column \"title\""))
    #expect(message(captionColumn: "name").contains("has no such column"))
  }

  @Test func linesOfOnePictureAddUp() throws {
    try folder.writePicture("set/0.png")
    try writeLines(
      #"{"file_name": "0.png", "text": "a", "keywords": ["red", "slope"]}"#,
      #"{"file_name": "0.png", "text": "b", "keywords": ["slope", "steep"]}"#)
    let entry = try open().entries[0]
    #expect(entry.captions == ["a", "b"] && entry.keywords == ["red", "slope", "steep"])
  }

  @Test func namesAreFoundAsOtherProgramsWriteThem() throws {
    try folder.writePicture("set/in/0.png")
    try folder.writePicture("set/1.png")
    let root = folder.path("set").path
    try writeLines(
      #"{"file_name": "in\\0.png", "text": "a"}"#, "{\"file_name\": \"\(root)/1.png\", \"text\": \"b\"}",
      #"{"file_name": "", "text": "c"}"#, #"{"file_name": "/elsewhere/2.png", "text": "d"}"#)
    #expect(try open().entries.map(\.fileName) == ["1.png", "in/0.png"])
    #expect(
      reports.lines == [
        "skipped metadata.jsonl line 3: it has no file_name",
        "skipped metadata.jsonl line 4: file_name \"/elsewhere/2.png\" leads out of the data set",
      ])
  }

  /// A text file goes before what another program has left under another ending, and the first picture before a second.
  @Test func whatStandsTwiceUnderAKeyIsNamed() throws {
    try folder.write(
      try shard("0.png", "0.txt", "0.caption", "1.caption", "1.png", "1.jpg", "1.txt", "2.png", "2.txt"),
      to: "set/0.tar")
    let set = try open()
    #expect(set.entries.map(\.captions) == [["of 0.txt"], ["of 1.txt"], ["of 2.txt"]])
    #expect(set.entries.map(\.fileName) == ["0.tar/0.png", "0.tar/1.png", "0.tar/2.png"])
    #expect(
      reports.lines.count == 1
        && reports.lines[0].hasPrefix(
          "skipped members of shards: 2 .caption (0.tar/0.caption), 1 .jpg (0.tar/1.jpg): there is another picture"),
      "\(reports.lines)")
  }

  @Test func whatHoldsPicturesAndIsNotReadIsNamed() throws {
    try folder.write("PAR1", to: "set/train.parquet")
    #expect(message().contains("train.parquet is a table that is not read"))
    try folder.write("PK", to: "set/pictures.zip")
    #expect(message().contains("for example with unzip"))
  }
}
