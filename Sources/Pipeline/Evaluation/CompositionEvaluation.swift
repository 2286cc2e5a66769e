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
  /// In the order of `Relation.all`.
  public var relations: [Part]
  /// Pictures drawn for each pair, of which the ranker chose one; nil where it was not asked.
  public var candidates: Int?
  /// Pictures of a thing above its sketch, of which only the upper half was given: among the lower halves of all such pictures in
  /// the pool; nil where there are none.
  public var sketchesBelow: Evaluation.Retrieval?
  public var drawings: [Drawing] = []

  enum CodingKeys: String, CodingKey { case pool, all, relations, candidates, sketchesBelow }

  /// For each figure a row: what it is of, how many were drawn, and the share that is right.
  var figures: [[String]] {
    var rows = ([all] + relations).map { part in
      ["pairs never seen, \(part.relation)", "\(part.retrieval.captions)", percent(part.retrieval.at1)]
    }
    if let candidates, let ranked = all.rankedRetrieval {
      rows.insert(
        ["pairs never seen, all, best of \(candidates)", "\(ranked.captions)", percent(ranked.at1)], at: 1)
    }
    if let sketchesBelow {
      rows.append(["the sketch below a picture that is given", "\(sketchesBelow.captions)", percent(sketchesBelow.at1)])
    }
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
  /// - Throws: `PipelineError` where a thing's picture cannot be read.
  package init(
    _ maker: CompositionMaker, asking count: Int, of split: Split = .test, size: Int, team: ThreadTeam
  ) throws(PipelineError) {
    let asked = maker.pairs(of: split, count: count)
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
  ///   - count: pairs that are drawn.
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
    let pool = try CompositionPool(maker, asking: count, size: poolSize, team: model.threadTeam)
    guard !pool.truths.isEmpty else {
      throw PipelineError(
        .badData, "no pair of the \(maker.thingNames.count) things in \(dataSet.url.path) is held out")
    }
    let asked = pool.members.prefix(pool.truths.count)
    let drawn = try model.draw(asked.map(\.caption), candidates: candidates, options: options) {
      progress("drawing pairs never seen", $0)
    }
    let firsts = drawn.map { pool.library.distances(from: $0.first) }
    let nearest = firsts.map { pool.members[$0.nearest(of: Array(pool.members.indices)) ?? 0] }
    let ranks = firsts.enumerated().map { $1.place(of: $0).rank }
    let rankedRanks = candidates.map { _ in pool.ranks(of: drawn.map(\.best)) }
    let ceilings = pool.ranks(of: model.reconstruct(pool.truths))

    func part(_ name: String, _ chosen: [Int]) -> CompositionEvaluation.Part {
      func share(_ isRight: (CompositionPair, CompositionPair) -> Bool) -> Double {
        Double(
          chosen.count {
            nearest[$0].pair.relation == asked[$0].pair.relation && isRight(nearest[$0].pair, asked[$0].pair)
          })
          / Double(max(1, chosen.count))
      }
      return CompositionEvaluation.Part(
        relation: name, retrieval: .init(ranks: chosen.map { ranks[$0] }),
        firstIsRight: share { $0.first == $1.first }, secondIsRight: share { $0.second == $1.second },
        rankedRetrieval: rankedRanks.map { ranks in .init(ranks: chosen.map { ranks[$0] }) },
        retrievalCeiling: .init(ranks: chosen.map { ceilings[$0] }))
    }
    let places = Dictionary(grouping: asked.indices) { asked[$0].pair.relation }
    var evaluation = CompositionEvaluation(
      pool: pool.members.count, all: part("all", Array(asked.indices)),
      relations: Relation.all.compactMap { relation in places[relation.name].map { part(relation.name, $0) } },
      candidates: candidates)
    evaluation.drawings = asked.indices.map { i in
      .init(
        pair: asked[i].pair, caption: asked[i].caption, truth: pool.truths[i],
        drawn: PromptDrawing(
          prompt: asked[i].caption, picture: drawn[i].first, isRight: ranks[i] == 0, nearest: nearest[i].caption))
    }
    evaluation.sketchesBelow = try sketchesBelow(pool, model, options) { progress("drawing sketches below", $0) }
    return evaluation
  }

  /// Gives the upper half of a picture and has the lower one drawn.
  private func sketchesBelow(
    _ pool: CompositionPool, _ model: TextToImageModel, _ options: GenerationOptions, progress: (Double) -> Void
  ) throws(PipelineError) -> Evaluation.Retrieval? {
    let halves = pool.members.indices.filter { pool.members[$0].lowerHalf != nil }
    let asked = halves.prefix { $0 < pool.truths.count }
    if asked.isEmpty { return nil }
    let library = PictureLibrary(thumbnails: halves.compactMap { pool.members[$0].lowerHalf })
    var options = options
    var ranks: [Int] = []
    for (place, index) in asked.enumerated() {
      options.imagePrompt = ImagePrompt(pool.truths[index])
      let picture = try model.generate(pool.members[index].caption, options: options)[0]
      ranks.append(library.distances(from: picture.lowerHalf).place(of: place).rank)
      progress(Double(place + 1) / Double(asked.count))
    }
    return .init(ranks: ranks)
  }
}
