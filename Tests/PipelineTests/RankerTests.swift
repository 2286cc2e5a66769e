import Foundation
import Rankers
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Evaluation
@testable import Generation
@testable import Training

@Suite struct RankerTests {
  /// A folder with data, both stages and a ranker.
  private func trained(steps: Int = 4) throws -> TemporaryFolder {
    let folder = try Tiny.trained()
    try Tiny.trainRanker(folder, Tiny.settings(steps: steps))
    return folder
  }

  @Test func theBestComeFirstAndAreThePicturesOfTheSeed() throws {
    let folder = try trained()
    let captions = ["a red square", "a blue bar"]
    var all: [[RankedPicture]] = []
    for threads in [1, 3] {
      let model = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: threads)
      let ranked = try model.generate(captions: captions, count: 5, candidates: 5, options: .init(seed: 7))
      let plain = try model.generate(captions: captions, count: 5, options: .init(seed: 7))
      for (row, pictures) in ranked.enumerated() {
        #expect(pictures.map(\.number).sorted() == Array(0..<5))
        #expect(pictures.map(\.score) == pictures.map(\.score).sorted(by: >))
        #expect(pictures.allSatisfy { (-1.0001...1.0001).contains($0.score) } && Set(pictures.map(\.score)).count > 1)
        for picture in pictures { #expect(picture.picture == plain[row * 5 + picture.number]) }
      }
      // Fewer are the first of them; more candidates change no picture and no score.
      let two = try model.generate(captions[0], count: 2, candidates: 5, options: .init(seed: 7))
      #expect(two.map(\.number) == ranked[0].prefix(2).map(\.number))
      let more = try model.generate(captions[0], count: 9, candidates: 9, options: .init(seed: 7))
      for picture in ranked[0] {
        #expect(
          more.contains { $0.number == picture.number && $0.score == picture.score && $0.picture == picture.picture })
      }
      if let first = all.first { #expect(first.map(\.score) == ranked[0].map(\.score)) }
      all.append(ranked[0])
    }
  }

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

  @Test func numbersThatMakeNoSense() throws {
    let folder = try trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    for (count, candidates) in [(2, 1), (1, 0), (0, 4), (-1, 4)] {
      let error = #expect(throws: PipelineError.self) {
        try model.generate("red", count: count, candidates: candidates)
      }
      #expect(error?.kind == .usage)
    }
  }

  @Test func aCheckpointWithoutARankerDraws() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(try model.generate("red").count == 1)
    let error = #expect(throws: PipelineError.self) { try model.generate("red", candidates: 4) }
    #expect(error?.kind == .noInput && error?.message.contains("dalle-cli train-ranker") ?? false)
  }

  @Test func rankersThatAreMissingDamagedOrOfAnotherCheckpoint() throws {
    func expectFailure(
      _ kind: PipelineError.Kind, _ words: String, damage: (TemporaryFolder) throws -> Void,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let folder = try trained(steps: 1)
      try damage(folder)
      let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
      let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) {
        try model.generate("red", candidates: 2)
      }
      #expect(error?.kind == kind, sourceLocation: sourceLocation)
      #expect(error?.message.contains(words) ?? false, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }
    try expectFailure(.noInput, "has no ranker yet") {
      try FileManager.default.removeItem(at: $0.checkpoint.rankerFile)
    }
    try expectFailure(.badData, "ranker.safetensors") {
      try $0.contents($0.checkpoint.rankerFile).prefix(500).write(to: $0.checkpoint.rankerFile)
    }
    func change(_ folder: TemporaryFolder, _ change: (inout Ranker.Configuration) -> Void) throws {
      var configuration = try folder.checkpoint.readConfiguration()
      var ranker = try #require(configuration.ranker)
      change(&ranker)
      configuration.ranker = ranker
      try folder.checkpoint.write(configuration)
    }
    try expectFailure(.badData, "shape") { try change($0) { $0.embeddingWidth = 15 } }
    try expectFailure(.badData, "parameters") { try change($0) { $0.width = 8192 } }
    try expectFailure(.badData, "the ranker was made for 280 text pieces, and there are 270") { folder in
      // Another vocabulary, with a prior of its own.
      for file in [folder.checkpoint.vocabularyFile, folder.checkpoint.priorFile] {
        try FileManager.default.removeItem(at: file)
      }
      let ranker = folder.url.appendingPathComponent("ranker")
      try FileManager.default.moveItem(at: folder.checkpoint.rankerFile, to: ranker)
      var settings = Tiny.settings(steps: 1)
      settings.vocabularySize = 270
      try Tiny.trainPrior(folder, settings)
      try FileManager.default.moveItem(at: ranker, to: folder.checkpoint.rankerFile)
    }
  }

  @Test func itDependsOnTheTokenizersBelowIt() throws {
    let folder = try trained()
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
    let folder = try trained()
    try FileManager.default.removeItem(at: folder.checkpoint.vocabularyFile)
    let error = #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, Tiny.settings(steps: 1)) }
    #expect(error?.kind == .badData && error?.message.contains("ranker.safetensors") ?? false)
    #expect(!folder.checkpoint.hasVocabulary)
  }

  @Test func evaluationMeasuresTheChoiceWhenAsked() throws {
    let folder = try trained()
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), folder.dataSet())
    let plain = try #require(try evaluator.evaluate(.validation))
    #expect(plain.candidates == nil && plain.rankedRetrieval == nil)
    let ranked = try #require(try evaluator.evaluate(.validation, candidates: 6))
    #expect(ranked.candidates == 6 && ranked.rankedRetrieval?.captions == 3)
    // What is drawn alone is the same picture.
    #expect(ranked.retrieval?.at1 == plain.retrieval?.at1 && ranked.retrieval?.at5 == plain.retrieval?.at5)
    let one = try #require(try evaluator.evaluate(.validation, candidates: 1))
    #expect(one.rankedRetrieval?.at1 == plain.retrieval?.at1)
  }

  @Test(arguments: [(64, 8), (16, 8), (30, 6), (7, 7), (13, 1), (1, 1)])
  func blocksOfPixelsFitThePicture(pictureSize: Int, patchSize: Int) {
    #expect(RankerTrainer.patchSize(pictureSize: pictureSize) == patchSize)
  }
}
