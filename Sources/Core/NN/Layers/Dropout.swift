import Basics
import TensorCore

/// Where the dropout masks of one forward pass come from: each use takes the next Philox stream.
public final class DropoutStream {
  public let probability: Float
  private let seed: UInt64
  private var next: UInt64

  /// - Parameters:
  ///   - probability: of dropping an element.
  ///   - seed: of the run.
  ///   - step: the training step.
  ///   - shard: the shard of the batch, below 4,096.
  public init(probability: Float, seed: UInt64, step: Int, shard: Int) {
    self.probability = probability
    self.seed = seed
    // Purpose (8 bits), step (32), shard (12), use (12).
    next = RandomStream.dropout(UInt64(UInt32(truncatingIfNeeded: step)) << 24 | UInt64(shard) << 12)
  }

  func mask(_ x: Tensor) -> Tensor {
    defer { next += 1 }
    return x.droppingOut(probability, seed: seed, stream: next)
  }
}

extension DropoutStream? {
  /// x with elements dropped; x itself where there is no dropout.
  package func applied(to x: Tensor) -> Tensor { self?.mask(x) ?? x }
}
