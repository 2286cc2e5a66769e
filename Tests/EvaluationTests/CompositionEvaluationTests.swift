import Basics
import Compositions
import Datasets
import Foundation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import Evaluation
@testable import Generation

/// What is measured of pairs that no training picture shows.
@Suite struct CompositionEvaluationTests {
  private static let names = [
    "box", "pole", "ball", "brick", "lamp", "coin", "book", "door", "leaf", "cake", "boat", "stone",
  ]

  /// Data of twelve things, and both stages.
  private func trained() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(at: folder.data, withIntermediateDirectories: true)
    for i in Self.names.indices {
      let shades = [i * 20, 255 - i * 20, i * 70 % 256].map { UInt8($0) }
      var picture = Picture(width: 48, height: 48, color: .white)
      picture.paste(
        Picture(width: 16 + i, height: 30 - i, color: .init(red: shades[0], green: shades[1], blue: shades[2])),
        x: 10, y: 8)
      // Stripes are what a texture is recognised by.
      for stripe in 0..<3 {
        picture.paste(Picture(width: 16 + i, height: 2, color: .black), x: 10, y: 10 + stripe * 6)
      }
      try picture.write(to: folder.data.appendingPathComponent("\(i).png"))
    }
    let lines = Self.names.enumerated().map {
      "{\"file_name\": \"\($0).png\", \"text\": \"\($1)\", \"split\": \"train\"}"
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: folder.data.appendingPathComponent("metadata.jsonl"))
    try Tiny.trainStages(folder)
    return folder
  }

  private func maker(_ folder: TemporaryFolder) throws -> CompositionMaker {
    var settings = CompositionMaker.Settings()
    settings.pictureSize = 32
    return try CompositionMaker(folder.dataSet(), settings: settings, team: ThreadTeam(count: 2))
  }

  @Test func thePoolHoldsWhatIsEasilyConfused() throws {
    let folder = try trained()
    let (maker, team) = (try maker(folder), try ThreadTeam(count: 2))
    let pool = try CompositionPool(maker, asking: 20, size: 300, team: team)
    #expect(pool.truths.count == 20 && pool.members.count == 300)
    #expect(Set(pool.members.map(\.pair)).count == 300)
    let library = pool.library
    for (i, truth) in pool.truths.enumerated() {
      let pair = pool.members[i].pair
      #expect(maker.split(of: pair) == .test && library.distances(from: truth).place(of: i).rank == 0)
      let others = pool.members.filter { $0.pair.relation == pair.relation && $0.pair != pair }
      #expect(others.count { $0.pair.second == pair.second } >= 5, "\(pair)")
      if pair.relation == "made-of" || pair.relation == "next-to" {
        #expect(others.count { $0.pair.first == pair.first } >= 5, "\(pair)")
      }
    }
  }

  @Test func theFiguresAreThoseOfTheDrawings() throws {
    let folder = try trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let evaluator = try Evaluator(model, folder.dataSet())
    let evaluation = try #require(
      try evaluator.evaluate(maker(folder), count: 30, poolSize: 500, options: .init(seed: 3)))
    #expect(evaluation.pool == 500 && evaluation.all.retrieval.captions == 30 && evaluation.drawings.count == 36)
    let right = evaluation.drawings.map(\.drawn.isRight)
    #expect(evaluation.all.retrieval.at1 == Double(right.prefix(30).count(where: \.self)) / 30)
    let threes = Set(Relation.threeAtOnce.map(\.name))
    #expect(evaluation.drawings.map { threes.contains($0.pair.relation) } == (0..<36).map { $0 >= 30 })
    let three = try #require(evaluation.threeAtOnce)
    #expect(three.retrieval.captions == 6)
    #expect(three.retrieval.at1 == Double(right.suffix(6).count(where: \.self)) / 6)
    #expect(evaluation.relations.reduce(0) { $0 + $1.retrieval.captions } == 36)
    for part in evaluation.relations {
      let drawings = evaluation.drawings.filter { $0.pair.relation == part.relation }
      #expect(part.retrieval.captions == drawings.count)
      #expect(part.retrieval.at1 == Double(drawings.count(where: \.drawn.isRight)) / Double(drawings.count))
      #expect(part.retrieval.at1 <= part.firstIsRight && part.retrieval.at1 <= part.secondIsRight)
    }
    let first = evaluation.drawings[0]
    #expect(try first.drawn.picture == model.generate(first.caption, options: .init(seed: 3))[0])
    let halves = evaluation.relations.filter { $0.relation.hasSuffix("sketch-below") }
    #expect(evaluation.sketchesBelow?.captions ?? 0 == halves.reduce(0) { $0 + $1.retrieval.captions })
    #expect(evaluation.sketchesBelowCeiling?.captions == evaluation.sketchesBelow?.captions)
    let page = try EvaluationPage(
      checkpoint: "c", data: "d", options: .init(), evaluations: [], wording: .init(compositions: evaluation)
    ).html()
    #expect(faults(ofPage: page).isEmpty && page.contains("Pairs never seen") && page.contains("<h3>made-of</h3>"))
  }
}
