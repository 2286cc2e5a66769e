import Basics
import Foundation
import NN
import TensorCore

/// The discrete variational auto-encoder of DALL·E (Ramesh et al. 2021, section 2.1 and appendix A).
///
///     z     = encoder(x)                          [B, side, side, E], rows of length one
///     ℓ_k   = s·z·e_k                             [B, side, side, K], the logits of q(k | x)
///     y     = softmax((ℓ + g)/τ)                  g standard Gumbel: the relaxed one-hot token (Jang et al. 2017)
///     (μ,b) = decoder(y·codebook)                 [B, S, S, 3] each
///     L     = -log p(x | μ, b) + β·KL(q ‖ uniform)
///
/// p is the logit-Laplace distribution, see ``LogitLaplace``. τ falls from 1 to 1/16 and β rises from 0, both along a half
/// cosine over a share of the run (appendix A.2). Out of training the token is the likeliest, k = argmax ℓ.
///
/// What stands next to the relaxation sees one position alone, the encoder's last convolution and the product with the
/// codebook being 1×1: with wider ones, training on y generalises worse to tokens (appendix A.2).
///
/// In the paper the encoder gives K logits by a convolution of its own. Here it shares the codebook e, whose rows have
/// length one, with the decoder: what the decoder learns of a code the encoder knows at once. In thousands of steps on
/// thousands of pictures instead of millions on millions, free logits settle on a handful of codes.
public struct DiscreteVAE: TrainableImageTokenizer {
  public struct Configuration: TrainableImageTokenizerConfiguration {
    public typealias Model = DiscreteVAE

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
    /// s: the largest logit.
    public var logitScale: Float = 30
    /// β at its end, for a loss in which both terms are sums over a picture.
    public var klWeight: Float = 6.6
    /// The share of the run over which β rises.
    public var klShare: Float = 0.1
    /// τ at its end; it begins at 1.
    public var finalTemperature: Float = 1.0 / 16
    /// The share of the run over which τ falls.
    public var temperatureShare: Float = 0.75

    public init() {}

    var trunk: PatchNetwork.Trunk { .init(channels: channels, blocks: blocks) }
    var gridSide: Int { pictureSize / patchSize }
  }

