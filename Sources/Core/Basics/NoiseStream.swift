/// Names a stream of random numbers, no two alike in a run.
public struct NoiseStream: Sendable {
  public let seed, stream: UInt64

  public init(seed: UInt64, stream: UInt64) { (self.seed, self.stream) = (seed, stream) }
}

extension NoiseStream {
  /// The stream of the `index`-th purpose, of up to 256, that one step of one shard needs noise for.
  /// - Precondition: the stream leaves the highest 8 bits free, as ``RandomStream/fittingNoise`` does.
  package func part(_ index: Int) -> UInt64 {
    precondition(stream >> 56 == 0, "a purpose would push the stream's own number out")
    return stream << 8 | UInt64(index)
  }

  /// The random numbers that a model draws for itself in one shard of a training step.
  package static func training(seed: UInt64, step: Int, shard: Int) -> NoiseStream {
    // Purpose (8 bits), step (32), shard (24).
    NoiseStream(
      seed: seed, stream: RandomStream.trainingNoise(UInt64(UInt32(truncatingIfNeeded: step)) << 24 | UInt64(shard)))
  }
}
