import Foundation
import Imaging
import TestSupport
import Testing

/// Nouns that training captions do not have, on the command line.
@Suite struct UnseenNounCommandTests {
  /// A checkpoint that takes a tapir for a square.
  private func folder(_ nouns: String = "# of tests\ntapir\tsquare\tbeast\n") throws -> TemporaryFolder {
    let folder = try Trained.copy()
    try folder.write(nouns, to: "checkpoints/local/nouns.txt")
    return folder
  }

  @Test func aPromptIsDrawnWithTheNearestNoun() throws {
    let folder = try folder()
    func draw(_ name: String, _ arguments: String...) throws -> (outcome: Outcome, picture: Picture) {
      let outcome = try Program.run(["generate", "--seed", "5", "--output", name] + arguments, in: folder)
      outcome.expectSuccess()
      return (outcome, try Picture(contentsOf: folder.path(name)))
    }
    let known = try draw("known.png", "two red squares")
    let replaced = try draw("replaced.png", "two red tapirs", "--json")
    #expect(replaced.picture == known.picture)
    #expect(replaced.outcome.errorLines.contains("note: \"tapirs\" was never seen; drawn as \"squares\" (beast)"))
    #expect(!replaced.outcome.errors.contains("\"tapirs\" never occurs"))
    #expect(replaced.outcome.errorLines.contains("note: \"two\" never occurs in the training captions"))
    let json = try replaced.outcome.json()
    #expect(json["captions"] as? [String] == ["two red tapirs"])
    #expect(json["unseen_words"] as? [String] == ["two", "tapirs"])
    let replacements = try #require((json["replacements"] as? [[[String: String]]])?.first)
    #expect(replacements == [["noun": "tapirs", "replacement": "squares", "ancestor": "beast"]])
    // The picture keeps what was typed.
    let titles = try Picture.pngText(of: folder.path("replaced.png")).filter { $0.key == "Title" }.map(\.value)
    #expect(titles == ["two red tapirs"])
    let literal = try draw("literal.png", "two red tapirs", "--literal", "--json")
    #expect(literal.picture != known.picture)
    #expect(literal.outcome.errorLines.contains("note: \"tapirs\" never occurs in the training captions"))
    #expect(try literal.outcome.json()["replacements"] as? [[[String: String]]] == [[]])
  }

  /// The same path as drawing takes.
  @Test func everydayPromptsAreDrawnWithTheNearestNoun() throws {
    let folder = try folder()
    try folder.write("{\"prompt\": \"a red tapir\", \"pictures\": [\"a red square\"]}\n", to: "tapir.jsonl")
    try folder.write("{\"prompt\": \"a red square\", \"pictures\": [\"a red square\"]}\n", to: "square.jsonl")
    /// The contact sheet, where it tells the prompts alike.
    func sheet(_ arguments: String...) throws -> String {
      let command = [
        "evaluate", "data", "--captions", "1", "--split", "train", "--seed", "1", "--output", "sheet.html",
      ]
      try Program.run(command + arguments, in: folder).expectSuccess()
      return String(decoding: try folder.read("sheet.html"), as: UTF8.self).replacing("red tapir", with: "red square")
    }
    let known = try sheet("--prompts", "square.jsonl")
    #expect(try sheet("--prompts", "tapir.jsonl") == known)
    #expect(try sheet("--prompts", "tapir.jsonl", "--literal") != known)
  }

  @Test func aDamagedListIsNamed() throws {
    let folder = try folder("nothing")
    try Program.run(["generate", "a tapir", "--output", "no.png"], in: folder).expectFailure(65, "nouns.txt is damaged")
    try Program.run(["generate", "a tapir", "--literal", "--output", "x.png"], in: folder).expectSuccess()
    try Program.run(["generate", "a red square", "--output", "y.png"], in: folder).expectSuccess()
  }
}
