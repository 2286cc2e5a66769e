import Basics
import NN
import TensorCore

/// The VQGAN (Esser et al. 2021, "Taming Transformers", section 3.1 and table 7), as LlamaGen trains it, with codes of length
/// one (Sun et al. 2024, section 2.1), and as Janus draws with it.
///
///     ẑ = q(E(2x - 1))                     [B, side, side, d], E the encoder, q a 1×1 convolution
///     k = argmin ‖ẑ/‖ẑ‖ - e_k/‖e_k‖‖       the tokens
///     x̂ = (G(p(e_k/‖e_k‖)) + 1)/2          G the decoder, p a 1×1 convolution
///
/// This one draws only. Where the engine multiplies bfloat16 faster, weights are kept and multiplied in it, and what the blocks
/// add up is float32. Its pictures are large: each is worth all threads, which share out its rows.
///
/// Properties are named as in the checkpoints of the transformers library; see ``name(published:)``.
public struct VQGAN: ImageTokenizer, Module {
  public struct Configuration: ImageTokenizerConfiguration {
    /// Pixels a side.
    public var pictureSize = 384
    /// The width of the convolutions is a multiple of this, of which group normalisation makes 32 groups.
    public var baseChannels = 128
    /// What multiple, for each level, the finest first; the side halves from one to the next.
    public var channelMultipliers = [1, 1, 2, 2, 4]
    /// Residual blocks a level of the encoder; the decoder has one more.
    public var blocks = 2
    /// Channels between the encoder, the codes and the decoder.
    public var latentChannels = 256
    /// The number of codes.
    public var codes = 16384
    /// d, the dimensions of a code.
    public var codeDimensions = 8

    public init() {}

    var widths: [Int] { channelMultipliers.map { $0 * baseChannels } }
    var gridSide: Int { pictureSize >> (channelMultipliers.count - 1) }
  }

  let encoder: Encoder
  private(set) var decoder: Decoder
  let quantize: Codebook
  let quantConv: Convolution
  let postQuantConv: Convolution
  public let configuration: Configuration

  struct Codebook: Module {
    /// e, [codes, d], of any length.
    let embedding: Embedding
  }

  /// - Parameters:
  ///   - configuration: a shape that is valid.
  ///   - initializer: of the weights.
  ///   - precision: of the operands of convolutions, and of their weights.
  public init(
    _ configuration: Configuration, _ initializer: Initializer, precision: ElementType = Engine.preferredPrecision
  ) {
    self.configuration = configuration
    let c = configuration
    var make = Maker(initializer: initializer, precision: precision)
    encoder = Encoder(c, &make)
    quantConv = make.convolution(c.latentChannels, c.codeDimensions, kernel: 1)
    quantize = Codebook(embedding: Embedding(c.codes, c.codeDimensions, deviation: 1, &make.initializer))
    postQuantConv = make.convolution(c.codeDimensions, c.latentChannels, kernel: 1)
    decoder = Decoder(c, &make)
    decoder.prepare()
  }

  /// With trained weights.
  /// - Throws: `PipelineError` of kind `.badData` where they are not those of such a model.
  public init(
    _ configuration: Configuration, reading weights: some WeightSource,
    precision: ElementType = Engine.preferredPrecision
  ) throws(PipelineError) {
    self.init(configuration, .unread, precision: precision)
    try weights.read(into: self)
    decoder.prepare()
  }

  public var layout: TokenLayout { configuration.layout }
  public var parameterCount: Int { namedTensors().reduce(0) { $0 + $1.tensor.count } }
  public var sharesOutPictures: Bool { true }

  public func encode(_ pictures: Tensor) -> [Int32] { encode(pictures, on: nil) }
  public func decode(_ tokens: [Int32]) -> Tensor { decode(tokens, on: nil) }

  public func encode(_ pictures: Tensor, on team: ThreadTeam?) -> [Int32] {
    let z = quantConv(encoder(pictures.centred(), on: team), as: .float32, on: team)
    return nearestCodes(l2Normalized(z), codebook: l2Normalized(quantize.embedding.weight()))
  }