  let encoder: PatchNetwork
  /// [K, E]
  public let codebook: Embedding
  let decoder: PatchNetwork
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    let c = configuration
    var initializer = initializer
    self.configuration = c
    encoder = PatchNetwork(encoderTo: c.codeDimensions, patchSize: c.patchSize, trunk: c.trunk, &initializer)
    codebook = Embedding(
      c.codes, c.codeDimensions, deviation: 1 / Float(c.codeDimensions).squareRoot(), &initializer)
    // μ and log b of each pixel of the patch side by side, means before scales.
    decoder = PatchNetwork(
      c.codeDimensions, 6 * c.patchSize * c.patchSize, ends: .init(), trunk: c.trunk,
      stemGain: Float(c.codeDimensions).squareRoot(), outputKernel: 3, outputGain: 0.3, &initializer)
  }

  public var layout: TokenLayout { configuration.layout }

  public func encode(_ pictures: Tensor) -> [Int32] { largestElements(logits(pictures, precision: .float32)) }

  public func decode(_ tokens: [Int32]) -> Tensor {
    let side = configuration.gridSide
    let codes = embedding(codeVectors, tokens: tokens, shape: [tokens.count / tokenCount, side, side])
    return distribution(decoder.features(codes, precision: .float32)).mode
  }

  /// e, [K, E], rows of length one.
  private var codeVectors: Tensor { l2Normalized(codebook.weight()) }

  /// ℓ
  private func logits(_ pictures: Tensor, precision: ElementType) -> Tensor {
    let z = l2Normalized(encoder(pictures, precision: precision), as: precision)
    return linear(z, weight: codeVectors.cast(to: precision), as: .float32) * configuration.logitScale
  }

  /// p(x | code vectors), of what the decoder's last layer is given.
  private func distribution(_ features: Tensor) -> LogitLaplace {
    let (side, patch) = (configuration.gridSide, configuration.patchSize)
    let outputs = decoder.result(of: features).reshaped([-1, 2, 3 * patch * patch])
    func pixels(_ part: Int) -> Tensor {
      outputs.positions(part..<part + 1).reshaped([-1, side, side, 3 * patch * patch]).depthToSpace(patch)
    }
    return LogitLaplace(mean: pixels(0), logScale: pixels(1))
  }

  public func forward(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerForward {
    let side = configuration.gridSide
    let (temperature, klWeight) = schedules(progress: step.progress)
    return forward(
      pictures, gumbel: .gumbel([pictures.shape[0], side, side, configuration.codes], step.noise),
      temperature: temperature, klWeight: klWeight, precision: step.precision)
  }

  /// τ and β after a share of the run.
  func schedules(progress: Double) -> (temperature: Float, klWeight: Float) {
    /// From 0 to 1 along a half cosine.
    func risen(over share: Float) -> Float {
      let done = share > 0 ? min(1, progress / Double(share)) : 1
      return Float(0.5 * (1 - cos(Double.pi * done)))
    }
    let c = configuration
    return (
      1 + (c.finalTemperature - 1) * risen(over: c.temperatureShare), c.klWeight * risen(over: c.klShare)
    )
  }

  /// - Parameter gumbel: g, [B, side, side, K].
  func forward(
    _ pictures: Tensor, gumbel: Tensor, temperature: Float, klWeight: Float, precision: ElementType
  ) -> ImageTokenizerForward {
    let (K, E, side) = (configuration.codes, configuration.codeDimensions, configuration.gridSide)
    let logits = logits(pictures, precision: precision)
    let relaxed = ((logits + gumbel) * (1 / temperature)).softmax()
    let codes = matrixProduct(
      relaxed.reshaped([-1, K]).cast(to: precision), codeVectors.cast(to: precision)
    ).reshaped([-1, side, side, E])
    // Divided by the number of pixel channels, which a token has 3·patch² of: the sum over a picture would have gradients
    // as large as the picture (appendix A.2).
    let channelsPerToken = Float(3 * configuration.patchSize * configuration.patchSize)
    return ImageTokenizerForward(
      features: decoder.features(codes, precision: precision),
      regularization: klFromUniform(logits: logits) * (klWeight / channelsPerToken), tokens: largestElements(logits),
      statistics: [])
  }

  public func reconstruction(
    of features: Tensor, in forward: ImageTokenizerForward, _ pictures: Tensor
  ) -> ImageTokenizerReconstruction {
    let distribution = distribution(features)
    let made = distribution.mode
    let error = withoutRecording { meanSquaredError(made, pictures) }
    return ImageTokenizerReconstruction(
      loss: distribution.negativeLogLikelihood(of: pictures), pictures: made, meanSquaredError: error.item)
  }

  public var lastLayer: [Parameter] { decoder.lastLayer }

  public func finishStep(_ statistics: [[NamedTensor]], step: Int, seed: UInt64) {}
}

/// The logit-Laplace distribution over a pixel channel (Ramesh et al. 2021, appendix A.3, equation 2): the logit of the
/// value is Laplace.
///
///     f(v | μ, b) = exp(-|logit v - μ|/b) / (2b·v(1 - v)),   v ∈ (0, 1)
///
/// Pixels x ∈ [0, 1] go in as v = φ(x) = (1 - 2ε)x + ε with ε = 0.1 (equation 3), away from the poles; what comes out as a
/// picture is φ⁻¹(σ(μ)).
public struct LogitLaplace {
  static let epsilon: Float = 0.1
  /// Added to b. Where a pixel is always the same, such as white paper, nothing else would keep b from falling and the
  /// gradient, 1/b, from growing without end.
  static let leastScale: Float = 0.1

  /// μ
  let mean: Tensor
  /// The logarithm of b, but for its least value.
  let logScale: Tensor

