import Basics
import Captions
import Compositions
import Datasets
import Foundation
import Generation
import Imaging

/// How well a model draws what it has never seen together: pairs that are held out of the compositions.
public struct CompositionEvaluation: Encodable, Sendable {
  /// The figures of one relation, or of all.
  public struct Part: Encodable, Sendable {
    /// The relation's name; "all" for all of them.
    public var relation: String
    /// One picture drawn for each pair, looked up in the pool.
    public var retrieval: Evaluation.Retrieval
    /// The share of pairs whose nearest picture shows X in the same relation, and the share whose shows Y or what X is told by.
    public var firstIsRight: Double
    public var secondIsRight: Double
    /// The same with the ranker's choice; nil where it was not asked.
    public var rankedRetrieval: Evaluation.Retrieval?
    /// The same with the true picture's reconstruction: what stage 1 allows.
    public var retrievalCeiling: Evaluation.Retrieval
  }

  /// A pair, its true picture, and what is drawn for it, to look at.
  public struct Drawing: Sendable {
    public var pair: CompositionPair
    public var caption: String
    public var truth: Picture
    public var drawn: PromptDrawing
  }

  /// Pictures that are looked up.
  public var pool: Int
  public var all: Part
  /// Three relations at once, which no training picture shows; not among `all`. Nil where none was asked for.
  public var threeAtOnce: Part?
  /// In the order of `Relation.all`, and of `Relation.threeAtOnce`.
  public var relations: [Part]
  /// Pictures drawn for each pair, of which the ranker chose one; nil where it was not asked.
  public var candidates: Int?
  /// Pictures of a thing above its sketch, of which only the upper half was given: among the lower halves of all such pictures in
  /// the pool; nil where there are none.
  public var sketchesBelow: Evaluation.Retrieval?
  /// The same with the true picture's reconstruction.
  public var sketchesBelowCeiling: Evaluation.Retrieval?
  public var drawings: [Drawing] = []

  enum CodingKeys: String, CodingKey {
    case pool, all, threeAtOnce, relations, candidates, sketchesBelow, sketchesBelowCeiling
  }

  /// For each figure a row: what it is of, how many were drawn, and the share that is right.
  var figures: [[String]] {
    func row(_ name: String, _ retrieval: Evaluation.Retrieval) -> [String] {
      [name, "\(retrieval.captions)", percent(retrieval.at1)]
    }
    var rows = [row("pairs never seen, all", all.retrieval)]
    if let candidates, let ranked = all.rankedRetrieval {
      rows.append(row("pairs never seen, all, best of \(candidates)", ranked))
    }
    rows.append(row("pairs never seen, all, reconstructed by stage 1", all.retrievalCeiling))
    if let threeAtOnce { rows.append(row("three relations at once, all", threeAtOnce.retrieval)) }
    let threes = Set(Relation.threeAtOnce.map(\.name))
    rows += relations.map { part in
      let kind = threes.contains(part.relation) ? "three relations at once" : "pairs never seen"
      return row("\(kind), \(part.relation)", part.retrieval)
    }
    if let sketchesBelow { rows.append(row("the sketch below a picture that is given", sketchesBelow)) }
    if let sketchesBelowCeiling { rows.append(row("the same, reconstructed by stage 1", sketchesBelowCeiling)) }
    return rows
  }
}

