import Basics
import NN
import TensorCore

/// The vector-quantised variational auto-encoder (van den Oord et al. 2017).
///
///     z_e = encoder(x)                  [B, side, side, E], rows of length one
///     k   = argmin ‖z_e - e_k‖          the tokens
///     x̂   = decoder(e_k)
///     L   = 4·(x - x̂)² + β/4·‖z_e - sg(e_k)‖²   (equation 3; the codebook's own term is a moving average)
///
/// The squared error is the mean over the numbers of a picture in [0, 1], which is a quarter of that of one in [-1, 1]; the
/// distance is the mean over places.
///
/// With D > 1 codes a place, each further one quantises what the ones before leave (residual quantisation; Lee et al. 2022,
/// section 3.1), and their sum takes the place of e_k:
///
///     r_0 = z_e;  k_d = argmin ‖r_(d-1) - e_(d,k)‖;  r_d = r_(d-1) - e_(d,k_d)        for d = 1 ... D
///     x̂   = decoder(Σ_d e_(d,k_d))
///
/// The encoder and decoder are either of two networks; see ``Network``.
public struct VQVAE: VectorQuantizedTokenizer {
  /// How pictures come down to the token grid and back.
  public enum Network: String, Sendable, Codable, CaseIterable {
    /// Blocks of pixels are moved into channels first, so that every convolution works at one coarse grid, with wide
    /// channels, where a CPU's matrix products are at their best.
    case patches
    /// Convolutions of stride 2, each halving the side, as in the paper's section 4.1.
    case strided
  }

  public struct Configuration: TrainableImageTokenizerConfiguration {
    public typealias Model = VQVAE

    public var network = Network.patches
    /// Pixels a side.
    public var pictureSize = 64
    /// Pixels a side of the square that a place of the token grid stands for.
    public var patchSize = 8
    /// Pixels a side of the square that a place of the convolutions' grid stands for, where that grid is finer than the
    /// tokens'; a divisor of `patchSize`, and that where nil. A power of two for the strided network.
    public var convolutionPatchSize: Int?
    /// The width of the convolutions.
    public var channels = 256
    /// Residual blocks on each side.
    public var blocks = 3
    /// K, the number of codes of each codebook.
    public var codes = 1024
    /// D, the number of codes a place, each from a codebook of its own; 1 where nil.
    public var depth: Int?
    /// E, the dimensions of a code; a multiple of the number of the convolutions' places in one of the token grid's.
    public var codeDimensions = 32
    /// β
    public var commitment: Float = 0.25

    public init() {}

    /// D
    public var codesPerPlace: Int { depth ?? 1 }
    /// Pixels a side of the square that a place of the convolutions' grid stands for.
    public var networkPatchSize: Int { convolutionPatchSize ?? patchSize }
    var trunk: PatchNetwork.Trunk { .init(channels: channels, blocks: blocks) }
    /// The strided network's halvings.
    var halvings: Int { networkPatchSize.trailingZeroBitCount }
    /// r, the convolutions' places a side in one of the token grid's.
    public var placeSide: Int { patchSize / networkPatchSize }
    /// E/r², the channels of a place of the convolutions' grid.
    public var networkDimensions: Int { codeDimensions / (placeSide * placeSide) }
  }

