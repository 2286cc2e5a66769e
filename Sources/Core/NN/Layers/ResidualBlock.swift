import TensorCore

/// x + conv(norm(conv(norm(x)))), each norm a group normalisation followed by SiLU (He et al. 2016, pre-activation).
///
/// The stream x stays float32; the operands of the convolutions have the type of `precision`. The second convolution
/// starts small, so that a deep stack begins close to the identity.
public struct ResidualBlock: Module, Sendable {
  public let norm1: GroupNorm
  public let convolution1: Conv2d
  public let norm2: GroupNorm
  public let convolution2: Conv2d

  /// - Parameters:
  ///   - channels: C, in and out.
  ///   - groups: of the normalisations; a divisor of `channels`.
  ///   - initializer: draws the weights.
  public init(_ channels: Int, groups: Int, _ initializer: inout Initializer) {
    norm1 = GroupNorm(channels, groups: groups, silu: true)
    convolution1 = Conv2d(channels, channels, kernel: 3, padding: 1, gain: Float(2).squareRoot(), &initializer)
    norm2 = GroupNorm(channels, groups: groups, silu: true)
    convolution2 = Conv2d(channels, channels, kernel: 3, padding: 1, gain: 0.3, &initializer)
  }

  /// - Parameters:
  ///   - x: [B, H, W, channels], float32.
  ///   - precision: of the operands of products.
  /// - Returns: of the same shape, float32.
  public func callAsFunction(_ x: Tensor, precision: ElementType) -> Tensor {
    let h = convolution1(norm1(x, as: precision))
    return x + convolution2(norm2(h, as: precision))
  }
}
