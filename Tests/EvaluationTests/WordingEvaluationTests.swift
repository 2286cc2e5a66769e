import Captions
import Datasets
import Foundation
import PipelineTestSupport
import Testing

@testable import Checkpoints
@testable import Evaluation
@testable import Generation

/// Captions in the words of those who type them: how they are measured and told.
@Suite struct WordingEvaluationTests {
  @Test func formsAreDrawnAndLookedUp() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder)
    let (model, dataSet) = (try TextToImageModel(contentsOf: folder.checkpoint.url), try folder.dataSet())
    let evaluator = try Evaluator(model, dataSet)
    let evaluation = try #require(try evaluator.evaluateForms(options: .init(seed: 3)))
    #expect(evaluation.forms.map(\.form) == ["X", "x.", "a X", "the X", "X!", "a picture of a X"])
    #expect(evaluation.forms.allSatisfy { $0.retrieval.captions == 9 })
    #expect(evaluation.rows.count == 9 && evaluation.rows.allSatisfy { $0.drawings.count == 7 })
    // The figures are those of the drawings, and a drawing is what the model draws for the words.
    for (number, form) in evaluation.forms.enumerated() {
      let right = evaluation.rows.count { $0.drawings[number].isRight }
      #expect(form.retrieval.at1 == Double(right) / 9)
    }
    let drawing = evaluation.rows[0].drawings[2]
    #expect(drawing.prompt == "a red square")
    #expect(try drawing.picture == model.generate("a red square", options: .init(seed: 3))[0])
    // Keywords: what carries both is right, whichever picture of the data set it is.
    let pairs = try #require(evaluation.keywordPairs)
    let drawings = evaluation.rows.compactMap(\.drawings.last)
    #expect(pairs.captions == 9 && pairs.carried == Double(drawings.count(where: \.isRight)) / 9)
    for drawing in drawings {
      let nearest = try #require(dataSet.entries.first { $0.captions[0] == drawing.nearest })
      if drawing.isRight && dataSet.entries.count(where: { $0.captions[0] == drawing.nearest }) == 1 {
        #expect(ContentWords(of: nearest.allCaptions).contain(drawing.prompt))
      }
    }
    #expect(try evaluator.evaluateForms(captionLimit: 4)?.rows.count == 4)
  }

  /// A picture that cannot be read is no caption that was missed.
  @Test func damagedPicturesAreNotAsked() throws {
    let folder = try Tiny.trained()
    let damaged = folder.data.appendingPathComponent("100.png")
    try folder.contents(damaged).dropLast(40).write(to: damaged)
    // Read when they are asked for, as of a data set that is larger than memory.
    let dataSet = try PictureDataSet(contentsOf: folder.data, pictureSize: 16, maximumBytesInMemory: 0)
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), dataSet)
    let evaluation = try #require(try evaluator.evaluateForms())
    #expect(dataSet.indices(of: .train).count == 9)
    #expect(evaluation.rows.count == 8 && evaluation.forms.allSatisfy { $0.retrieval.captions == 8 })
    #expect(try evaluator.evaluate(.train)?.pictures == 8)
  }

  @Test func promptsAreRightWhereTheNearestPictureWouldDo() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder)
    var ranking = Tiny.settings(steps: 2)
    ranking.captionForms = nil
    try Tiny.trainRanker(folder, ranking)
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), folder.dataSet())
    let all = Array(evaluator.dataSet.entries.indices)
    let prompts = ["a red thing", "something else"].map { EverydayPrompt(text: $0, pictures: all) }
    let any = try #require(try evaluator.evaluate(prompts))
    #expect(any.prompts == 2 && any.answered == 1 && any.candidates == nil && any.rankedAnswered == nil)
    #expect(any.drawings.map(\.prompt) == prompts.map(\.text))
    // Of the picture that is nearest, and of all others.
    let nearest = any.drawings.map { drawing in
      all.filter { evaluator.dataSet.entries[$0].captions[0] == drawing.nearest }
    }
    let right = zip(prompts, nearest).map { EverydayPrompt(text: $0.text, pictures: $1) }
    let wrong = zip(prompts, nearest).map { prompt, nearest in
      EverydayPrompt(text: prompt.text, pictures: all.filter { !nearest.contains($0) })
    }
    #expect(try evaluator.evaluate(right)?.answered == 1)
    #expect(try evaluator.evaluate(wrong)?.answered ?? 1 < 1)
    let ranked = try #require(try evaluator.evaluate(prompts, candidates: 3))
    #expect(ranked.candidates == 3 && ranked.rankedAnswered == 1 && ranked.rankedDrawings.count == 2)
    #expect(ranked.drawings.map(\.picture) == any.drawings.map(\.picture))
  }

  @Test func sheetAndCardShowThem() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder)
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), folder.dataSet())
    let evaluations = [try #require(try evaluator.evaluate(.train, captionLimit: 2))]
    let prompts = [EverydayPrompt(text: "a <b>box</b>", pictures: [0])]
    let wording = Wording(
      forms: try evaluator.evaluateForms(captionLimit: 2), prompts: try evaluator.evaluate(prompts))
    let html = try EvaluationPage(
      checkpoint: "x", data: "y", options: .init(), evaluations: evaluations, wording: wording
    ).html()
    #expect(faults(ofPage: html).isEmpty)
    #expect(html.contains("id=\"forms\"") && html.contains("id=\"everyday\"") && html.contains("a &lt;b&gt;box"))
    for row in wording.figures { #expect(html.contains("<td>\(row[2])</td>")) }
    // Four pictures a caption, and one for each form, pair and prompt.
    #expect(html.ranges(of: "<img ").count == 4 * 2 + 7 * 2 + 1)
    let card = ModelCard(
      folder.checkpoint, try folder.checkpoint.readConfiguration(), evaluations: evaluations, wording: wording
    ).markdown
    for row in wording.figures { #expect(card.contains("| \(row.joined(separator: " | ")) |")) }
    let place = folder.checkpoint.url.standardizedFileURL.path
    #expect(card.contains("`dalle-cli evaluate DATA --checkpoint \(place) --card --prompts FILE`"))
  }
}
