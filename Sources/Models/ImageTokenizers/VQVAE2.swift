import Basics
import NN
import TensorCore

/// The hierarchical VQ-VAE (Razavi et al. 2019) with two or three grids of codes, each half as fine as the one below.
///
/// From the top, l = 0, down (algorithm 1 of the paper for L levels):
///
///     f_l = encoder_l(f_{l+1})                 features of the picture at grid l; f_{L-1} = encoder_{L-1}(x)
///     z_l = A_l·f_l + B_l·c_{l-1}              rows brought to length one: the top conditions what the bottom encodes
///     e_l = nearest code of codebook l to z_l
///     d_l = C_l·e_l + c_{l-1},  c_l = down_l(d_l)    what is known of the picture from the levels down to l
///     x̂   = decoder(d_{L-1})
///     L   = 4·(x - x̂)² + β/4·Σ_l ‖z_l - sg(e_l)‖²      in the units of ``VQVAE``
///
/// The paper's concatenation followed by a convolution is written as the sum of two convolutions here.
///
/// **Levels alone.** A level is left out by putting the mean of its codes, weighted by their use, in their place, which
/// says nothing of the picture. So that the decoder has met that, a share of the pictures is decoded in training with
/// levels missing: from the levels down to one above the bottom, or from one level alone.
public struct VQVAE2: VectorQuantizedTokenizer {
  public struct Configuration: TrainableImageTokenizerConfiguration {
    public typealias Model = VQVAE2

    /// Pixels a side.
    public var pictureSize = 64
    /// L, 2 or 3.
    public var levels = 2
    /// Pixels a side of the square that one token of the finest grid stands for.
    public var patchSize = 4
    /// The width of the convolutions.
    public var channels = 128
    /// Residual blocks of each network.
    public var blocks = 2
    /// K, the number of codes of each level.
    public var codes = 512
    /// E, the dimensions of a code.
    public var codeDimensions = 32
    /// β
    public var commitment: Float = 0.25
    /// The share of pictures that training decodes with levels missing.
    public var levelDropout: Float = 0.1

    public init() {}

    var trunk: PatchNetwork.Trunk { .init(channels: channels, blocks: blocks) }
    /// Tokens a side of each level's grid, the top's first.
    public var gridSides: [Int] { (0..<levels).map { (pictureSize / patchSize) >> (levels - 1 - $0) } }
  }

