import Basics
import DataFiles
import Foundation
import TestSupport
import Testing

@Suite struct MetadataFileTests {
  private func row(_ json: String, _ columns: [String] = ["text", "caption", "prompt"]) -> MetadataRow {
    MetadataFile(captionColumns: columns).row(json: Data(json.utf8))
  }

  @Test(
    arguments: [
      (#"{"file_name": "a", "text": "x", "caption": "y"}"#, ["x"], "text"),
      (#"{"file_name": "a", "text": null, "caption": ["y", 3, null]}"#, ["y", "3"], "caption"),
      (#"{"file_name": "a", "text": NaN, "prompt": "z", "score": -Infinity}"#, ["z"], "prompt"),
      (#"{"file_name": "a", "caption": 7.5, "width": 1, "tags": {"a": [1]},}"#, ["7.5"], "caption"),
      (#"{'file_name': 'a', 'text': 'it is'}"#, ["it is"], "text"), (#"{"file_name": "a", "title": "t"}"#, [], nil),
    ] as [(String, [String], String?)])
  func captionsAreFound(_ json: String, _ texts: [String], _ column: String?) {
    let row = row(json)
    #expect(row.problem == nil && row.fileName == "a" && row.texts == texts && row.captionColumn == column)
  }

  @Test(arguments: [
    (#""red, slope;  steep""#, ["red", " slope", "  steep"]), (#"["red", 3, null, {}]"#, ["red", "3"]), ("null", []),
    ("NaN", []), ("4", ["4"]),
  ])
  func keywordsAreTaken(_ json: String, _ keywords: [String]) {
    let row = row("{\"file_name\": \"a\", \"text\": \"x\", \"keywords\": \(json)}")
    #expect(row.problem == nil && row.keywords == keywords && row.leftOut.isEmpty)
  }

  @Test func reasonsNameTheField() {
    #expect(row(#"{"file_name": 3, "text": "x"}"#).problem == "file_name is a number, not a string")
    #expect(row(#"{"file_name": "a", "text": {}}"#).problem == "text is an object, not a string or an array of strings")
    #expect(row(#"{"file_name": "a", "text": "x", "split": ["train"]}"#).problem == "split is an array, not a string")
    for json in ["", "nonsense", "[1, 2]", "3", #"{"file_name": "a""#] {
      #expect(row(json).problem == "not a JSON object")
    }
    let keywords = row(#"{"file_name": "a", "text": "x", "keywords": {"a": 1}}"#)
    #expect(
      keywords.problem == nil && keywords.leftOut == ["keywords is an object, not an array of words, and not read"])
    let other = row(#"{"file_name": "a", "text": "x"}"#, ["title"])
    #expect(other.captionColumn == nil && other.columns == ["file_name", "text"])
  }

  @Test func tablesAreReadByTheirFirstLine() throws {
    let folder = try TemporaryFolder()
    func rows(_ text: String) throws -> [(line: Int, row: MetadataRow)] {
      try folder.write(text, to: "metadata.csv")
      var rows: [(line: Int, row: MetadataRow)] = []
      try MetadataFile(captionColumns: ["text", "caption"])
        .forEachRow(of: folder.path("metadata.csv"), name: "metadata.csv") { rows.append(($0, $1)) }
      return rows
    }
    let found = try rows("split,file_name,text,caption,keywords\nval,a.png,,\"a, b\",x;y\ntest,b.png,c\n,c.png,d,e,\n")
    #expect(found.map(\.line) == [2, 3, 4])
    #expect(found.map(\.row.fileName) == ["a.png", nil, "c.png"] && found.map(\.row.texts) == [["a, b"], [], ["d"]])
    #expect(found.map(\.row.split) == ["val", nil, nil] && found[0].row.keywords == ["x", "y"])
    #expect(found[1].row.problem == "it has 3 fields, and the first line names 5")
    for (text, words) in [
      ("name;text\na;b\n", "has no column file_name: its first line names name;text"), ("", "it is empty"),
    ] {
      do {
        _ = try rows(text)
        Issue.record("it was read")
      } catch let error as PipelineError { #expect(error.message.contains(words), "\(error)") }
    }
  }
}
