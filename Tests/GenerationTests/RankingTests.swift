import Foundation
import PipelineTestSupport
import Rankers
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Generation

@Suite struct RankingTests {
  @Test func theBestComeFirstAndAreThePicturesOfTheSeed() throws {
    let folder = try Tiny.trainedWithRanker()
    let captions = ["a red square", "a blue bar"]
    var all: [[RankedPicture]] = []
    for threads in [1, 3] {
      let model = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: threads)
      let ranked = try model.generateRanked(captions: captions, count: 5, candidates: 5, options: .init(seed: 7))
      let plain = try model.generate(captions: captions, count: 5, options: .init(seed: 7))
      for (row, pictures) in ranked.enumerated() {
        #expect(pictures.map(\.number).sorted() == Array(0..<5))
        #expect(pictures.map(\.score) == pictures.map(\.score).sorted(by: >))
        #expect(pictures.allSatisfy { (-1.0001...1.0001).contains($0.score) } && Set(pictures.map(\.score)).count > 1)
        for picture in pictures { #expect(picture.picture == plain[row * 5 + picture.number]) }
      }
      // Fewer are the first of them; more candidates change no picture and no score.
      let two = try model.generate(captions[0], count: 2, candidates: 5, options: .init(seed: 7))
      #expect(two == ranked[0].prefix(2).map(\.picture))
      let more = try model.generateRanked(
        captions: [captions[0]], count: 9, candidates: 9, options: .init(seed: 7))[0]
      for picture in ranked[0] {
        #expect(
          more.contains { $0.number == picture.number && $0.score == picture.score && $0.picture == picture.picture })
      }
      if let first = all.first { #expect(first.map(\.score) == ranked[0].map(\.score)) }
      all.append(ranked[0])
    }
  }

  @Test func numbersThatMakeNoSense() throws {
    let folder = try Tiny.trainedWithRanker()
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
      let folder = try Tiny.trainedWithRanker(steps: 1)
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
}
