import Basics
import NN
import TensorCore

/// Super-resolution: makes what an image tokenizer decodes a larger picture.
///
///     y = up(x̂) + network(x̂)       [B, F·S, F·S, 3] of x̂ [B, S, S, 3]
///
/// with up the bilinear interpolation, so that the network learns only what that leaves (residual learning; Kim et al. 2016,
/// "VDSR", section 3). All convolutions work at a grid that is coarser than the small picture, and pixels come from channels at
/// the very end (sub-pixel convolution; Shi et al. 2016, section 3). As in a cascade (Ramesh et al. 2022, section 2.1) tokens stay
/// what they are: a prior costs no more for larger pictures, and one that is trained already draws them.
public struct Upsampler: ConfiguredModule, Sendable {
  public struct Configuration: TrainableConfiguration {
    /// S, pixels a side of what comes in.
    public var inputSize = 64
    /// F·S, pixels a side of what goes out.
    public var pictureSize = 128
    /// Pixels a side of the incoming picture's square that a place of the convolutions' grid stands for.
    public var patchSize = 2
    /// The width of the convolutions.
    public var channels = 96
    /// Residual blocks.
    public var blocks = 3

    public init() {}

    /// F
    public var factor: Int { pictureSize / inputSize }
  }

  let network: PatchNetwork
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    var initializer = initializer
    let c = configuration
    self.configuration = c
    network = PatchNetwork(
      3, 3, ends: .init(gathered: c.patchSize, scattered: c.patchSize * c.factor, takesPixels: true),
      trunk: .init(channels: c.channels, blocks: c.blocks), outputKernel: 3, outputGain: 0.03, &initializer)
  }

  /// What goes into the network's last layer.
  /// - Parameters:
  ///   - decoded: x̂, [B, S, S, 3].
  ///   - precision: the type of the operands of products.
  func features(_ decoded: Tensor, precision: ElementType) -> Tensor { network.features(decoded, precision: precision) }

  /// - Parameter decoded: x̂, [B, S, S, 3].
  /// - Returns: y, [B, F·S, F·S, 3], values mostly within [0, 1], not clamped.
  public func callAsFunction(_ decoded: Tensor) -> Tensor {
    decoded.enlarged(configuration.factor) + network(decoded, precision: .float32)
  }
}

extension Upsampler.Configuration {
  /// For a tokenizer of 64 pixels; see ``preset(_:from:to:)``.
  public static func preset(_ preset: Preset) -> Self { self.preset(preset, from: 64, to: 128) }

  /// - Parameters:
  ///   - preset: how wide and deep.
  ///   - inputSize: pixels a side of the tokenizer's pictures.
  ///   - pictureSize: a multiple of that.
  public static func preset(_ preset: Preset, from inputSize: Int, to pictureSize: Int) -> Self {
    var c = Self()
    (c.inputSize, c.pictureSize) = (inputSize, pictureSize)
    // A grid of 32 places a side, or as near to that as divides the picture.
    c.patchSize = (1...max(1, inputSize / 32)).last { inputSize % $0 == 0 } ?? 1
    switch preset {
    case .tiny: (c.channels, c.blocks) = (32, 1)
    case .small: (c.channels, c.blocks) = (64, 2)
    case .base: break
    }
    return c
  }

  public var summary: String {
    "from \(inputSize)×\(inputSize) to \(pictureSize)×\(pictureSize) pixels; \(channels) channels, \(blocks) residual blocks"
  }

  public func validate() throws(PipelineError) {
    try check("input_size", inputSize, in: 1...1024)
    try check("picture_size", pictureSize, in: inputSize...2048)
    try check("input_size", inputSize, divides: "picture_size", pictureSize)
    try check("patch_size", patchSize, in: 1...inputSize)
    try check("patch_size", patchSize, divides: "input_size", inputSize)
    try check("channels", channels, in: 1...4096)
    try check("blocks", blocks, in: 0...64)
  }

  public var leastParameterCount: Int {
    // The 3×3 kernels: the stem, two in each block, and the last.
    27 * channels * patchSize * patchSize * (1 + factor * factor) + 18 * blocks * channels * channels
  }
}

/// An image tokenizer with an ``Upsampler`` behind its decoder: it speaks the same tokens, of larger pictures.
public struct UpsampledImageTokenizer: TrainableAutoencoder {
  public let base: any ImageTokenizer
  public let upsampler: Upsampler