  /// encoder_l, the top's first.
  let encoders: [PatchNetwork]
  /// A_l
  public let featureProjections: [Conv2d]
  /// B_l for l = 1 … L - 1
  public let contextProjections: [Conv2d]
  public let quantizers: [VectorQuantizer]
  /// C_l
  public let codeStems: [Conv2d]
  /// down_l for l = 0 … L - 2
  let contexts: [PatchNetwork]
  let decoder: PatchNetwork
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    let c = configuration
    precondition(c.levels == 2 || c.levels == 3, "two or three levels, not \(c.levels)")
    var initializer = initializer
    self.configuration = c
    let (C, E, levels) = (c.channels, c.codeDimensions, c.levels)
    encoders = (0..<levels).map { l in
      l == levels - 1
        ? PatchNetwork(encoderTo: C, patchSize: c.patchSize, trunk: c.trunk, &initializer)
        : PatchNetwork(C, C, ends: .init(gathered: 2), trunk: c.trunk, &initializer)
    }
    featureProjections = (0..<levels).map { _ in Conv2d(C, E, kernel: 1, &initializer) }
    contextProjections = (1..<levels).map { _ in Conv2d(C, E, kernel: 1, &initializer) }
    quantizers = (0..<levels).map { _ in VectorQuantizer(codes: c.codes, dimensions: E, &initializer) }
    // A code's elements have variance 1/E; the gain brings the stream to variance one.
    codeStems = (0..<levels).map { _ in
      Conv2d(E, C, kernel: 3, padding: 1, gain: Float(E).squareRoot(), &initializer)
    }
    contexts = (0..<levels - 1).map { _ in
      PatchNetwork(C, C, ends: .init(scattered: 2), trunk: c.trunk, &initializer)
    }
    decoder = PatchNetwork(
      C, 3, ends: .init(scattered: c.patchSize, givesPixels: true), trunk: c.trunk, outputKernel: 3, outputGain: 0.3,
      &initializer)
  }

  /// Level l's tokens are l·K ..< (l + 1)·K.
  public var layout: TokenLayout { configuration.layout }

  // MARK: - The hierarchy

  /// What the encoder finds at one level.
  private struct Level {
    /// z_l, [B, side, side, E]
    var vectors: Tensor
    /// k_l, below K.
    var indices: [Int32]
    /// e_l, with z_l's gradient.
    var codes: Tensor
  }

  private func levels(of pictures: Tensor, precision: ElementType) -> [Level] {
    var features: [Tensor] = []
    for encoder in encoders.reversed() { features.append(encoder(features.last ?? pictures, precision: precision)) }
    features.reverse()
    var levels: [Level] = []
    var context: Tensor?
    for l in gridSides.indices {
      var z = featureProjections[l](features[l].cast(to: precision), as: .float32)
      if let context { z = z + contextProjections[l - 1](context.cast(to: precision), as: .float32) }
      z = l2Normalized(z)
      let indices = quantizers[l].indices(z)
      let codes = quantizers[l].vectors(indices, shape: z.shape.dropLast()).straightThrough(to: z)
      levels.append(Level(vectors: z, indices: indices, codes: codes))
      if l < gridSides.count - 1 {
        context = contexts[l](joined(codes, context, level: l, precision: precision), precision: precision)
      }
    }
    return levels
  }

  /// d_l
  private func joined(_ codes: Tensor, _ context: Tensor?, level l: Int, precision: ElementType) -> Tensor {
    let own = codeStems[l](codes.cast(to: precision), as: .float32)
    return context.map { own + $0 } ?? own
  }

  /// What the decoder's last layer makes x̂ of, from the codes of all levels.
  private func features(_ codes: [Tensor], precision: ElementType) -> Tensor {
    var context: Tensor?
    for l in codes.indices.dropLast() {
      context = contexts[l](joined(codes[l], context, level: l, precision: precision), precision: precision)
    }
    let last = codes.count - 1
    return decoder.features(joined(codes[last], context, level: last, precision: precision), precision: precision)
  }

  /// The mean of a level's codes, weighted by their use, [1, E].
  private func meanCode(level: Int) -> Tensor {
    let (codebook, counts) = (quantizers[level].codebook.value, quantizers[level].counts.value)
    let K = codebook.shape[0]
    // Before the first step counts are negative: all codes weigh the same.
    let used = counts.scalars.map { max($0, 0) }
    let total = used.reduce(0, +)
    let weights = total > 0 ? used.map { $0 / total } : [Float](repeating: 1 / Float(K), count: K)
    return matrixProduct(Tensor(weights, shape: [1, K]), codebook)
  }

  /// `codes` [B, side, side, E] of the pictures for which `isKept`, the mean code for the others.
  private func masked(_ codes: Tensor, level: Int, isKept: [Bool]) -> Tensor {
    if isKept.allSatisfy(\.self) { return codes }
    let perPicture = codes.count / isKept.count
    let keep = Tensor(
      isKept.flatMap { repeatElement(Float($0 ? 1 : 0), count: perPicture) }, shape: codes.shape)
    let rest = Tensor(repeating: 1, shape: codes.shape) - keep
    return codes * keep + Tensor.zeros(codes.shape).addingRows(meanCode(level: level)) * rest
  }

  // MARK: - Tokens

  public func encode(_ pictures: Tensor) -> [Int32] {
    let levels = levels(of: pictures, precision: .float32)
    return tokens(levels.map(\.indices), pictures: pictures.shape[0])
  }

  /// Codes of each level as tokens, picture after picture.
  private func tokens(_ indices: [[Int32]], pictures: Int) -> [Int32] {
    (0..<pictures).flatMap { b in
      zip(indices, gridSides).enumerated().flatMap { l, level in
        let count = level.1 * level.1
        return level.0[b * count..<(b + 1) * count].map { $0 + Int32(l * configuration.codes) }
      }
    }
  }

  /// The tokens of each level, each below K, of B pictures: the top's first, B·side² numbers each.
  public func split(_ tokens: [Int32]) -> [[Int32]] {
    var levels = gridSides.map { _ in [Int32]() }
    var next = tokens.startIndex
    while next < tokens.endIndex {
      for (l, side) in gridSides.enumerated() {
        levels[l] += tokens[next..<next + side * side].map { $0 - Int32(l * configuration.codes) }
        next += side * side
      }
    }
    return levels
  }

  /// The inverse of ``split(_:)``.
  public func joined(_ levels: [[Int32]]) -> [Int32] {
    tokens(levels, pictures: levels[0].count / (gridSides[0] * gridSides[0]))
  }

  public func decode(_ tokens: [Int32]) -> Tensor { decode(tokens, keeping: Set(gridSides.indices)) }

  /// Decodes some levels alone.
  /// - Parameters:
  ///   - tokens: of B pictures.
  ///   - kept: the levels whose codes are used, 0 being the top; the others' are replaced by their mean.
  /// - Returns: [B, S, S, 3], not clamped.
  public func decode(_ tokens: [Int32], keeping kept: Set<Int>) -> Tensor {
    let B = tokens.count / tokenCount
    let codes = split(tokens).enumerated().map { l, indices in
      let side = gridSides[l]
      return masked(
        quantizers[l].vectors(indices, shape: [B, side, side]), level: l,
        isKept: Array(repeating: kept.contains(l), count: B))
    }
    return decoder.result(of: features(codes, precision: .float32))
  }

  // MARK: - Training

  /// The sets of levels that are decoded without the others in training: from the top down to one above the bottom, and
  /// each level alone.
  var partialLevels: [Set<Int>] {
    let L = configuration.levels
    return (1..<L).map { Set(0..<$0) } + (1..<L).map { [$0] }
  }

  /// Which levels each picture is decoded from.
  func keptLevels(pictures: Int, noise: NoiseStream) -> [Set<Int>] {
    var random = Philox(seed: noise.seed, stream: noise.stream)
    return (0..<pictures).map { _ in
      let isWhole = random.uniform() >= configuration.levelDropout
      let choice = partialLevels[random.index(below: partialLevels.count)]
      return isWhole ? Set(gridSides.indices) : choice
    }
  }

  public func forward(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerForward {
    forward(
      pictures, kept: keptLevels(pictures: pictures.shape[0], noise: step.noise), precision: step.precision)
  }

  /// - Parameter kept: the levels that each picture is decoded from.
  func forward(_ pictures: Tensor, kept: [Set<Int>], precision: ElementType) -> ImageTokenizerForward {
    let levels = levels(of: pictures, precision: precision)
    let codes = levels.enumerated().map { l, level in
      masked(level.codes, level: l, isKept: kept.map { $0.contains(l) })
    }
    let features = features(codes, precision: precision)
    return ImageTokenizerForward(
      features: features, regularization: squaredDistance(levels) * (commitment / 4),
      tokens: tokens(levels.map(\.indices), pictures: pictures.shape[0]),
      statistics: quantizers.statistics(levels.map { ($0.vectors, $0.indices) }))
  }

  /// The mean over elements times E is the mean squared distance of a vector from its code; added up over the levels.
  private func squaredDistance(_ levels: [Level]) -> Tensor {
    let errors = levels.map { meanSquaredError($0.vectors, $0.codes.detached()) }
    return errors.dropFirst().reduce(errors[0], +) * Float(configuration.codeDimensions)
  }

  public func squaredCodeDistance(_ pictures: Tensor) -> Float {
    squaredDistance(levels(of: pictures, precision: .float32)).item
  }

  public var commitment: Float { configuration.commitment }

  public func reconstruction(
    of features: Tensor, in forward: ImageTokenizerForward, _ pictures: Tensor
  ) -> ImageTokenizerReconstruction {
    let reconstruction = decoder.result(of: features)
    let error = meanSquaredError(reconstruction, pictures)
    // What pixels in [-1, 1] would have.
    return ImageTokenizerReconstruction(loss: error * 4, pictures: reconstruction, meanSquaredError: error.item)
  }

  public var lastLayer: [Parameter] { decoder.lastLayer }

  public func finishStep(_ statistics: [[NamedTensor]], step: Int, seed: UInt64) {
    quantizers.update(statistics, step: step, seed: seed)
  }
}

