import Basics
import NN
import TensorCore

/// Stage 2: a model of the image tokens of a picture given its caption, one token after another, row by row.
///
/// The transformer and PixelCNN are two of them; training, drawing and everything around know this protocol only.
public protocol Prior: Module, Sendable {
  /// Text tokens that the model sees of a caption; 0 where it takes none.
  var textLength: Int { get }
  /// The number of different image tokens.
  var imageVocabulary: Int { get }
  /// Places a side of the image tokens' grid.
  var gridSide: Int { get }
  /// D, the number of image tokens at each place; each is of a range of its own, `imageVocabulary`/D tokens large.
  var codesPerPlace: Int { get }

  /// The loss of a batch, or of a part of one.
  /// - Parameters:
  ///   - batch: captions and the tokens of their pictures.
  ///   - share: the part of the whole batch's pictures that these are, where it is split over threads.
  ///   - textShare: the part of the whole batch's text targets that these have; `share` where nil.
  ///   - precision: the type of the operands of products.
  ///   - dropout: nil outside training.
  func loss(
    _ batch: PriorBatch, share: Float, textShare: Float?, precision: ElementType, dropout: DropoutStream?
  ) -> PriorLosses

  /// The number of text tokens of captions that the loss predicts.
  func textTargetCount(_ texts: [[Int32]]) -> Int

  /// The parameters that have a row for each text token, and then maybe some more.
  var textTokenParameters: [Parameter] { get }

  /// Ready to draw on the threads of a team.
  func makeDecoder(team: ThreadTeam) -> any ImageTokenDecoder
}

extension Prior {
  /// Image tokens a picture.
  public var imageLength: Int { gridSide * gridSide * codesPerPlace }
  public var codesPerPlace: Int { 1 }

  public func loss(_ batch: PriorBatch, precision: ElementType) -> PriorLosses {
    loss(batch, share: 1, textShare: nil, precision: precision, dropout: nil)
  }
}

/// Draws the image tokens of pictures, position by position. Picture i of a seed is the same in any company and with any
/// number of threads.
public protocol ImageTokenDecoder {
  /// - Parameters:
  ///   - requests: one for each picture.
  ///   - options: of sampling, the same for all.
  ///   - progress: told after each position how many are done.
  /// - Returns: the image tokens of each request.
  func draw(_ requests: [DrawingRequest], options: SamplingOptions, progress: (Int) -> Void) -> [[Int32]]
}

extension ImageTokenDecoder {
  /// Draws any number of pictures, a few at once: enough to read each weight rarely, few enough for the cache and for
  /// memory.
  /// - Parameters:
  ///   - requests: one for each picture.
  ///   - options: of sampling, the same for all.
  ///   - progress: told after each position which of the requests are being drawn, and how many positions of them
  ///   are done.
  /// - Returns: the image tokens of each request.
  public func drawInParts(
    _ requests: [DrawingRequest], options: SamplingOptions,
    progress: (_ part: Range<Int>, _ done: Int) -> Void = { _, _ in }
  ) -> [[Int32]] {
    let atOnce = 8
    return stride(from: 0, to: requests.count, by: atOnce).flatMap { start in
      let part = start..<min(start + atOnce, requests.count)
      return draw(Array(requests[part]), options: options) { progress(part, $0) }
    }
  }
}

/// A picture to draw.
public struct DrawingRequest: Sendable {
  /// The caption's tokens; those beyond the model's text length are cut.
  public var text: [Int32]
  /// The tokens of coarser grids that the picture is to agree with, for a prior that is conditioned on them.
  public var upperTokens: [[Int32]]
  /// The first image tokens of the picture, which are given and not drawn, each below the model's image vocabulary
  /// and, where a place has several, in the range of its own codebook; those beyond the image length are cut.
  public var prefix: [Int32]
  public var seed: UInt64
  /// The number of the picture among those of the seed.
  public var number: Int

  public init(text: [Int32], upperTokens: [[Int32]] = [], prefix: [Int32] = [], seed: UInt64, number: Int) {
    self.text = text
    self.upperTokens = upperTokens
    self.prefix = prefix
    self.seed = seed
    self.number = number
  }

  /// The given token at a position, of which memory is addressed.
  /// - Precondition: it is one of the codebook's whose turn it is.
  func given(_ position: Int, codes: Int, codesPerPlace: Int) -> Int32 {
    let token = prefix[position]
    let first = position % codesPerPlace * codes
    precondition((first..<first + codes).contains(Int(token)), "the token \(token) is of another codebook, or of none")
    return token
  }

  /// Whether guidance makes a difference: without a caption there is nothing to strengthen.
  func isGuided(by options: SamplingOptions) -> Bool { options.guidance != 1 && !text.isEmpty }

  /// The random number that the token at a position is drawn with. It does not depend on what is given before.
  func uniform(position: Int) -> Float {
    var random = Philox(seed: seed, stream: RandomStream.drawnTokens(UInt64(number)), counter: UInt64(position))
    return random.uniform()
  }
}

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
