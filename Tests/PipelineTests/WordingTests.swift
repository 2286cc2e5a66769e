import Datasets
import Foundation
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Evaluation
@testable import Generation
@testable import Training

/// Captions in the words of those who type them: how they are trained, measured and told.
@Suite struct WordingTests {
  /// Data with keywords, which the standard one has none of.
  private func folder(keywords: Bool = true) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    guard keywords else { return folder }
    let file = folder.data.appendingPathComponent("metadata.jsonl")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").enumerated().map { i, line in
      line.replacing("\"split\"", with: "\"keywords\": [\"flat\", \"shape\(i)\", \"thing\"], \"split\"")
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: file)
    return folder
  }

  private func trained(_ folder: TemporaryFolder, steps: Int = 4, forms: [CaptionForms.Kind]? = nil) throws {
    var settings = Tiny.settings(steps: steps)
    settings.captionForms = forms
    settings.vocabularySize = 280
    try Tiny.trainTokenizer(folder, settings)
    try Tiny.trainPrior(folder, settings)
  }

  // MARK: Training

  @Test func aNewRunReadsCaptionsInAllForms() throws {
    let folder = try folder()
    try trained(folder)
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.priorTraining?.settings.captionForms == CaptionForms.Kind.allCases)
    #expect(configuration.tokenizerTraining?.settings.captionForms == nil)
    // Room for the forms, and words that they consist of are known.
    let texts = try folder.dataSet().trainingTexts(folder.dataSet().forms(CaptionForms.Kind.allCases))
    let vocabulary = try folder.checkpoint.readVocabulary()
    #expect(try vocabulary == .train(on: texts, vocabularySize: 280))
    let lengths = texts.map { vocabulary.encode($0).count }
    #expect(configuration.prior?.textLength == PriorTrainer.suitableTextLength(lengths))
    #expect(configuration.prior?.textLength ?? 0 > 8)
    let words = Set((configuration.captionWords ?? "").split(separator: " ").map(String.init))
    #expect(words.isSuperset(of: ["picture", "cute", "square", "shape2"]))
  }

  @Test func formsCanBeTurnedOff() throws {
    let folder = try folder()
    try trained(folder, forms: [])
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.priorTraining?.settings.captionForms == [])
    #expect(configuration.captionWords?.split(separator: " ").contains("cute") == false)
  }

  /// Runs from before there were forms had none, and their configurations say nothing of them.
  @Test func settingsWithoutFormsAreRead() throws {
    var settings = TrainingSettings()
    settings.captionForms = nil
    let json = try JSONEncoder().encode(settings)
    #expect(!String(decoding: json, as: UTF8.self).contains("aptionForms"))
    #expect(try JSONDecoder().decode(TrainingSettings.self, from: json) == settings)
  }

  @Test func resumedRunsReadTheSameForms() throws {
    var settings = Tiny.settings(steps: 8)
    settings.captionForms = CaptionForms.Kind.allCases
    let (whole, parts) = (try folder(), try folder())
    for folder in [whole, parts] { try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2)) }
    try Tiny.trainPrior(whole, settings)
    settings.bound = .steps(8)
    try Tiny.trainPrior(parts, settings, observer: Recorder(stopAfter: 3).observer)
    try Tiny.trainPrior(parts, settings, resume: true)
    #expect(try whole.contents(whole.checkpoint.priorFile) == parts.contents(parts.checkpoint.priorFile))
    #expect(try whole.contents(whole.checkpoint.captionsFile) == parts.contents(parts.checkpoint.captionsFile))
  }

  @Test func theRunFollowsTheForms() throws {
    let folder = try folder()
    let recorder = Recorder()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2), observer: recorder.observer)
    #expect(recorder.validations.last?.contains("of 9 training captions in other forms") ?? false)
    let log = try folder.contents(folder.checkpoint.logFolder.appendingPathComponent("metrics.jsonl"))
    #expect(String(decoding: log, as: UTF8.self).contains("\"forms_retrieval_at_1\":"))
  }

  // MARK: Measuring

  @Test func formsAreDrawnAndLookedUp() throws {
    let folder = try folder()
    try trained(folder)
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

  @Test func promptsAreReadByCaptionAndFileName() throws {
    let folder = try folder()
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

  @Test func promptsAreRightWhereTheNearestPictureWouldDo() throws {
    let folder = try folder()
    try trained(folder)
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
    let folder = try folder()
    try trained(folder)
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), folder.dataSet())
    let evaluations = [try #require(try evaluator.evaluate(.train, captionLimit: 2))]
    let prompts = [EverydayPrompt(text: "a <b>box</b>", pictures: [0])]
    let wording = Wording(
      forms: try evaluator.evaluateForms(captionLimit: 2), prompts: try evaluator.evaluate(prompts))
    let html = try EvaluationPage(
      checkpoint: "x", data: "y", options: .init(), evaluations: evaluations, wording: wording
    ).html()
    expectSelfContained(html)
    #expect(html.contains("id=\"forms\"") && html.contains("id=\"everyday\"") && html.contains("a &lt;b&gt;box"))
    for row in wording.figures { #expect(html.contains("<td>\(row[2])</td>")) }
    // Four pictures a caption, and one for each form, pair and prompt.
    #expect(html.ranges(of: "<img ").count == 4 * 2 + 7 * 2 + 1)
    let card = ModelCard(
      folder.checkpoint, try folder.checkpoint.readConfiguration(), evaluations: evaluations, wording: wording
    ).markdown
    for row in wording.figures { #expect(card.contains("| \(row.joined(separator: " | ")) |")) }
    #expect(card.contains("evaluate --card --prompts FILE`"))
  }

  // MARK: Telling

  @Test func howMuchOfAPromptIsKnown() throws {
    let folder = try folder()
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
    let folder = try folder()
    try trained(folder)
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
    let folder = try folder()
    let file = folder.data.appendingPathComponent("metadata.jsonl")
    let text = try String(contentsOf: file, encoding: .utf8).replacing("a red square", with: "red\\n\\tsquare")
    try Data(text.utf8).write(to: file)
    let known = KnownCaptions(of: try folder.dataSet())
    let saved = folder.url.appendingPathComponent("captions.txt")
    try known.write(to: saved)
    #expect(try KnownCaptions(contentsOf: saved).captions == known.captions)
    #expect(known.captions[0].text == "red square")
  }

  // MARK: The ranker's lessons

  /// What is found again is a view of its picture, everything else shows nothing; the parts are what was drawn.
  @Test func drawingsAreViewsOrFailures() throws {
    let folder = try folder()
    try trained(folder, steps: 2)
    let (model, dataSet) = (try TextToImageModel(contentsOf: folder.checkpoint.url), try folder.dataSet())
    func drawings(count: Int) throws -> PriorDrawings {
      try PriorDrawings(model.prior, model.vocabulary, model.reconstructor, dataSet, count: count, seed: 1)
    }
    let all = try drawings(count: 100)
    #expect(all.failures.count + all.views.values.reduce(0) { $0 + $1.count } == 18)
    // So few are found after two steps that nothing can be judged.
    #expect(all.views.isEmpty)
    #expect(try drawings(count: 4).failures.count == 4)
    #expect(try drawings(count: 100).failures == all.failures)
  }
}