/// Compositions to look up which of them are near to a picture, and those among them that are asked for.
package struct CompositionPool {
  package struct Member: Sendable {
    package var pair: CompositionPair
    package var caption: String
    /// Of the lower half, where that is a picture of its own.
    var lowerHalf: [UInt8]?
  }

  package let members: [Member]
  /// The members' pictures, in their order.
  let library: PictureLibrary
  /// Of what is asked for: the first members, in their order.
  package let truths: [Picture]

  /// Held-out pairs, for each of them five with the same X and five with the same Y, and others up to `size`.
  /// - Parameters:
  ///   - maker: of the compositions.
  ///   - count: pairs that are asked for.
  ///   - threes: as many more in three relations at once.
  ///   - split: of both.
  ///   - size: members, of which there are more where so many are asked for.
  ///   - team: the threads to work on.
  /// - Throws: `PipelineError` where a thing's picture cannot be read.
  package init(
    _ maker: CompositionMaker, asking count: Int, threes: Int = 0, of split: Split = .test, size: Int, team: ThreadTeam
  ) throws(PipelineError) {
    let asked = maker.pairs(of: split, count: count) + maker.pairs(of: split, count: threes, threeAtOnce: true)
    var random = Philox(seed: maker.settings.seed, stream: RandomStream.compositions(2))
    var pairs = asked
    var known = Set(asked)
    for pair in asked {
      for other in maker.neighbours(of: pair, count: 5, using: &random) where known.insert(other).inserted {
        pairs.append(other)
      }
    }
    // No further pairs come from few things.
    for index in 0..<10 * size where pairs.count < size {
      let pair = maker.pair(at: index)
      if known.insert(pair).inserted { pairs.append(pair) }
    }
    let made = try team.throwingMap(pairs.count) {
      (i) throws(PipelineError) -> (member: Member, thumbnail: [UInt8], truth: Picture?)? in
      guard let composition = try maker.composition(of: pairs[i]) else { return nil }
      let member = Member(
        pair: pairs[i], caption: composition.caption,
        lowerHalf: Self.isSketchBelow(pairs[i]) ? composition.picture.lowerHalf.thumbnail : nil)
      return (member, composition.picture.thumbnail, i < asked.count ? composition.picture : nil)
    }
    var members: [Member] = []
    var thumbnails: [[UInt8]] = []
    var truths: [Picture] = []
    for case let (member, thumbnail, truth)? in made {
      members.append(member)
      thumbnails.append(thumbnail)
      if let truth { truths.append(truth) }
    }
    (self.members, self.truths) = (members, truths)
    library = PictureLibrary(thumbnails: thumbnails)
  }

  private static func isSketchBelow(_ pair: CompositionPair) -> Bool { pair.relation.hasSuffix("sketch-below") }
}

extension CompositionPool {
  /// Where what is drawn for each pair that is asked for stands.
  package func ranks(of pictures: [Picture]) -> [Int] {
    pictures.enumerated().map { library.distances(from: $1).place(of: $0).rank }
  }

  /// Those asked for that show a thing above its sketch.
  fileprivate var sketchesBelow: [Int] { truths.indices.filter { members[$0].lowerHalf != nil } }

  /// - Parameter pictures: for each of ``sketchesBelow`` one.
  fileprivate func retrieval(ofSketchesBelow pictures: [Picture]) -> Evaluation.Retrieval {
    // Those asked for come first, as among the members.
    let library = PictureLibrary(thumbnails: members.compactMap(\.lowerHalf))
    return .init(
      ranks: pictures.enumerated().map { library.distances(from: $1.lowerHalf).place(of: $0).rank })
  }
}

/// Where in the pool it stands what was drawn for the pairs that are asked for.
private struct CompositionAnswers {
  let asked: [CompositionPool.Member]
  /// To each picture.
  let nearest: [CompositionPool.Member]
  let ranks: [Int]
  /// Of the ranker's choice, where it was asked.
  let rankedRanks: [Int]?
  /// Of the true pictures' reconstructions.
  let ceilings: [Int]

  init(_ pool: CompositionPool, drawn: [Picture], ranked: [Picture]?, _ reconstructions: [Picture]) {
    asked = Array(pool.members.prefix(drawn.count))
    let distances = drawn.map(pool.library.distances)
    let all = Array(pool.members.indices)
    nearest = distances.map { pool.members[$0.nearest(of: all) ?? 0] }
    ranks = distances.enumerated().map { $1.place(of: $0).rank }
    rankedRanks = ranked.map(pool.ranks)
    ceilings = pool.ranks(of: reconstructions)
  }

  /// - Parameter chosen: positions among what is asked for.
  func part(_ name: String, _ chosen: [Int]) -> CompositionEvaluation.Part {
    func share(_ isRight: (CompositionPair, CompositionPair) -> Bool) -> Double {
      let right = chosen.count {
        nearest[$0].pair.relation == asked[$0].pair.relation && isRight(nearest[$0].pair, asked[$0].pair)
      }
      return Double(right) / Double(max(1, chosen.count))
    }
    func retrieval(_ ranks: [Int]) -> Evaluation.Retrieval { .init(ranks: chosen.map { ranks[$0] }) }
    return CompositionEvaluation.Part(
      relation: name, retrieval: retrieval(ranks), firstIsRight: share { $0.first == $1.first },
      secondIsRight: share { $0.second == $1.second }, rankedRetrieval: rankedRanks.map(retrieval),
      retrievalCeiling: retrieval(ceilings))
  }
}