  public func decode(_ tokens: [Int32], on team: ThreadTeam?) -> Tensor {
    let side = configuration.gridSide
    let codes = embedding(quantize.embedding.weight(), tokens: tokens, shape: [tokens.count / tokenCount, side, side])
    return decoder(postQuantConv(l2Normalized(codes), on: team), on: team).uncentred()
  }

  // MARK: - E

  /// Pixels in [-1, 1], [B, S, S, 3] → [B, side, side, latent channels].
  struct Encoder: Module {
    let convIn: Convolution
    let down: [Level]
    let mid: Middle
    let normOut: Normalization
    let convOut: Convolution

    /// Residual blocks, at the coarsest level each with attention behind it; then half the side, but at the coarsest.
    struct Level: Module {
      let block: [ResidualBlock]
      let attn: [AttentionBlock]
      let downsample: Downsampling?
    }

    init(_ c: Configuration, _ make: inout Maker) {
      convIn = make.convolution(3, c.baseChannels)
      var width = c.baseChannels
      var levels: [Level] = []
      for (l, next) in c.widths.enumerated() {
        let isCoarsest = l == c.widths.count - 1
        var blocks: [ResidualBlock] = []
        for _ in 0..<c.blocks {
          blocks.append(ResidualBlock(width, next, &make))
          width = next
        }
        levels.append(
          Level(
            block: blocks, attn: isCoarsest ? (0..<c.blocks).map { _ in AttentionBlock(width, &make) } : [],
            downsample: isCoarsest ? nil : Downsampling(width, &make)))
      }
      down = levels
      mid = Middle(width, &make)
      normOut = Normalization(width, silu: true)
      convOut = make.convolution(width, c.latentChannels)
    }

    func callAsFunction(_ pictures: Tensor, on team: ThreadTeam?) -> Tensor {
      var x = convIn(pictures, as: .float32, on: team)
      for level in down {
        for (i, block) in level.block.enumerated() {
          block.add(to: &x, on: team)
          if !level.attn.isEmpty { level.attn[i].add(to: &x, on: team) }
        }
        if let downsample = level.downsample { x = downsample(x, on: team) }
      }
      mid.add(to: &x, on: team)
      return convOut(normOut(x, as: convOut.type, on: team), on: team)
    }
  }

  // MARK: - G

  /// [B, side, side, latent channels] → pixels in about [-1, 1], [B, S, S, 3].
  struct Decoder: Module {
    let convIn: Convolution
    let mid: Middle
    /// The coarsest first.
    private(set) var up: [Level]
    let normOut: Normalization
    let convOut: Convolution

    /// Residual blocks, at the coarsest level each with attention behind it; then twice the side, but at the finest.
    struct Level: Module {
      let block: [ResidualBlock]
      let attn: [AttentionBlock]
      var upsample: Upsampling?
    }

    init(_ c: Configuration, _ make: inout Maker) {
      let widths = Array(c.widths.reversed())
      var width = widths[0]
      convIn = make.convolution(c.latentChannels, width)
      mid = Middle(width, &make)
      up = []
      for (l, next) in widths.enumerated() {
        var blocks: [ResidualBlock] = []
        for _ in 0...c.blocks {
          blocks.append(ResidualBlock(width, next, &make))
          width = next
        }
        up.append(
          Level(
            block: blocks, attn: l == 0 ? (0...c.blocks).map { _ in AttentionBlock(width, &make) } : [],
            upsample: l == widths.count - 1 ? nil : Upsampling(width, &make)))
      }
      normOut = Normalization(width, silu: true)
      convOut = make.convolution(width, 3)
    }

    /// Makes of the weights what drawing needs besides; to be called when they have been read.
    mutating func prepare() { for l in up.indices { up[l].upsample?.prepare() } }

    func callAsFunction(_ z: Tensor, on team: ThreadTeam?) -> Tensor {
      var x = convIn(z, as: .float32, on: team)
      mid.add(to: &x, on: team)
      for level in up {
        for (i, block) in level.block.enumerated() {
          block.add(to: &x, on: team)
          if !level.attn.isEmpty { level.attn[i].add(to: &x, on: team) }
        }
        if let upsample = level.upsample { x = upsample(x, on: team) }
      }
      return convOut(normOut(x, as: convOut.type, on: team), as: .float32, on: team)
    }
  }
}

