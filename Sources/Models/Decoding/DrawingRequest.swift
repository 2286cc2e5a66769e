import Basics

/// A picture to draw.
public struct DrawingRequest: Sendable {
  /// The caption's tokens; those beyond the model's text length are cut.
  public var text: [Int32]
  /// The tokens of coarser grids that the picture is to agree with, for a prior that is conditioned on them.
  public var upperTokens: [[Int32]]
  /// The first image tokens of the picture, which are given and not drawn, each below the model's image vocabulary
  /// and, where a place has several, in the range of its own codebook; those beyond the image length are cut.
  public var prefix: [Int32]
  /// How tokens are drawn.
  public var sampling: SamplingOptions
  public var seed: UInt64
  /// The number of the picture among those of the seed.
  public var number: Int

  public init(
    text: [Int32], upperTokens: [[Int32]] = [], prefix: [Int32] = [], sampling: SamplingOptions = .init(), seed: UInt64,
    number: Int
  ) {
    self.text = text
    self.upperTokens = upperTokens
    self.prefix = prefix
    self.sampling = sampling
    self.seed = seed
    self.number = number
  }

  /// The given token at a position, of which memory is addressed.
  /// - Precondition: it is one of the codebook's whose turn it is.
  package func given(_ position: Int, codes: Int, codesPerPlace: Int) -> Int32 {
    let token = prefix[position]
    let first = position % codesPerPlace * codes
    precondition((first..<first + codes).contains(Int(token)), "the token \(token) is of another codebook, or of none")
    return token
  }

  /// Whether guidance makes a difference: without a caption there is nothing to strengthen.
  package var isGuided: Bool { sampling.guidance != 1 && !text.isEmpty }

  /// The random number that the token at a position is drawn with. It does not depend on what is given before.
  package func uniform(position: Int) -> Float {
    var random = Philox(seed: seed, stream: RandomStream.drawnTokens(UInt64(number)), counter: UInt64(position))
    return random.uniform()
  }

  /// The token at a position, among those of its codebook.
  /// - Parameters:
  ///   - conditional: the K logits given the caption.
  ///   - empty: as many without it; nil where the request is not guided.
  package func code(
    at position: Int, _ conditional: some RandomAccessCollection<Float>,
    without empty: (some RandomAccessCollection<Float>)?
  ) -> Int32 {
    let logits = empty.map { sampling.guided(conditional, without: $0) } ?? Array(conditional)
    return sampling.draw(logits, uniform: uniform(position: position))
  }
}
