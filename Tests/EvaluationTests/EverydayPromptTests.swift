import Foundation
import PipelineTestSupport
import Testing

@testable import Basics
@testable import Evaluation

@Suite struct EverydayPromptTests {
  @Test func promptsAreReadByCaptionAndFileName() throws {
    let folder = try Tiny.withKeywords()
    let dataSet = try folder.dataSet()
    let file = folder.url.appendingPathComponent("prompts.jsonl")
    func read(_ text: String) throws -> [EverydayPrompt] {
      try Data(text.utf8).write(to: file)
      return try EverydayPrompt.read(file, for: dataSet)
    }
    let prompts = try read(
      "{\"prompt\": \"a box\", \"pictures\": [\"number 3\", \"105.png\"]}\r\n\n{\"prompt\":\"\",\"pictures\":[\"a red square\"]}"
    )
    #expect(prompts[0] == EverydayPrompt(text: "a box", pictures: [3, 5]))
    // A caption that several pictures have names them all.
    #expect(prompts[1].pictures == dataSet.entries.indices.filter { dataSet.entries[$0].captions[0] == "a red square" })
    for (text, words) in [
      ("", "has no prompts"), ("[]", "line 1: not a JSON object"), ("{\"prompt\": \"x\"}", "line 1: not a JSON object"),
      ("{\"prompt\": \"x\", \"pictures\": []}", "line 1"),
      ("\n{\"prompt\": \"x\", \"pictures\": [\"a tapir\"]}", "line 2: the data set has no picture \"a tapir\""),
    ] {
      let error = #expect(throws: PipelineError.self) { try read(text) }
      #expect(error?.kind == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")")
    }
    let missing = folder.url.appendingPathComponent("none.jsonl")
    let error = #expect(throws: PipelineError.self) { try EverydayPrompt.read(missing, for: dataSet) }
    #expect(error?.kind == .noInput)
  }
}
