import Basics
import NN
import TensorCore

/// The discriminator that makes a VQ-VAE a VQGAN (Esser et al. 2021, section 3.1): it looks at a picture patch by patch (Isola
/// et al. 2017) and tells real ones from reconstructions, and the tokenizer learns to be taken for real.
///
///     L_D = ½·E[max(0, 1 - D(x))] + ½·E[max(0, 1 + D(x̂))] + γ·R
///     L_G = -E[D(x̂)]
///     R   = E[(D(x) - α_F)²] + E[(D(x̂) - α_R)²]
///     L   = L_rec + λ·L_G,   λ = ‖∂L_rec/∂w‖ / (‖∂L_G/∂w‖ + δ)              (equations 6 and 7)
///
/// with the weights w of the decoder's last layer, the hinge of Lim & Ye 2017 and, so that few pictures last longer, the LeCam
/// regularization R of Tseng et al. 2021 (equation 7), where α_R and α_F are moving averages of D over real pictures and
/// reconstructions. What D sees has been through a `DifferentiableAugmentation`.
///
/// On a few thousand pictures and two cores it has a few thousand steps to learn in, and two things make it learn in them. A picture
/// and its reconstruction are seen through the same augmentation, so that where D is between -1 and 1 the gradients of what they
/// have in common cancel. And the tokenizer listens only as far as D knows something, by λ's further factor ``attention``: what
/// an ignorant discriminator says is noise, and a tokenizer that follows it is never caught up with.
///
/// A stack of 4×4 convolutions of stride 2, then one of 3×3, gives a number for each patch of 18 pixels. In place of
/// batch normalization, which would look across replicas, stands group normalization.
public struct PatchDiscriminator: ConfiguredModule {
  public struct Configuration: Sendable {
    /// Of the first convolution; each further one has twice as many.
    public var channels = 32
    /// Convolutions of stride 2.
    public var halvings = 2
    /// γ
    public var regularization: Float = 0.03
    /// Of the moving averages.
    public var averageDecay: Float = 0.95
    /// The factor on λ where D knows all.
    public var weight: Float = 3

    public init() {}
  }

  public let downsampling: [Conv2d]
  public let norms: [GroupNorm]
  public let output: Conv2d
  /// Moving averages of D over pictures, of D over reconstructions, which are α_R and α_F, and of the hinge loss, [3].
  public let averages: Buffer
  public let configuration: Configuration

  public init(_ configuration: Configuration, _ initializer: Initializer) {
    let c = configuration
    var initializer = initializer
    self.configuration = c
    let widths = [3] + (0..<c.halvings).map { c.channels << $0 }
    downsampling = zip(widths, widths.dropFirst()).map {
      Conv2d($0, $1, kernel: 4, stride: 2, padding: 1, gain: Float(2).squareRoot(), &initializer)
    }
    norms = widths.dropFirst(2).map { GroupNorm($0, groups: $0 % 16 == 0 ? $0 / 16 : 1) }
    output = Conv2d(widths[c.halvings], 1, kernel: 3, padding: 1, &initializer)
    averages = Buffer(Tensor([0, 0, 1], shape: [3]))
  }

  /// D
  /// - Parameters:
  ///   - pictures: [B, S, S, 3] in [0, 1].
  ///   - augmentations: what each is seen through.
  ///   - precision: the type of the operands of products.
  /// - Returns: [B, side, side, 1], float32: how real each patch looks.
  public func callAsFunction(
    _ pictures: Tensor, through augmentations: [DifferentiableAugmentation], precision: ElementType
  ) -> Tensor {
    var x = pictures.centred().augmented(augmentations).cast(to: precision)
    for (i, convolution) in downsampling.enumerated() {
      x = convolution(x)
      if i > 0 { x = norms[i - 1](x, as: precision) }
      x = x.applying(.leakyRelu)
    }
    return output(x, as: .float32)
  }

