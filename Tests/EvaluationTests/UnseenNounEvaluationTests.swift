import Basics
import Datasets
import Lexicon
import PipelineTestSupport
import TestSupport
import Testing

@testable import Evaluation
@testable import Generation

/// What is measured of nouns that no training caption has.
@Suite struct UnseenNounEvaluationTests {
  private func trained(_ names: [String]) throws -> (evaluator: Evaluator, model: TextToImageModel, wordNet: WordNet) {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try folder.writeNames(names)
    try WordNetFiles.animals.write(to: folder.wordNet)
    try Tiny.trainStages(folder)
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    return (try Evaluator(model, folder.dataSet()), model, try WordNet(contentsOf: folder.wordNet))
  }

  private func evaluate(_ evaluator: Evaluator, _ count: Int, _ wordNet: WordNet) throws -> UnseenNounEvaluation? {
    guard let nouns = try evaluator.unseenNouns(count: count, wordNet: wordNet) else { return nil }
    return try evaluator.evaluate(nouns, options: .init(seed: 3))
  }

  /// An ox and a turkey are met in texts; a tapir is not, a dash is a verb, and a bear is seen.
  @Test func nounsOfTheClassesThatAreThereAreDrawn() throws {
    let (evaluator, model, wordNet) = try trained(["a rhinoceros", "a polar bear", "a bird"])
    let evaluation = try #require(try evaluate(evaluator, 10, wordNet))
    #expect(evaluation.categories.map(\.category) == ["animal"] && evaluation.all.nouns == 2)
    // All that there is are animals.
    #expect(evaluation.all.sameCategory == 1 && evaluation.all.sameKind == 1)
    let drawings = try #require(evaluation.drawings.first).drawings
    #expect(Set(drawings.map(\.prompt)) == ["an ox", "a turkey"] && drawings.allSatisfy(\.isRight))
    for drawing in drawings {
      #expect(try drawing.picture == model.generate(drawing.prompt, options: .init(seed: 3))[0])
    }
    #expect(try evaluate(evaluator, 1, wordNet)?.all.nouns == 1)
    let page = try EvaluationPage(
      checkpoint: "c", data: "d", options: .init(), evaluations: [], wording: .init(unseenNouns: evaluation)
    ).html()
    #expect(faults(ofPage: page).isEmpty && page.contains("Nouns never seen") && page.contains("<h3>animal</h3>"))
  }

  @Test func whatIsNoAnimalIsNotOfTheirClass() throws {
    // Two pictures in three have names that mean nothing.
    let (evaluator, _, wordNet) = try trained(["a bird", "an idea", "number 3"])
    #expect(throws: PipelineError.self) { try evaluator.unseenNouns(count: 4, wordNet: wordNet) }
    let (others, _, _) = try trained(["a bird", "a bird", "a thing"])
    let evaluation = try #require(try evaluate(others, 4, wordNet))
    let wrong = evaluation.drawings.flatMap(\.drawings).filter { $0.nearest == "a thing" }
    #expect(wrong.allSatisfy { !$0.isRight })
    #expect(evaluation.all.sameCategory == 1 - Double(wrong.count) / Double(evaluation.all.nouns))
  }
}
