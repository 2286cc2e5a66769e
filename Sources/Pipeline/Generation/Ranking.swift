import Basics
import Foundation
import ImageTokenizers
import Imaging
import Rankers
import TensorCore

/// A picture that a ranker has chosen.
public struct RankedPicture: Sendable {
  public var picture: Picture
  /// Which picture of the seed it is: number i is what drawing i + 1 pictures without a ranker ends in.
  public var number: Int
  /// The cosine of the caption's and the picture's embeddings, in -1 ... 1.
  public var score: Float
}

extension TextToImageModel {
  /// Draws `candidates` pictures for each caption and keeps the best `count` of each, with what the ranker thinks of them.
  ///
  /// - Parameters:
  ///   - captions: what to draw.
  ///   - count: how many pictures of each are kept.
  ///   - candidates: how many are drawn, 0 ..< candidates of the seed.
  ///   - options: of drawing.
  ///   - progress: told the share that is done, in 0 ... 1.
  /// - Returns: for each caption its pictures, the best first; of pictures with the same score the one with the lower number.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense, `.noInput` where the checkpoint has no
  ///   ranker, `.badData` where its ranker is damaged or does not fit the other parts.
  public func generateRanked(
    captions: [String], count: Int = 1, candidates: Int, options: GenerationOptions = .init(),
    progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [[RankedPicture]] {
    guard count > 0 else { throw PipelineError(.usage, "`count` must be 1 or more, not \(count)") }
    guard candidates >= count else {
      throw PipelineError(.usage, "`candidates` must be `count` or more, not \(candidates) where \(count) are kept")
    }
    let ranker = try ranker()
    let pictures = try generate(captions: captions, count: candidates, options: options, progress: progress)
    var kept: [[RankedPicture]] = []
    for (place, caption) in captions.enumerated() {
      let drawn = Array(pictures[place * candidates..<(place + 1) * candidates])
      kept.append(Array(ranked(drawn, for: try text(of: caption, options), by: ranker).prefix(count)))
    }
    return kept
  }

  /// All pictures with their scores, the best first.
  func ranked(_ pictures: [Picture], for caption: String, by ranker: Ranker) -> [RankedPicture] {
    let scores = scores(for: textEncoder.encode(caption), by: ranker)(pictures)
    return zip(pictures, scores).enumerated()
      .map { RankedPicture(picture: $1.0, number: $0, score: $1.1) }
      .sorted(by: RankedPicture.isBetter)
  }

  /// What gives pictures their scores for the tokens of a caption, as the model is given it.
  package func scores(for tokens: [Int32], by ranker: Ranker) -> ([Picture]) -> [Float] {
    let scorer = Scorer(ranker: ranker, team: threadTeam)
    let text = scorer.embeddings(ofTexts: [tokens])[0]
    return { pictures in scorer.embeddings(of: pictures).map { Scorer.cosine(text, $0) } }
  }
}

extension RankedPicture {
  /// Whether one comes before another: the better one, of equals the one with the lower number.
  package static func isBetter(_ a: Self, _ b: Self) -> Bool { (b.score, a.number) < (a.score, b.number) }

  package init(_ picture: Picture, number: Int, score: Float) {
    self.init(picture: picture, number: number, score: score)
  }
}

/// A ranker's embeddings of captions and pictures, one by one on all threads, so that no score depends on the company that a
/// picture is in.
package struct Scorer {
  let ranker: Ranker
  package let team: ThreadTeam

  package init(ranker: Ranker, team: ThreadTeam) { (self.ranker, self.team) = (ranker, team) }

  package func embeddings(ofTexts texts: [[Int32]]) -> [[Float]] {
    team.map(texts.count) { ranker.text([texts[$0]], precision: .float32).scalars }
  }

  /// - Parameter pictures: of the ranker's size, or of a multiple of it.
  package func embeddings(of pictures: [Picture]) -> [[Float]] {
    team.map(pictures.count) { i in
      let factor = pictures[i].width / ranker.configuration.pictureSize
      return ranker.picture(Tensor([pictures[i]]).reduced(factor), precision: .float32).scalars
    }
  }

  /// Of vectors of length one.
  package static func cosine(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
}
