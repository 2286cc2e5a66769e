/// The tokens that an image tokenizer makes of a picture: what is known of them without the model, and all that a prior must
/// know.
///
/// A picture's tokens are those of its grids one after the other, the coarsest first, each row-major, and at each place its
/// codes in their order. Several grids have ranges of tokens of their own, and so have the several codes of a place.
public struct TokenLayout: Sendable, Equatable {
  /// S, pixels a side.
  public var pictureSize: Int
  /// Tokens a side of each grid, the coarsest first.
  public var gridSides: [Int]
  /// D, the number of tokens at each place of a grid.
  public var codesPerPlace: Int
  /// The number of different tokens, over all grids and codes of a place.
  public var codeCount: Int

  public init(pictureSize: Int, gridSides: [Int], codesPerPlace: Int = 1, codeCount: Int) {
    (self.pictureSize, self.gridSides) = (pictureSize, gridSides)
    (self.codesPerPlace, self.codeCount) = (codesPerPlace, codeCount)
  }

  /// Tokens a picture, over all grids.
  public var tokenCount: Int { codesPerPlace * gridSides.reduce(0) { $0 + $1 * $1 } }

  /// The number of different tokens of one grid.
  public var codesOfGrid: Int { codeCount / gridSides.count }

  /// In words: "64×64 pixels in 8×8 places with 4 residual tokens of 1024 codes".
  public var summary: String {
    let grids = gridSides.map { "\($0)×\($0)" }.joined(separator: " and ")
    let places = codesPerPlace > 1 ? " places with \(codesPerPlace) residual" : ""
    let codes = codesOfGrid / codesPerPlace
    return "\(pictureSize)×\(pictureSize) pixels in \(grids)\(places) tokens of \(codes) codes"
  }
}