extension Picture {
  /// What is below the middle.
  fileprivate var lowerHalf: Picture {
    let first = height / 2
    return Picture(width: width, height: height - first, pixels: Array(pixels[first * width * 3..<height * width * 3]))
  }
}

extension Evaluator {
  /// Draws pairs that no training picture shows, one picture each, and looks each up among compositions of which for each pair
  /// several differ from it in one part only.
  /// - Parameters:
  ///   - maker: of the data set's compositions, whose test split is asked for.
  ///   - count: pairs that are drawn, and a fifth as many in three relations at once.
  ///   - poolSize: compositions that are looked up, those pairs among them.
  ///   - candidates: draw so many pictures for each pair, and measure the ranker's choice among them, too.
  ///   - options: of drawing.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where there is no prior.
  /// - Throws: `PipelineError` for options that make no sense, a thing's picture that cannot be read, where no pair is held out, or
  ///   where there is no ranker to choose.
  public func evaluate(
    _ maker: CompositionMaker, count: Int, poolSize: Int = 10_000, candidates: Int? = nil,
    options: GenerationOptions = .init(), progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> CompositionEvaluation? {
    guard let model else { return nil }
    progress("composing", 0)
    let pool = try CompositionPool(maker, asking: count, threes: count / 5, size: poolSize, team: model.threadTeam)
    guard !pool.truths.isEmpty else {
      throw PipelineError(
        .badData, "no pair of the \(maker.thingNames.count) things in \(dataSet.url.path) is held out")
    }
    let asked = Array(pool.members.prefix(pool.truths.count))
    let drawn = try model.draw(asked.map(\.caption), candidates: candidates, options: options) {
      progress("drawing pairs never seen", $0)
    }
    let reconstructions = model.reconstruct(pool.truths)
    let answers = CompositionAnswers(
      pool, drawn: drawn.map(\.first), ranked: candidates.map { _ in drawn.map(\.best) }, reconstructions)
    let places = Dictionary(grouping: asked.indices) { asked[$0].pair.relation }
    func pairs(in relations: [Relation]) -> [Int] { relations.flatMap { places[$0.name] ?? [] }.sorted() }
    let threes = pairs(in: Relation.threeAtOnce)
    var evaluation = CompositionEvaluation(
      pool: pool.members.count, all: answers.part("all", pairs(in: Relation.all)),
      threeAtOnce: threes.isEmpty ? nil : answers.part("three at once", threes),
      relations: (Relation.all + Relation.threeAtOnce).compactMap { relation in
        places[relation.name].map { answers.part(relation.name, $0) }
      },
      candidates: candidates)
    evaluation.drawings = asked.indices.map { i in
      .init(
        pair: asked[i].pair, caption: asked[i].caption, truth: pool.truths[i],
        drawn: PromptDrawing(
          prompt: asked[i].caption, picture: drawn[i].first, isRight: answers.ranks[i] == 0,
          nearest: answers.nearest[i].caption))
    }
    let halves = pool.sketchesBelow
    if !halves.isEmpty {
      evaluation.sketchesBelowCeiling = pool.retrieval(ofSketchesBelow: halves.map { reconstructions[$0] })
      evaluation.sketchesBelow = pool.retrieval(
        ofSketchesBelow: try sketches(below: halves, of: pool, model, options) {
          progress("drawing sketches below", $0)
        })
    }
    return evaluation
  }

  /// Gives the upper halves of pictures and has the lower ones drawn.
  private func sketches(
    below halves: [Int], of pool: CompositionPool, _ model: TextToImageModel, _ options: GenerationOptions,
    progress: (Double) -> Void
  ) throws(PipelineError) -> [Picture] {
    var options = options
    var pictures: [Picture] = []
    for index in halves {
      options.imagePrompt = ImagePrompt(pool.truths[index])
      pictures.append(try model.generate(pool.members[index].caption, options: options)[0])
      progress(Double(pictures.count) / Double(halves.count))
    }
    return pictures
  }
}