extension VQVAE2.Configuration {
  public static let kind = "vqvae2"
  public static let title = "VQ-VAE-2"

  public static func preset(_ preset: Preset, pictureSize: Int) -> Self {
    // The finest grid has four times the places of the others: half the width does the same work.
    var c = Self()
    (c.pictureSize, c.patchSize) = (pictureSize, pictureSize / (2 * places(pictureSize: pictureSize)))
    switch preset {
    case .tiny: (c.channels, c.blocks, c.codes) = (64, 1, 256)
    case .small: (c.channels, c.blocks) = (128, 1)
    case .base: (c.channels, c.blocks) = (128, 2)
    }
    return c
  }

  public static func small(pictureSize: Int) -> Self? {
    guard let patchSize = smallPatchSize(pictureSize: pictureSize, isEven: true) else { return nil }
    var c = Self()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes) = (pictureSize, patchSize, 128, 1, 512)
    // Three levels where the coarsest grid is then 2×2 at least. A run of minutes leaves a grid of so few tokens unused that it
    // does not have to do with alone.
    if pictureSize / patchSize % 4 == 0 && pictureSize / patchSize >= 8 { (c.levels, c.levelDropout) = (3, 0.5) }
    return c
  }

  public var layout: TokenLayout {
    TokenLayout(pictureSize: pictureSize, gridSides: gridSides, codeCount: levels * codes)
  }

  public var summary: String { "\(layout.summary); \(channels) channels, \(blocks) residual blocks a network" }

  public func validate() throws(PipelineError) {
    try checkShape(
      pictureSize: pictureSize, patchSize: patchSize, channels: channels, blocks: blocks, codes: codes,
      codeDimensions: codeDimensions)
    try check("levels", levels, in: 2...3)
    try check(
      (pictureSize / patchSize) % (1 << (levels - 1)) == 0,
      "the finest grid, picture_size \(pictureSize) by patch_size \(patchSize), cannot be halved for \(levels) levels")
    try check(commitment.isFinite, "commitment must be a number, not \(commitment)")
    try check("level_dropout", levelDropout, in: 0...1)
  }

  public var leastParameterCount: Int {
    // Codebooks and their sums; the 3×3 kernels, two in each block, of L encoders, L - 1 networks between the levels and the
    // decoder; gathering and scattering two places a side has four times the channels, which the last one of a network has
    // with a 1×1 kernel.
    2 * levels * codes * codeDimensions + 9 * channels
      * (4 * levels * blocks * channels + 6 * patchSize * patchSize + levels * codeDimensions
        + (4 * (levels - 1) + levels) * channels)
      + channels * channels * (levels + 4 * (levels - 1))
  }
}
