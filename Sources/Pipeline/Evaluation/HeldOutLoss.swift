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
    var sums = [Double](repeating: 0, count: team.count)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      team.run { thread in
        let mine = team.range(of: thread, total: texts.count)
        for start in stride(from: mine.lowerBound, to: mine.upperBound, by: Self.picturesAtOnce) {
          let range = start..<min(start + Self.picturesAtOnce, mine.upperBound)
          let batch = PriorBatch(texts: Array(texts[range]), images: images[range].flatMap(\.self))
          sums[thread] += Double(loss(batch, precision: precision).image) * Double(range.count)
        }
      }
    }
    return sums.reduce(0, +) / Double(texts.count)
  }
}