  public let encoder: any PictureNetwork
  /// The first codes, of unit vectors.
  public let quantizer: VectorQuantizer
  public let decoder: any PictureNetwork
  /// The D - 1 further ones.
  public let refinements: [VectorQuantizer]
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    let c = configuration
    self.configuration = c
    switch c.network {
    case .patches:
      encoder = PatchNetwork(
        encoderTo: c.networkDimensions, patchSize: c.networkPatchSize, trunk: c.trunk, &initializer)
    case .strided: encoder = StridedEncoder(c, &initializer)
    }
    quantizer = VectorQuantizer(codes: c.codes, dimensions: c.codeDimensions, &initializer)
    switch c.network {
    case .patches:
      decoder = PatchNetwork(
        decoderFrom: c.networkDimensions, patchSize: c.networkPatchSize, trunk: c.trunk, &initializer)
    case .strided: decoder = StridedDecoder(c, &initializer)
    }
    refinements = (1..<c.codesPerPlace).map { _ in
      VectorQuantizer(codes: c.codes, dimensions: c.codeDimensions, of: .any, &initializer)
    }
  }

  /// The tokens of codebook d are d·K ..< (d + 1)·K.
  public var layout: TokenLayout { configuration.layout }

  public func encode(_ pictures: Tensor) -> [Int32] {
    tokens(quantized(codeVectors(pictures, precision: .float32)).map(\.indices))
  }

  /// z_e: the encoder's outputs, those of a place side by side and brought to length one.
  private func codeVectors(_ pictures: Tensor, precision: ElementType) -> Tensor {
    let r = configuration.placeSide
    let outputs = encoder(pictures, precision: precision)
    return l2Normalized(r > 1 ? outputs.spaceToDepth(r) : outputs)
  }

  /// What the decoder's last layer makes x̂ of.
  private func features(_ codes: Tensor, precision: ElementType) -> Tensor {
    let r = configuration.placeSide
    // Parts of unit vectors, which the decoder expects to have length one.
    return decoder.features(r > 1 ? codes.depthToSpace(r) * Float(r) : codes, precision: precision)
  }

  private var quantizers: [VectorQuantizer] { [quantizer] + refinements }

  /// What one codebook makes of what those before have left.
  private struct Level {
    /// r_(d-1), [B, side, side, E]
    var residual: Tensor
    /// k_d, below K.
    var indices: [Int32]
    /// e_(d,k_d), [B, side, side, E]
    var codes: Tensor
  }

  private func quantized(_ z: Tensor) -> [Level] {
    var residual = z.detached()
    return quantizers.map { quantizer in
      let indices = quantizer.indices(residual)
      let codes = quantizer.vectors(indices, shape: z.shape.dropLast())
      defer { residual = residual - codes }
      return Level(residual: residual, indices: indices, codes: codes)
    }
  }

  /// The codes of each codebook as tokens, place after place.
  private func tokens(_ indices: [[Int32]]) -> [Int32] {
    if indices.count == 1 { return indices[0] }
    return indices[0].indices.flatMap { place in
      indices.enumerated().map { d, level in Int32(d * configuration.codes) + level[place] }
    }
  }

  public func decode(_ tokens: [Int32]) -> Tensor {
    let (side, D) = (gridSides[0], configuration.codesPerPlace)
    let shape = [tokens.count / tokenCount, side, side]
    let codes = quantizers.enumerated().map { d, quantizer in
      let level = stride(from: d, to: tokens.count, by: D).map { tokens[$0] - Int32(d * configuration.codes) }
      return quantizer.vectors(level, shape: shape)
    }
    return decoder.result(of: features(codes.dropFirst().reduce(codes[0], +), precision: .float32))
  }

  public func forward(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerForward {
    let z = codeVectors(pictures, precision: step.precision)
    let levels = quantized(z)
    let codes = levels.dropFirst().reduce(levels[0].codes) { $0 + $1.codes }
    let features = features(codes.straightThrough(to: z), precision: step.precision)
    return ImageTokenizerForward(
      features: features, regularization: squaredDistance(z, codes) * (commitment / 4),
      tokens: tokens(levels.map(\.indices)),
      statistics: quantizers.statistics(levels.map { ($0.residual, $0.indices) }))
  }

  /// The mean over elements times E is the mean squared distance of a vector from its code.
  private func squaredDistance(_ z: Tensor, _ codes: Tensor) -> Tensor {
    meanSquaredError(z, codes) * Float(configuration.codeDimensions)
  }

  public func squaredCodeDistance(_ pictures: Tensor) -> Float {
    let z = codeVectors(pictures, precision: .float32)
    let levels = quantized(z)
    return squaredDistance(z, levels.dropFirst().reduce(levels[0].codes) { $0 + $1.codes }).item
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

/// One side of an auto-encoder of pictures. Pixels are in [0, 1], code vectors of any length.
public protocol PictureNetwork: Module, Sendable {
  /// What goes into the last layer.
  /// - Parameters:
  ///   - x: [B, H, W, C], float32: pictures or code vectors.
  ///   - precision: the type of the operands of products, and of what is returned.
  func features(_ x: Tensor, precision: ElementType) -> Tensor
  /// What the last layer makes of it, float32.
  func result(of features: Tensor) -> Tensor
  /// The last layer's weight and bias.
  var lastLayer: [Parameter] { get }
}

extension PictureNetwork {
  /// - Parameters:
  ///   - x: [B, H, W, C]: pictures or code vectors.
  ///   - precision: the type of the operands of products; what comes in and goes out is float32.
  public func callAsFunction(_ x: Tensor, precision: ElementType) -> Tensor {
    result(of: features(x, precision: precision))
  }
}

extension VQVAE.Configuration {
  public static let kind = "vqvae"
  public static let title = "VQ-VAE"

  public static func preset(_ preset: Preset, pictureSize: Int) -> Self {
    var c = Self()
    (c.pictureSize, c.patchSize) = (pictureSize, pictureSize / places(pictureSize: pictureSize))
    switch preset {
    case .tiny: (c.channels, c.blocks, c.codes) = (128, 2, 512)
    case .small: (c.channels, c.blocks) = (256, 2)
    // 8×8 places of four residual codes reconstruct 64×64 pixels as well as 16×16 tokens and leave the prior a sequence of 64.
    // Convolutions at the grid of 16×16, where they reconstruct best in a fixed time.
    case .base where pictureSize <= 64:
      (c.convolutionPatchSize, c.channels, c.blocks, c.depth) = (c.patchSize / 2, 128, 2, 4)
    // Of four times the pixels each place has twice as much to say, and convolutions pay at the grid of 32×32.
    case .base:
      (c.convolutionPatchSize, c.channels, c.blocks) = (pictureSize / 32, 96, 2)
      (c.depth, c.codeDimensions) = pictureSize <= 128 ? (8, 64) : (4, 32)
    }
    return c
  }

  public static func small(pictureSize: Int) -> Self? {
    guard let patchSize = smallPatchSize(pictureSize: pictureSize) else { return nil }
    var c = Self()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes) = (pictureSize, patchSize, 128, 2, 512)
    return c
  }

  public var layout: TokenLayout {
    TokenLayout(
      pictureSize: pictureSize, gridSides: [pictureSize / patchSize], codesPerPlace: codesPerPlace,
      codeCount: codesPerPlace * codes)
  }

  public var summary: String { "\(layout.summary); \(channels) channels, \(blocks) residual blocks a side" }

  public func validate() throws(PipelineError) {
    try checkShape(
      pictureSize: pictureSize, patchSize: patchSize, channels: channels, blocks: blocks, codes: codes,
      codeDimensions: codeDimensions)
    try check(commitment.isFinite, "commitment must be a number, not \(commitment)")
    try check("depth", codesPerPlace, in: 1...64)
    try check("convolution_patch_size", networkPatchSize, divides: "patch_size", patchSize)
    try check(
      codeDimensions % (placeSide * placeSide) == 0,
      "code_dimensions \(codeDimensions) cannot be shared out over \(placeSide)×\(placeSide) places of the convolutions"
    )
    try check(
      network == .patches || networkPatchSize.nonzeroBitCount == 1,
      "a strided network needs a patch size that is a power of two, not \(networkPatchSize)")
  }

  public var leastParameterCount: Int {
    // The 3×3 kernels, two in each block, and the codebooks with the sums whose quotients they are. With patches also the
    // stems and the end; with strides one kernel in each block and one in the encoder's middle.
    2 * codesPerPlace * codes * codeDimensions + 9 * channels
      * (network == .patches
        ? 4 * blocks * channels + 6 * networkPatchSize * networkPatchSize + networkDimensions
        : (2 * blocks + 1) * channels)
  }
}
