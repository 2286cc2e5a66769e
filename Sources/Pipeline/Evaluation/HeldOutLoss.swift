import Basics
import Priors
import TensorCore

extension TrainablePrior {
  /// Pictures that one thread takes at a time, for the memory's sake.
  private static var picturesAtOnce: Int { 16 }

  /// The mean loss of pictures given their captions, in nats an image token, on all threads of the team.
  /// - Parameters:
  ///   - texts: each caption's tokens; not empty.
  ///   - images: as many pictures' tokens.
  package func meanImageLoss(texts: [[Int32]], images: [[Int32]], precision: ElementType, team: ThreadTeam) -> Double {
    // The same groups for any number of threads, so that the last digits do not depend on it.
    let starts = Array(stride(from: 0, to: texts.count, by: Self.picturesAtOnce))
    let sums = team.map(starts.count) { i -> Double in
      let range = starts[i]..<min(starts[i] + Self.picturesAtOnce, texts.count)
      let batch = PriorBatch(texts: Array(texts[range]), images: images[range].flatMap(\.self))
      return Double(loss(batch, precision: precision).image) * Double(range.count)
    }
    return sums.reduce(0, +) / Double(texts.count)
  }
}
