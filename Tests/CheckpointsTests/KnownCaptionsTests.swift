import Foundation
import Generation
import PipelineTestSupport
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct KnownCaptionsTests {
  @Test func howMuchOfAPromptIsKnown() throws {
    let folder = try Tiny.withKeywords()
    let known = KnownCaptions(of: try folder.dataSet())
    #expect(known.captions.count == 9 && known.captions[0].text == "a red square")
    func familiarity(_ prompt: String, neutral: Set<String> = []) -> PromptFamiliarity? {
      known.familiarity(of: prompt, neutral: neutral)
    }
    let same = try #require(familiarity("The Red squares"))
    #expect(same.share == 1 && same.isFamiliar && same.nearest == ["a red square"])
    let half = try #require(familiarity("a red tapir"))
    #expect(half.share > 0 && half.share < 0.5 && !half.isFamiliar && half.nearest.count == 1)
    #expect(half.nearest[0].contains("red"))
    // What one caption leaves out, another one says.
    let both = try #require(familiarity("red bar made of green square"))
    #expect(!both.isFamiliar && both.nearest.count >= 2)
    let none = try #require(familiarity("accordion"))
    #expect(none.share == 0 && none.nearest.isEmpty && !none.isFamiliar)
    #expect(familiarity("") == nil && familiarity("a picture of the") == nil)
    #expect(familiarity("cute red square", neutral: ["cute"])?.share == 1)
    #expect(familiarity("cute red square")?.share ?? 1 < 1)
  }

  @Test func theCheckpointHoldsItsCaptions() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder)
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(try model.familiarity(of: "a cute red square.")?.isFamiliar == true)
    #expect(try model.familiarity(of: "a red tapir")?.isFamiliar == false)
    #expect(model.unseenWords(in: "a picture of red squares and tapirs") == ["tapirs"])
    let read = try KnownCaptions(contentsOf: folder.checkpoint.captionsFile)
    #expect(read.captions == KnownCaptions(of: try folder.dataSet()).captions)
    // Checkpoints from before have no such file.
    try FileManager.default.removeItem(at: folder.checkpoint.captionsFile)
    #expect(try TextToImageModel(contentsOf: folder.checkpoint.url).familiarity(of: "a red square") == nil)
  }

  @Test func captionsWithLineBreaksStayOnTheirLines() throws {
    let folder = try Tiny.withKeywords()
    let file = folder.data.appendingPathComponent("metadata.jsonl")
    let text = try String(contentsOf: file, encoding: .utf8).replacing("a red square", with: "red\\n\\tsquare")
    try Data(text.utf8).write(to: file)
    let known = KnownCaptions(of: try folder.dataSet())
    let saved = folder.url.appendingPathComponent("captions.txt")
    try known.write(to: saved)
    #expect(try KnownCaptions(contentsOf: saved).captions == known.captions)
    #expect(known.captions[0].text == "red square")
  }
}
