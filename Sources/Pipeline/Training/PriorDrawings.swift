import Basics
import Captions
import Datasets
import Decoding
import Evaluation
import Foundation
import Generation
import Imaging
import Priors
import TextTokenizer

/// What a checkpoint's prior draws, for a ranker to learn from: drawings that are found again are further views of their
/// pictures, and those that are like no picture of the data set, smears and mixtures, are wrong answers to every caption.
struct PriorDrawings: Sendable {
  /// Drawings by the picture that they show, a position in the data set's `entries`.
  private(set) var views: [Int: [Picture]] = [:]
  /// Drawings that show none.
  private(set) var failures: [Picture] = []

  /// A drawing shows a picture where it is as near to it as this share of those that were to show it and are nearest to it.
  private static let nearShare = 0.9
  /// Below so many of those, nothing can be said.
  private static let leastHits = 10

  static let none = PriorDrawings()

  private init() {}

  /// Draws `count` pictures: half for training captions, half for words of two pictures, of which the prior can hardly make
  /// anything.
  /// - Parameters:
  ///   - forms: in which the prior was trained on captions; nil where it was on captions as they stand.
  ///   - count: at most two for each training picture are drawn.
  init(
    _ prior: any Prior, _ vocabulary: any TextEncoder, _ reconstructor: Reconstructor, _ dataSet: PictureDataSet,
    forms: CaptionForms?, count: Int, seed: UInt64
  ) throws(PipelineError) {
    let train = dataSet.indices(of: .train)
    let library = try PictureLibrary(dataSet, team: reconstructor.team)
    // Evenly spread, and half of them compositions where there are some, however many there are.
    let plain = dataSet.uncomposed(train)
    let composed = dataSet.composed(train)
    let owners =
      plain.isEmpty || composed.isEmpty
      ? train.spread(over: count / 2) : plain.spread(over: count / 4) + composed.spread(over: count / 4)
    let captions = owners.map { index in
      var random = Self.random(seed, index)
      return forms?.caption(of: index, using: &random) ?? dataSet.entries[index].captions[0]
    }
    let mixtures = owners.map { index in
      var random = Self.random(seed, index + dataSet.entries.count)
      let other = train[random.index(below: train.count)]
      return [index, other].compactMap { picture in
        let words = ContentWords(of: dataSet.entries[picture].allCaptions).words.sorted()
        return words.isEmpty ? nil : words[random.index(below: words.count)]
      }.joined(separator: " ")
    }
    let requests = (captions + mixtures).enumerated().map { number, caption in
      DrawingRequest(text: vocabulary.encode(caption), seed: seed, number: number)
    }
    let drawings = reconstructor.decode(prior.makeDecoder(team: reconstructor.team).draw(requests))
    let nearest = drawings.map { drawing in
      let distances = library.distances(from: drawing)
      let index = distances.nearest(of: train) ?? train[0]
      return (index: index, distance: distances.rootMeanSquare(at: index))
    }
    // Where many pictures have the caption, any of them will do.
    let isHit = zip(owners, nearest).map { owner, nearest in
      owner == nearest.index
        || dataSet.entries[owner].captions.contains(where: dataSet.entries[nearest.index].captions.contains)
    }
    let hits = zip(isHit, nearest).filter(\.0).map(\.1.distance).sorted()
    let isJudged = hits.count >= Self.leastHits
    let near = isJudged ? hits[Int(Self.nearShare * Double(hits.count - 1))] : 0
    for (number, (drawing, nearest)) in zip(drawings, nearest).enumerated() {
      // What is found by its own caption is right, however rough it is.
      if nearest.distance <= near || isJudged && number < owners.count && isHit[number] {
        views[nearest.index, default: []].append(drawing)
      } else {
        failures.append(drawing)
      }
    }
  }

  private static func random(_ seed: UInt64, _ number: Int) -> Philox {
    Philox(seed: seed, stream: RandomStream.priorDrawings(), counter: UInt64(number) << 8)
  }
}