  /// L_D of a shard, on the current tape, and the means of D that it saw.
  /// - Parameters:
  ///   - real: D(x)
  ///   - made: D(x̂)
  public func loss(real: Tensor, made: Tensor) -> (total: Tensor, hinge: Float, real: Float, made: Float) {
    /// E[max(0, 1 + sign·D)]
    func hinge(_ logits: Tensor, _ sign: Float) -> Tensor {
      (logits * sign + Tensor(repeating: 1, shape: logits.shape)).applying(.relu).mean()
    }
    let hinge = (hinge(real, -1) + hinge(made, 1)) * 0.5
    let (averageReal, averageMade) = (averages.value.scalars[0], averages.value.scalars[1])
    let distance =
      meanSquaredError(real, Tensor(repeating: averageMade, shape: real.shape))
      + meanSquaredError(made, Tensor(repeating: averageReal, shape: made.shape))
    return (
      hinge + distance * configuration.regularization, hinge.item, real.detached().mean().item,
      made.detached().mean().item
    )
  }

  /// How far the tokenizer listens, 0 to 1: 0 where D cannot tell pictures from reconstructions at all, and has a hinge loss of 1.
  public var attention: Float { max(0, 1 - averages.value.scalars[2]) }

  /// Moves the averages, after an optimizer step.
  /// - Parameters:
  ///   - real: the mean of D over a batch of pictures.
  ///   - made: over their reconstructions.
  ///   - hinge: the hinge loss.
  public func finishStep(real: Float, made: Float, hinge: Float) {
    let decay = configuration.averageDecay
    let seen = zip(averages.value.scalars, [real, made, hinge]).map { decay * $0 + (1 - decay) * $1 }
    averages.overwrite(with: Tensor(seen, shape: [3]))
  }

  // MARK: - The tokenizer's side

  /// What a tokenizer's loss is with the discriminator.
  public struct TokenizerLoss {
    /// A scalar on the tape that has the loss's gradient; its value says nothing.
    public let total: Tensor
    public let reconstruction: ImageTokenizerReconstruction
    /// λ
    public let weight: Float
  }

  /// L_rec + λ·L_G and the tokenizer's regularization of a shard, on the current tape.
  ///
  /// λ needs gradients before there is a loss. Those of L_rec and L_G are taken on tapes of their own from the last layer on; the
  /// tape below then sees a sum of products that has their weighted sum as its gradient.
  /// - Parameters:
  ///   - model: the tokenizer.
  ///   - forward: of the shard.
  ///   - pictures: the shard, [B, S, S, 3] in [0, 1].
  ///   - share: of the batch, a factor on all.
  ///   - augmentations: what each reconstruction is seen through.
  ///   - precision: the type of the operands of products.
  ///   - sum: adds up tensors over all shards, so that all have the λ of the batch.
  public func loss(
    of model: some TrainableAutoencoder, _ forward: ImageTokenizerForward, _ pictures: Tensor, share: Float,
    through augmentations: [DifferentiableAugmentation], precision: ElementType,
    sum: ([Tensor]) -> [Tensor]
  ) -> TokenizerLoss {
    let (features, last) = (forward.features.detached(), model.lastLayer)
    var reconstruction: ImageTokenizerReconstruction?
    let near = valueAndGradient(of: [features], parameters: last) {
      let made = model.reconstruction(of: $0[0], in: forward, pictures)
      reconstruction = made
      return made.loss * share
    }.gradients
    let real = valueAndGradient(of: [features], parameters: last) {
      let made = model.reconstruction(of: $0[0], in: forward, pictures).pictures
      return self(made, through: augmentations, precision: precision).mean() * -share
    }.gradients
    guard let reconstruction else { preconditionFailure("the last layer was not asked") }

    let gradients = sum(Array(near.dropFirst() + real.dropFirst()))
    func norm(_ tensors: ArraySlice<Tensor>) -> Float {
      tensors.reduce(0) { $0 + ($1 * $1).sum().item }.squareRoot()
    }
    let ratio = norm(gradients.prefix(last.count)) / (norm(gradients.suffix(last.count)) + 1e-4)
    let weight = attention * configuration.weight * min(ratio, 1e4)
    let places = [forward.features] + last.map { $0() }
    let terms = zip(places, zip(near, real)).map { place, gradients in
      (place * (gradients.0 + gradients.1 * weight).cast(to: place.type)).sum()
    }
    return TokenizerLoss(
      total: terms.dropFirst().reduce(terms[0], +) + forward.regularization * share, reconstruction: reconstruction,
      weight: weight)
  }
}
