import NN
import TensorCore

/// The vector-quantised variational auto-encoder (van den Oord et al. 2017).
///
///     z_e = encoder(x)                  [B, side, side, E], rows of length one
///     k   = argmin ‖z_e - e_k‖          the tokens
///     x̂   = decoder(e_k)
///     L   = ‖x - x̂‖² + β·‖z_e - sg(e_k)‖²       (equation 3; the codebook's own term is a moving average)
///
/// Built for a CPU's economy: blocks of pixels are moved into channels first, so that every convolution works at the
/// token grid, with wide channels, where matrix products are at their best.
public struct VQVAE: ImageTokenizer {
  public struct Configuration: Sendable, Codable, Equatable {
    /// Pixels a side.
    public var pictureSize = 64
    /// Pixels a side of the square that one token stands for.
    public var patchSize = 8
    /// The width of the convolutions.
    public var channels = 256
    /// Residual blocks on each side.
    public var blocks = 3
    /// K, the number of codes.
    public var codes = 1024
    /// E, the dimensions of a code.
    public var codeDimensions = 32
    /// β
    public var commitment: Float = 0.25

    public init() {}

    var groups: Int { channels % 32 == 0 ? channels / 16 : 1 }
  }

  public let encoder: VQEncoder
  public let quantizer: VectorQuantizer
  public let decoder: VQDecoder
  public let configuration: Configuration

  public init(_ configuration: Configuration, seed: UInt64) {
    var initializer = Initializer(seed: seed)
    self.configuration = configuration
    encoder = VQEncoder(configuration, &initializer)
    quantizer = VectorQuantizer(
      codes: configuration.codes, dimensions: configuration.codeDimensions, &initializer)
    decoder = VQDecoder(configuration, &initializer)
  }

  public var pictureSize: Int { configuration.pictureSize }
  public var gridSide: Int { configuration.pictureSize / configuration.patchSize }
  public var codeCount: Int { configuration.codes }

  public func encode(_ pictures: Tensor) -> [Int32] {
    quantizer.indices(encoder(pictures, precision: .float32))
  }

  public func decode(_ tokens: [Int32]) -> Tensor {
    let pictures = tokens.count / (gridSide * gridSide)
    return decoder(quantizer.vectors(tokens, shape: [pictures, gridSide, gridSide]), precision: .float32)
  }

  public func loss(_ pictures: Tensor, precision: ElementType) -> TokenizerLoss<VectorQuantizer.Statistics> {
    let z = encoder(pictures, precision: precision)
    let tokens = quantizer.indices(z)
    let codes = quantizer.vectors(tokens, shape: z.shape.dropLast())
    let reconstruction = decoder(codes.straightThrough(to: z), precision: precision)
    let error = meanSquaredError(reconstruction, pictures)
    // The mean over elements times E is the mean squared distance of a vector from its code.
    let commitment = meanSquaredError(z, codes) * Float(configuration.codeDimensions)
    return TokenizerLoss(
      // Pixels in [-1, 1] would have four times the error that pixels in [0, 1] have; β is meant for those.
      total: error * 4 + commitment * (configuration.commitment / 4), meanSquaredError: error.item,
      tokens: tokens, statistics: quantizer.statistics(z, indices: tokens))
  }

  public func finishStep(_ statistics: [VectorQuantizer.Statistics], step: Int, seed: UInt64) {
    quantizer.update(statistics, step: step, seed: seed)
  }
}

/// Pixels → [B, side, side, E], rows of length one.
public struct VQEncoder: Module, Sendable {
  let stem: Conv2d
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Conv2d
  private let patchSize: Int

  init(_ c: VQVAE.Configuration, _ initializer: inout Initializer) {
    patchSize = c.patchSize
    stem = Conv2d(3 * c.patchSize * c.patchSize, c.channels, kernel: 3, padding: 1, &initializer)
    blocks = (0..<c.blocks).map { _ in ResidualBlock(c.channels, groups: c.groups, &initializer) }
    norm = GroupNorm(c.channels, groups: c.groups, silu: true)
    output = Conv2d(c.channels, c.codeDimensions, kernel: 1, &initializer)
  }

  /// - Parameter pictures: [B, S, S, 3] in [0, 1].
  func callAsFunction(_ pictures: Tensor, precision: ElementType) -> Tensor {
    let centred = pictures * 2 - Tensor(repeating: 1, shape: pictures.shape)
    var x = stem(centred.spaceToDepth(patchSize).cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    return l2Normalized(output(norm(x, as: precision), as: .float32))
  }
}

/// [B, side, side, E] → pixels in [0, 1].
public struct VQDecoder: Module, Sendable {
  let stem: Conv2d
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Conv2d
  private let patchSize: Int

  init(_ c: VQVAE.Configuration, _ initializer: inout Initializer) {
    patchSize = c.patchSize
    // A code's elements have variance 1/E; the gain brings the stream to variance one.
    stem = Conv2d(
      c.codeDimensions, c.channels, kernel: 3, padding: 1, gain: Float(c.codeDimensions).squareRoot(), &initializer)
    blocks = (0..<c.blocks).map { _ in ResidualBlock(c.channels, groups: c.groups, &initializer) }
    norm = GroupNorm(c.channels, groups: c.groups, silu: true)
    output = Conv2d(c.channels, 3 * c.patchSize * c.patchSize, kernel: 3, padding: 1, gain: 0.3, &initializer)
  }

  func callAsFunction(_ codes: Tensor, precision: ElementType) -> Tensor {
    var x = stem(codes.cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    let centred = output(norm(x, as: precision), as: .float32).depthToSpace(patchSize)
    return centred * 0.5 + Tensor(repeating: 0.5, shape: centred.shape)
  }
}
