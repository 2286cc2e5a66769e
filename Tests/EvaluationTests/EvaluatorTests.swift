import Foundation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Evaluation
@testable import Generation

@Suite struct EvaluatorTests {
  @Test func evaluationAgreesWithReconstruction() throws {
    let folder = try Tiny.trained()
    let dataSet = try folder.dataSet()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let evaluator = try Evaluator(model, dataSet)
    let evaluation = try #require(try evaluator.evaluate(.train, captionLimit: 4))
    let retrieval = try #require(evaluation.retrieval)
    #expect(evaluation.pictures == 9 && retrieval.captions == 4)
    var error = 0.0
    for index in dataSet.indices(of: .train) {
      let original = try dataSet.picture(at: index)
      let result = model.reconstruct([original])[0]
      error += zip(original.pixels, result.pixels).reduce(0) { $0 + pow((Double($1.0) - Double($1.1)) / 255, 2) }
    }
    // The pictures are rounded to bytes and clamped, the measured error is not.
    let psnr = psnrInDecibels(meanSquaredError: error / Double(9 * 16 * 16 * 3))
    #expect(abs(evaluation.reconstructionPsnrInDecibels - psnr) < 0.5)
    #expect((1...32).contains(evaluation.codebookPerplexity) && (0...1).contains(evaluation.codebookUse))
    // Hardly trained, it is about as good as guessing among 32 codes.
    #expect(abs(try #require(evaluation.priorLoss) - log(32)) < 0.7)
    for shares in [retrieval, evaluation.retrievalCeiling] {
      #expect(0 <= shares.at1 && shares.at1 <= shares.at5 && shares.at5 <= 1)
    }
    #expect(try evaluator.evaluate(.test) == nil)
  }

  /// Ranks, distances and nearest pictures against their definition.
  @Test func neighboursAreTheNearest() throws {
    let folder = try Tiny.trained()
    let dataSet = try folder.dataSet()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let evaluator = try Evaluator(model, dataSet)
    let evaluation = try #require(try evaluator.evaluate(.validation, options: .init(seed: 3)))
    func distance(_ a: Picture, _ b: Picture) -> Double {
      let (a, b) = (a.resized(width: 32, height: 32).pixels, b.resized(width: 32, height: 32).pixels)
      let squares = zip(a, b).map { pow((Double($0) - Double($1)) / 255, 2) }
      return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
    let all = try dataSet.entries.indices.map { try dataSet.picture(at: $0) }
    let captions = dataSet.entries.indices.map { dataSet.entries[$0].captions[0] }
    let train = dataSet.indices(of: .train)
    for (drawing, index) in zip(evaluation.drawings, dataSet.indices(of: .validation)) {
      let drawn = try #require(drawing.drawn)
      #expect(drawing.original == all[index] && drawing.caption == dataSet.entries[index].captions[0])
      #expect(drawing.reconstruction == model.reconstruct([all[index]])[0])
      #expect(try drawn.picture == model.generate(drawing.caption, options: .init(seed: 3))[0])
      // Each caption is that of two pictures, and either of them will do.
      let alike = all.indices.filter { captions[$0] == captions[index] }
      #expect(alike.count == 2)
      for (picture, place) in [(drawing.reconstruction, drawing.ceiling), (drawn.picture, try #require(drawn.own))] {
        let own = alike.map { distance(picture, all[$0]) }.min()!
        #expect(abs(place.distance - own) < 1e-6 && place.rank == all.count { distance(picture, $0) < own - 1e-9 })
      }
      let nearest = try #require(drawn.nearest)
      #expect(abs(nearest.distance - train.map { distance(drawn.picture, all[$0]) }.min()!) < 1e-6)
      #expect(abs(distance(drawn.picture, nearest.picture) - nearest.distance) < 1e-6)
      #expect(nearest.isOwn == (nearest.caption == drawing.caption))
    }
    let ranks = evaluation.drawings.compactMap { $0.drawn?.own?.rank }
    #expect(evaluation.retrieval?.at1 == Double(ranks.count { $0 < 1 }) / 3)
    #expect(evaluation.retrievalCeiling.at5 == Double(evaluation.drawings.count { $0.ceiling.rank < 5 }) / 3)
  }

  /// Groups of pictures and of captions make no difference, and a damaged picture is left out.
  @Test func aSplitThatIsLargerThanAGroup() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let large = try TemporaryFolder()
    try large.writeData(count: 270, splits: [.train])
    let damaged = large.data.appendingPathComponent("107.png")
    try large.contents(damaged).dropLast(40).write(to: damaged)
    let dataSet = try large.dataSet()
    let evaluation = try #require(try Evaluator(model, dataSet).evaluate(.train, captionLimit: 20))
    let originals = try dataSet.entries.indices.map { try dataSet.picture(at: $0) }
    let results = model.reconstructor.reconstruct(originals)
    #expect(evaluation.pictures == 269 && evaluation.drawings.count == 20)
    let error = results.map(\.meanSquaredError).reduce(0, +) / 269
    #expect(abs(evaluation.reconstructionPsnrInDecibels - psnrInDecibels(meanSquaredError: error)) < 1e-9)
    for drawing in evaluation.drawings {
      let place = try #require(originals.firstIndex(of: drawing.original))
      #expect(drawing.reconstruction == results[place].picture && drawing.drawn != nil)
    }
    // The picture that all have in mind who say it: all of them.
    let square = dataSet.entries.indices.filter { dataSet.entries[$0].captions[0] == "a red square" }
    #expect(square.count == 45 && dataSet.sharingCaption(of: [6, 1])[0] == square)
  }

  @Test func evaluationMeasuresTheChoiceWhenAsked() throws {
    let folder = try Tiny.trainedWithRanker()
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
}