extension VQGAN {
  /// The name here of a tensor of a published checkpoint: the same path, in this language's spelling.
  ///
  /// A published weight of a convolution is [O, C, KH, KW] and becomes [O, KH, KW, C]; all others stay as they are.
  ///
  /// - Parameter published: as the transformers library names it below `model.vqmodel.`, such as
  ///   `decoder.up.0.block.1.conv1.weight` or `quantize.embedding.weight`.
  /// - Returns: nil for one that is not needed.
  public static func name(published: String) -> String? {
    let needed = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "quantize.embedding."]
    guard needed.contains(where: published.hasPrefix) else { return nil }
    return published.split(separator: ".").map { component in
      let words = component.split(separator: "_")
      guard let first = words.first else { return String(component) }
      return words.dropFirst().reduce(String(first)) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
    }.joined(separator: ".")
  }
}

extension VQGAN.Configuration {
  public static let kind = "vqgan"
  public static let title = "VQGAN"

  public var layout: TokenLayout { TokenLayout(pictureSize: pictureSize, gridSides: [gridSide], codeCount: codes) }

  public var summary: String {
    let widths = widths.map(String.init).joined(separator: ", ")
    return "\(layout.summary); \(widths) channels, \(blocks) residual blocks a level"
  }

  public func validate() throws(PipelineError) {
    try check("picture_size", pictureSize, in: 1...4096)
    try check("base_channels", baseChannels, in: 32...1024)
    try check(baseChannels % 32 == 0, "base_channels \(baseChannels) is not a multiple of 32")
    try check(
      (1...8).contains(channelMultipliers.count),
      "channel_multipliers must be those of 1 to 8 levels, not \(channelMultipliers.count)")
    for multiplier in channelMultipliers { try check("channel_multipliers", multiplier, in: 1...16) }
    try check(
      pictureSize % (1 << (channelMultipliers.count - 1)) == 0,
      "picture_size \(pictureSize) cannot be halved for the \(channelMultipliers.count) levels of channel_multipliers")
    try check(gridSide <= 256, "picture_size \(pictureSize) has more than 256 places a side")
    try check("blocks", blocks, in: 1...16)
    try check("latent_channels", latentChannels, in: 1...4096)
    try check("codes", codes, in: 2...1 << 20)
    try check("code_dimensions", codeDimensions, in: 1...4096)
  }

  public var leastParameterCount: Int {
    let (finest, coarsest) = (widths[0], widths[widths.count - 1])
    // The 3×3 kernels: two a block on both sides, of which the first of a level's comes from the next level; those between
    // levels; those of the middles and at the ends.
    let blockKernels =
      widths.reduce(0) { $0 + 4 * blocks * $1 * $1 }
      + zip(widths, widths.dropFirst()).reduce(0) { $0 + 2 * $1.0 * $1.1 }
      + coarsest * coarsest + baseChannels * finest
    let betweenLevels = widths.dropLast().reduce(0) { $0 + $1 * $1 } + widths.dropFirst().reduce(0) { $0 + $1 * $1 }
    let rest = (8 * coarsest + 2 * latentChannels) * coarsest
    // Four products an attention block, and the codes.
    return 9 * (blockKernels + betweenLevels + rest) + 4 * (2 * blocks + 3) * coarsest * coarsest
      + codes * codeDimensions
  }

  public func resized(to pictureSize: Int) -> Self? {
    var resized = self
    resized.pictureSize = pictureSize
    return (try? resized.validate()) == nil ? nil : resized
  }

  public func makeModel(reading weights: some WeightSource) throws(PipelineError) -> any ImageTokenizer {
    // Whoever has kept the weights as float32 wants them multiplied so.
    let isExact = weights.elementTypeName(of: "decoder.convIn.weight") == "F32"
    return try VQGAN(self, reading: weights, precision: isExact ? .float32 : Engine.preferredPrecision)
  }
}
