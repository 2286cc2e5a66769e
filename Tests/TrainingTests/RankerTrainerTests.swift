import Foundation
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Generation
@testable import Training

@Suite struct RankerTrainerTests {
  @Test func itLearnsWhichPictureACaptionMeans() throws {
    let folder = try Tiny.trained(steps: 200)
    var settings = Tiny.settings(steps: 150, batchSize: 8)
    settings.learningRate = 3e-3
    try Tiny.trainRanker(folder, settings)
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let dataSet = try folder.dataSet()
    let train = dataSet.indices(of: .train)
    let pictures = try train.map { try dataSet.picture(at: $0) }
    for color in ["red", "green", "blue"] {
      let ranked = model.ranked(pictures, for: "a \(color) square", by: try model.ranker())
      let best = dataSet.entries[train[ranked[0].number]].captions[0]
      #expect(best.contains(color), "the best for \(color) is \(best)")
    }
    // The record says how it went, and the log shows it.
    let training = try #require(try folder.checkpoint.readConfiguration().rankerTraining)
    let validation = try #require(training.validation)
    #expect(training.steps == 150 && (0...1).contains(validation))
    for name in ["ranking.png", "ranker-loss.svg", "ranker-retrieval.svg"] {
      #expect(try folder.contents(folder.checkpoint.logFolder.appendingPathComponent(name)).count > 0)
    }
    let log = String(
      decoding: try folder.contents(folder.checkpoint.logFolder.appendingPathComponent("metrics.jsonl")), as: UTF8.self)
    for words in ["\"stage\":\"image-tokenizer\"", "\"stage\":\"prior\"", "validation_caption_to_picture"] {
      #expect(log.contains(words))
    }
  }

  /// The neighbour of a composition is one in the same relation, and batches hold the share that is asked for.
  @Test func compositionsAreShownInTheirShare() throws {
    func trained(share: Float?, relation: String) throws -> Data {
      let folder = try Tiny.trained(steps: 2)
      let file = folder.data.appendingPathComponent("metadata.jsonl")
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").enumerated().map { i, line in
        let name = i % 2 == 0 ? relation : "next-to"
        return i % 3 == 0
          ? String(line) : String(line).replacing("\"split\"", with: "\"relation\": \"\(name)\", \"split\"")
      }
      try Data(lines.joined(separator: "\n").utf8).write(to: file)
      var settings = Tiny.settings(steps: 3)
      settings.compositions = share
      try Tiny.trainRanker(folder, settings)
      return try folder.contents(folder.checkpoint.rankerFile)
    }
    let half = try trained(share: 0.5, relation: "next-to")
    #expect(try half == trained(share: 0.5, relation: "next-to") && half != trained(share: nil, relation: "next-to"))
    #expect(try half != trained(share: 0.5, relation: "made-of"))
  }

  @Test func itDependsOnTheTokenizersBelowIt() throws {
    let folder = try Tiny.trainedWithRanker()
    let ranker = try folder.contents(folder.checkpoint.rankerFile)
    // A new prior leaves it, and it stays in the configuration.
    try Tiny.trainPrior(folder, Tiny.settings(steps: 1))
    #expect(try folder.contents(folder.checkpoint.rankerFile) == ranker)
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.ranker != nil && configuration.rankerTraining?.steps == 4)
    // A new ranker sets it aside, a new image tokenizer everything.
    try Tiny.trainRanker(folder, Tiny.settings(steps: 2))
    #expect(
      try folder.contents(folder.checkpoint.previousFolder.appendingPathComponent("ranker.safetensors")) == ranker)
    let second = try folder.contents(folder.checkpoint.rankerFile)
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1))
    let renewed = try folder.checkpoint.readConfiguration()
    #expect(!folder.checkpoint.hasRanker && renewed.ranker == nil)
    let previous = Checkpoint(folder.checkpoint.previousFolder)
    #expect(try folder.contents(previous.rankerFile) == second)
    #expect(try TextToImageModel(contentsOf: previous.url).generate("red", candidates: 2).count == 1)
  }

  @Test func aNewVocabularyIsNotTrainedUnderARanker() throws {
    let folder = try Tiny.trainedWithRanker()
    try FileManager.default.removeItem(at: folder.checkpoint.vocabularyFile)
    let error = #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, Tiny.settings(steps: 1)) }
    #expect(error?.kind == .badData && error?.message.contains("ranker.safetensors") ?? false)
    #expect(!folder.checkpoint.hasVocabulary)
  }

  @Test(arguments: [(64, 8), (16, 8), (30, 6), (7, 7), (13, 1), (1, 1)])
  func blocksOfPixelsFitThePicture(pictureSize: Int, patchSize: Int) {
    #expect(RankerTrainer.patchSize(pictureSize: pictureSize) == patchSize)
  }
}