  /// - Precondition: the upsampler is one for pictures of the tokenizer's size.
  public init(_ base: any ImageTokenizer, _ upsampler: Upsampler) {
    precondition(upsampler.configuration.inputSize == base.pictureSize, "an upsampler for pictures of another size")
    (self.base, self.upsampler) = (base, upsampler)
  }

  public var layout: TokenLayout {
    var layout = base.layout
    layout.pictureSize = upsampler.configuration.pictureSize
    return layout
  }

  public var parameterCount: Int { base.parameterCount + upsampler.parameterCount }

  public var sharesOutPictures: Bool { base.sharesOutPictures }

  public func encode(_ pictures: Tensor) -> [Int32] { encode(pictures, on: nil) }
  public func decode(_ tokens: [Int32]) -> Tensor { decode(tokens, on: nil) }

  public func encode(_ pictures: Tensor, on team: ThreadTeam?) -> [Int32] {
    base.encode(pictures.reduced(upsampler.configuration.factor), on: team)
  }

  public func decode(_ tokens: [Int32], on team: ThreadTeam?) -> Tensor { upsampler(base.decode(tokens, on: team)) }

  // MARK: Training

  /// The tokenizer is finished.
  public var learner: any Module { upsampler }

  public func forward(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerForward {
    let (tokens, decoded) = withoutRecording {
      let tokens = encode(pictures)
      return (tokens, base.decode(tokens))
    }
    return ImageTokenizerForward(
      features: upsampler.features(decoded, precision: step.precision), regularization: .zeros([]), tokens: tokens,
      statistics: [], foundation: decoded.enlarged(upsampler.configuration.factor))
  }

  public func reconstruction(
    of features: Tensor, in forward: ImageTokenizerForward, _ pictures: Tensor
  ) -> ImageTokenizerReconstruction {
    let rest = upsampler.network.result(of: features)
    let made = forward.foundation.map { $0 + rest } ?? rest
    let error = meanSquaredError(made, pictures)
    return ImageTokenizerReconstruction(loss: error * 4, pictures: made, meanSquaredError: error.item)
  }

  public var lastLayer: [Parameter] { upsampler.network.lastLayer }
}

extension Tensor {
  /// [B, H, W, C] → [B, F·H, F·W, C] by bilinear interpolation between the pixels' centres, the outermost going on beyond; a
  /// constant to the tape.
  func enlarged(_ factor: Int) -> Tensor {
    let (B, H, W, C) = (shape[0], shape[1], shape[2], shape[3])
    /// For each place along an axis the one before it, the one behind it, and the share of that.
    func taps(_ length: Int) -> [(before: Int, behind: Int, share: Float)] {
      (0..<length * factor).map { place in
        let position = (Float(place) + 0.5) / Float(factor) - 0.5
        let before = Int(position.rounded(.down))
        return (max(0, before), min(length - 1, before + 1), position - Float(before))
      }
    }
    let (rows, columns) = (taps(H), taps(W))
    let source = scalars
    let scalars = [Float](unsafeUninitializedCapacity: count * factor * factor) { result, initialized in
      var next = 0
      for b in 0..<B {
        for row in rows {
          let (above, below) = ((b * H + row.before) * W * C, (b * H + row.behind) * W * C)
          for column in columns {
            let (left, right) = (column.before * C, column.behind * C)
            for c in 0..<C {
              let upper = source[above + left + c] * (1 - column.share) + source[above + right + c] * column.share
              let lower = source[below + left + c] * (1 - column.share) + source[below + right + c] * column.share
              result[next] = upper * (1 - row.share) + lower * row.share
              next += 1
            }
          }
        }
      }
      initialized = next
    }
    return Tensor(scalars, shape: [B, H * factor, W * factor, C])
  }

  /// [B, F·H, F·W, C] → [B, H, W, C], each pixel the mean of a square; a constant to the tape.
  package func reduced(_ factor: Int) -> Tensor {
    if factor == 1 { return self }
    let (B, H, W, C) = (shape[0], shape[1] / factor, shape[2] / factor, shape[3])
    let source = scalars
    var means = [Float](repeating: 0, count: B * H * W * C)
    let weight = 1 / Float(factor * factor)
    for b in 0..<B {
      for y in 0..<H * factor {
        for x in 0..<W * factor {
          let from = ((b * H * factor + y) * W * factor + x) * C
          let to = ((b * H + y / factor) * W + x / factor) * C
          for c in 0..<C { means[to + c] += source[from + c] * weight }
        }
      }
    }
    return Tensor(means, shape: [B, H, W, C])
  }
}
