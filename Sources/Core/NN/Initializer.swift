import Basics
import TensorCore

/// What weights begin with: random numbers, of which each call takes the next stream of a seed, or nothing where they are
/// read anyway.
public struct Initializer: Sendable {
  /// Nil where the weights are read.
  private let seed: UInt64?
  private let purpose: RandomStream
  private var weights: UInt64 = 0

  public init(seed: UInt64) { self.init(seed: seed, for: .initialWeights) }

  /// - Parameter purpose: of the random numbers, where a seed serves several models.
  package init(seed: UInt64, for purpose: RandomStream) { (self.seed, self.purpose) = (seed, purpose) }

  private init() { (seed, purpose) = (nil, .initialWeights) }

  /// For weights that are read from a file: no random numbers are drawn only to be written over.
  public static let unread = Initializer()

  /// Normal with mean 0.
  public mutating func normal(_ shape: [Int], deviation: Float) -> Tensor {
    guard let seed else { return .zeros(shape) }
    return Tensor.normal(shape, seed: seed, stream: nextStream()) * deviation
  }

  /// Uniform in ±√(3/fanIn)·gain: variance gain²/fanIn (He et al. 2015 with gain √2, LeCun et al. 1998 with gain 1).
  public mutating func uniform(_ shape: [Int], fanIn: Int, gain: Float = 1) -> Tensor {
    guard let seed else { return .zeros(shape) }
    let bound = gain * (3 / Float(fanIn)).squareRoot()
    let values = Tensor.uniform(shape, seed: seed, stream: nextStream())
    return values * (2 * bound) - Tensor(repeating: bound, shape: shape)
  }

  private mutating func nextStream() -> UInt64 {
    defer { weights += 1 }
    return purpose(weights)
  }
}
