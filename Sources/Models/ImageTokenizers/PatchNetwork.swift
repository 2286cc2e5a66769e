import NN
import TensorCore

/// Either side of an auto-encoder with all convolutions at the token grid:
///
///     encoder   pixels [B, S, S, 3]  → blocks into channels → stem → residual blocks → 1×1 → [B, side, side, E]
///     decoder   [B, side, side, E]   → stem → residual blocks → 3×3 → channels into blocks → pixels [B, S, S, 3]
///
/// The same trunk also leads from one grid to another, where there are several.
struct PatchNetwork: PictureNetwork {
  let stem: Conv2d
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Conv2d
  private let ends: Ends

  /// What comes before the stem and after the last convolution.
  struct Ends {
    /// Blocks of so many places a side are moved into channels first.
    var gathered = 1
    /// The last convolution's channels are blocks of so many places a side.
    var scattered = 1
    /// Whether pixels in [0, 1] come in, or go out.
    var takesPixels = false
    var givesPixels = false
  }

  /// The width of the convolutions and the number of residual blocks.
  struct Trunk {
    var channels: Int
    var blocks: Int

    var groups: Int { channels % 32 == 0 ? channels / 16 : 1 }
  }

  /// - Parameters:
  ///   - inputs: channels of what comes in, before blocks are gathered.
  ///   - outputs: channels of what goes out, after blocks are scattered.
  init(
    _ inputs: Int, _ outputs: Int, ends: Ends, trunk: Trunk, stemGain: Float = 1, outputKernel: Int = 1,
    outputGain: Float = 1, _ initializer: inout Initializer
  ) {
    self.ends = ends
    stem = Conv2d(
      inputs * ends.gathered * ends.gathered, trunk.channels, kernel: 3, padding: 1, gain: stemGain, &initializer)
    blocks = (0..<trunk.blocks).map { _ in ResidualBlock(trunk.channels, groups: trunk.groups, &initializer) }
    norm = GroupNorm(trunk.channels, groups: trunk.groups, silu: true)
    output = Conv2d(
      trunk.channels, outputs * ends.scattered * ends.scattered, kernel: outputKernel,
      padding: Padding(outputKernel / 2),
      gain: outputGain, &initializer)
  }

  /// Pixels to `outputs` channels at the grid.
  init(encoderTo outputs: Int, patchSize: Int, trunk: Trunk, _ initializer: inout Initializer) {
    self.init(3, outputs, ends: Ends(gathered: patchSize, takesPixels: true), trunk: trunk, &initializer)
  }

  /// Code vectors, whose elements have variance 1/inputs, to pixels.
  init(decoderFrom inputs: Int, patchSize: Int, trunk: Trunk, _ initializer: inout Initializer) {
    // The gain brings the stream to variance one.
    self.init(
      inputs, 3, ends: Ends(scattered: patchSize, givesPixels: true), trunk: trunk,
      stemGain: Float(inputs).squareRoot(), outputKernel: 3, outputGain: 0.3, &initializer)
  }

  func features(_ input: Tensor, precision: ElementType) -> Tensor {
    var inner = ends.takesPixels ? input.centred() : input
    if ends.gathered > 1 { inner = inner.spaceToDepth(ends.gathered) }
    var x = stem(inner.cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    return norm(x, as: precision)
  }

  func result(of features: Tensor) -> Tensor {
    var result = output(features, as: .float32)
    if ends.scattered > 1 { result = result.depthToSpace(ends.scattered) }
    return ends.givesPixels ? result.uncentred() : result
  }

  var lastLayer: [Parameter] { output.parameters() }
}
