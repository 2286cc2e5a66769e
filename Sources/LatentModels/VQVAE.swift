import NN
import TensorCore

/// The vector-quantised variational auto-encoder (van den Oord et al. 2017).
///
///     z_e = encoder(x)                  [B, side, side, E], rows of length one
///     k   = argmin ‖z_e - e_k‖          the tokens
///     x̂   = decoder(e_k)
///     L   = ‖x - x̂‖² + β·‖z_e - sg(e_k)‖²       (equation 3; the codebook's own term is a moving average)
///
/// The encoder and decoder are either of two networks; see ``Network``.
public struct VQVAE: ImageTokenizer {
  /// How pictures come down to the token grid and back.
  public enum Network: String, Sendable, Codable, CaseIterable {
    /// Blocks of pixels are moved into channels first, so that every convolution works at the token grid, with wide
    /// channels, where a CPU's matrix products are at their best.
    case patches
    /// Convolutions of stride 2, each halving the side, as in the paper's section 4.1.
    case strided
  }

  public struct Configuration: Sendable, Codable, Equatable {
    public var network = Network.patches
    /// Pixels a side.
    public var pictureSize = 64
    /// Pixels a side of the square that one token stands for; a power of two for the strided network.
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

    var trunk: PatchNetwork.Trunk { .init(channels: channels, blocks: blocks) }
    /// The strided network's halvings.
    var halvings: Int { patchSize.trailingZeroBitCount }
  }

  public let encoder: any PictureNetwork
  public let quantizer: VectorQuantizer
  public let decoder: any PictureNetwork
  public let configuration: Configuration

  public init(_ configuration: Configuration, seed: UInt64) {
    var initializer = Initializer(seed: seed)
    self.configuration = configuration
    switch configuration.network {
    case .patches:
      encoder = PatchNetwork(
        encoderTo: configuration.codeDimensions, patchSize: configuration.patchSize, trunk: configuration.trunk,
        &initializer)
    case .strided: encoder = StridedEncoder(configuration, &initializer)
    }
    quantizer = VectorQuantizer(
      codes: configuration.codes, dimensions: configuration.codeDimensions, &initializer)
    switch configuration.network {
    case .patches:
      decoder = PatchNetwork(
        decoderFrom: configuration.codeDimensions, patchSize: configuration.patchSize, trunk: configuration.trunk,
        &initializer)
    case .strided: decoder = StridedDecoder(configuration, &initializer)
    }
  }

  public var pictureSize: Int { configuration.pictureSize }
  public var gridSides: [Int] { [configuration.pictureSize / configuration.patchSize] }
  public var codeCount: Int { configuration.codes }

  public func encode(_ pictures: Tensor) -> [Int32] {
    quantizer.indices(codeVectors(pictures, precision: .float32))
  }

  /// z_e: the encoder's outputs, each brought to length one.
  private func codeVectors(_ pictures: Tensor, precision: ElementType) -> Tensor {
    l2Normalized(encoder(pictures, precision: precision))
  }

  public func decode(_ tokens: [Int32]) -> Tensor {
    let side = gridSides[0]
    return decoder(
      quantizer.vectors(tokens, shape: [tokens.count / tokenCount, side, side]), precision: .float32)
  }

  public func loss(_ pictures: Tensor, step: TokenizerStep) -> TokenizerLoss<VectorQuantizer.Statistics> {
    let z = codeVectors(pictures, precision: step.precision)
    let tokens = quantizer.indices(z)
    let codes = quantizer.vectors(tokens, shape: z.shape.dropLast())
    let reconstruction = decoder(codes.straightThrough(to: z), precision: step.precision)
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

/// One side of an auto-encoder of pictures. Pixels are in [0, 1], code vectors of any length.
public protocol PictureNetwork: Module, Sendable {
  /// - Parameter precision: the type of the operands of products; what comes in and goes out is float32.
  func callAsFunction(_ x: Tensor, precision: ElementType) -> Tensor
}
