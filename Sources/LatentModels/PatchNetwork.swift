import NN
import TensorCore

/// Pixels [B, S, S, 3] → code vectors [B, side, side, E]: all convolutions at the token grid.
struct PatchEncoder: PictureNetwork {
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

  func callAsFunction(_ pictures: Tensor, precision: ElementType) -> Tensor {
    var x = stem(pictures.centred().spaceToDepth(patchSize).cast(to: precision), as: .float32)
    for block in blocks { x = block(x, precision: precision) }
    return output(norm(x, as: precision), as: .float32)
  }
}

/// Code vectors [B, side, side, E] → pixels [B, S, S, 3].
struct PatchDecoder: PictureNetwork {
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
    return output(norm(x, as: precision), as: .float32).depthToSpace(patchSize).uncentred()
  }
}

extension Tensor {
  /// [0, 1] → [-1, 1]
  func centred() -> Tensor { self * 2 - Tensor(repeating: 1, shape: shape) }

  /// [-1, 1] → [0, 1]
  func uncentred() -> Tensor { self * 0.5 + Tensor(repeating: 0.5, shape: shape) }
}
