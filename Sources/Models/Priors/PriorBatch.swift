import Basics
import TensorCore

/// A batch of captions and the pictures that go with them, as tokens.
public struct PriorBatch: Sendable {
  /// For each caption its tokens, of which the model sees the first; an empty one stands for "no caption".
  public var texts: [[Int32]]
  /// B·imageLength tokens.
  public var images: [Int32]
  /// What the model sees of `images` in training, where that is not the same: see
  /// ``corrupted(_:probability:refinementProbability:codes:depth:using:)``.
  public var imageInputs: [Int32]?
  /// For each coarser grid that the model is conditioned on B·side² tokens.
  public var upperTokens: [[Int32]]

  public init(texts: [[Int32]], images: [Int32], imageInputs: [Int32]? = nil, upperTokens: [[Int32]] = []) {
    self.texts = texts
    self.images = images
    self.imageInputs = imageInputs
    self.upperTokens = upperTokens
  }

  /// Replaces tokens by random ones. A model that cannot trust the tokens before has to listen to the caption (Bowman et al.
  /// 2016, section 3.1, "word dropout"; Xie et al. 2017, unigram noising).
  ///
  /// Of a place's codes, those after a wrong one refine something else and are random, too. That is how codes go wrong in
  /// drawing, the last ones nearly always, and what a model must not mind that knows its training pictures by heart.
  /// - Parameters:
  ///   - tokens: a picture's.
  ///   - probability: that the first code of a place is replaced.
  ///   - refinementProbability: that a further one is, where those before it are not.
  ///   - codes: K, the number of tokens that each of a place's may be.
  ///   - depth: D, the number of tokens a place.
  ///   - random: where the random numbers come from.
  public static func corrupted(
    _ tokens: [Int32], probability: Float, refinementProbability: Float = 0, codes: Int, depth: Int = 1,
    using random: inout Philox
  ) -> [Int32] {
    var isWrong = false
    return tokens.enumerated().map { position, token in
      let d = position % depth
      if d == 0 { isWrong = false }
      if !isWrong { isWrong = random.uniform() < (d == 0 ? probability : refinementProbability) }
      return isWrong ? Int32(d * codes + random.index(below: codes)) : token
    }
  }
}

/// The mean losses of a batch, in nats a token.
public struct PriorLosses {
  /// What is trained on, a scalar on the current tape.
  public let total: Tensor
  /// 0 for a prior that does not predict text.
  public let text: Float
  public let image: Float
}