  /// The mean of -log f(φ(x)) over all pixel channels, a scalar, in nats.
  func negativeLogLikelihood(of pictures: Tensor) -> Tensor {
    let ones = Tensor(repeating: 1, shape: pictures.shape)
    let v = pictures.detached() * (1 - 2 * Self.epsilon) + ones * Self.epsilon
    let (logV, logRest) = (v.applying(.log), (ones - v).applying(.log))
    let scale = logScale.applying(.exp) + ones * Self.leastScale
    let distance = (mean - (logV - logRest)).applying(.abs)
    return (distance / scale + scale.applying(.log)).mean() + (logV + logRest).mean() + Tensor(Float(log(2.0)))
  }

  /// φ⁻¹(σ(μ)), in [-ε/(1 - 2ε), 1 + ε/(1 - 2ε)].
  var mode: Tensor {
    let v = mean.applying(.sigmoid)
    return (v - Tensor(repeating: Self.epsilon, shape: v.shape)) * (1 / (1 - 2 * Self.epsilon))
  }
}

/// KL(softmax(ℓ) ‖ uniform) = log K + Σ q·log q over the last axis, its mean over the rest, a scalar, in nats.
func klFromUniform(logits: Tensor) -> Tensor {
  let q = logits.softmax()
  // What is added keeps the logarithm of a probability that is zero in float32 finite; zero times it is zero.
  let logQ = (q + Tensor(repeating: 1e-20, shape: q.shape)).applying(.log)
  return (q * logQ).sum() * (1 / Float(logits.rows)) + Tensor(log(Float(logits.lastDimension)))
}

extension Tensor {
  /// Standard Gumbel numbers, -log(-log u).
  static func gumbel(_ shape: [Int], _ noise: NoiseStream) -> Tensor {
    let u = uniform(shape, seed: noise.seed, stream: noise.stream)
    // u is a multiple of 2⁻²⁴ below 1; moved inwards, it meets neither pole.
    let inner = u * (1 - 0x1p-22) + Tensor(repeating: 0x1p-25, shape: shape)
    return (inner.applying(.log) * -1).applying(.log) * -1
  }
}

extension DiscreteVAE.Configuration {
  public static let kind = "dvae"
  public static let title = "discrete VAE"

  public static func preset(_ preset: Preset, pictureSize: Int) -> Self {
    var c = Self()
    (c.pictureSize, c.patchSize) = (pictureSize, pictureSize / places(pictureSize: pictureSize))
    // As strong against a pixel as the paper's β is, whose tokens stand for 8×8 of them.
    c.klWeight *= Float(c.patchSize * c.patchSize) / 64
    switch preset {
    case .tiny: (c.channels, c.blocks, c.codes) = (128, 2, 512)
    case .small: (c.channels, c.blocks) = (256, 2)
    case .base: (c.channels, c.blocks) = (256, 3)
    }
    return c
  }

  public static func small(pictureSize: Int) -> Self? {
    guard let patchSize = smallPatchSize(pictureSize: pictureSize) else { return nil }
    var c = Self()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes) = (pictureSize, patchSize, 128, 2, 512)
    // As strong against a pixel as the paper's β is, whose tokens stand for 8×8 of them.
    c.klWeight *= Float(patchSize * patchSize) / 64
    return c
  }

  public var layout: TokenLayout { TokenLayout(pictureSize: pictureSize, gridSides: [gridSide], codeCount: codes) }

  public var summary: String { "\(layout.summary); \(channels) channels, \(blocks) residual blocks a side" }

  public func validate() throws(PipelineError) {
    try checkShape(
      pictureSize: pictureSize, patchSize: patchSize, channels: channels, blocks: blocks, codes: codes,
      codeDimensions: codeDimensions)
    try check("logit_scale", logitScale, in: 0...1000)
    try check("kl_weight", klWeight, in: 0...Float.greatestFiniteMagnitude)
    try check("kl_share", klShare, in: 0...1)
    try check("final_temperature", finalTemperature, in: 1e-3...1)
    try check("temperature_share", temperatureShare, in: 0...1)
  }

  public var leastParameterCount: Int {
    // The codebook and the 3×3 kernels, two in each block, of both sides.
    codes * codeDimensions + 9 * channels * (4 * blocks * channels + 9 * patchSize * patchSize + codeDimensions)
  }
}
