import NN
import TensorCore

/// Either side of the auto-encoder with all convolutions at the token grid:
///
///     encoder   pixels [B, S, S, 3]  → blocks into channels → stem → residual blocks → 1×1 → [B, side, side, E]
///     decoder   [B, side, side, E]   → stem → residual blocks → 3×3 → channels into blocks → pixels [B, S, S, 3]
struct PatchNetwork: PictureNetwork {
  let stem: Conv2d
  let blocks: [ResidualBlock]
  let norm: GroupNorm
  let output: Conv2d
  private let patchSize: Int
  private let isEncoder: Bool

  init(encoderOf c: VQVAE.Configuration, _ initializer: inout Initializer) {
    isEncoder = true
    patchSize = c.patchSize
    stem = Conv2d(3 * c.patchSize * c.patchSize, c.channels, kernel: 3, padding: 1, &initializer)
    (blocks, norm) = Self.trunk(c, &initializer)
    output = Conv2d(c.channels, c.codeDimensions, kernel: 1, &initializer)
  }

  init(decoderOf c: VQVAE.Configuration, _ initializer: inout Initializer) {
    isEncoder = false
    patchSize = c.patchSize
    // A code's elements have variance 1/E; the gain brings the stream to variance one.
    stem = Conv2d(
      c.codeDimensions, c.channels, kernel: 3, padding: 1, gain: Float(c.codeDimensions).squareRoot(), &initializer)
    (blocks, norm) = Self.trunk(c, &initializer)
    output = Conv2d(c.channels, 3 * c.patchSize * c.patchSize, kernel: 3, padding: 1, gain: 0.3, &initializer)
  }

  private static func trunk(
    _ c: VQVAE.Configuration, _ initializer: inout Initializer
  ) -> (blocks: [ResidualBlock], norm: GroupNorm) {
    let blocks = (0..<c.blocks).map { _ in ResidualBlock(c.channels, groups: c.groups, &initializer) }
    return (blocks, GroupNorm(c.channels, groups: c.groups, silu: true))
  }

  func callAsFunction(_ input: Tensor, precision: ElementType) -> Tensor {
    let features = isEncoder ? input.centred().spaceToDepth(patchSize) : input
    var x = stem(features.cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    let result = output(norm(x, as: precision), as: .float32)
    return isEncoder ? result : result.depthToSpace(patchSize).uncentred()
  }
}

extension Tensor {
  /// [0, 1] → [-1, 1]
  func centred() -> Tensor { self * 2 - Tensor(repeating: 1, shape: shape) }

  /// [-1, 1] → [0, 1]
  func uncentred() -> Tensor { self * 0.5 + Tensor(repeating: 0.5, shape: shape) }
}
