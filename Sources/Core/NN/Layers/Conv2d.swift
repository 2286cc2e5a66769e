import TensorCore

/// A two-dimensional convolution on [B, H, W, C].
///
/// `weight` is [outputs, kernel height, kernel width, inputs] and starts uniform with variance
/// 1/(height·width·inputs), times `gain`²; `bias` is [outputs] and starts at zero.
public struct Conv2d: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter
  private let stride: Int
  private let padding: Padding

  /// - Parameters:
  ///   - inputs: C, channels.
  ///   - outputs: O, channels.
  ///   - kernelHeight: KH.
  ///   - kernelWidth: KW.
  ///   - stride: places between two outputs, along both axes.
  ///   - padding: zeros around the input.
  ///   - gain: the factor on the initial deviation.
  ///   - initializer: draws the weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernelHeight: Int, kernelWidth: Int, stride: Int = 1, padding: Padding = 0,
    gain: Float = 1, _ initializer: inout Initializer
  ) {
    weight = Parameter(
      initializer.uniform(
        [outputs, kernelHeight, kernelWidth, inputs], fanIn: kernelHeight * kernelWidth * inputs, gain: gain),
      decays: true)
    bias = Parameter(.zeros([outputs]))
    self.stride = stride
    self.padding = padding
  }

  /// With a square kernel.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Padding = 0, gain: Float = 1,
    _ initializer: inout Initializer
  ) {
    self.init(
      inputs, outputs, kernelHeight: kernel, kernelWidth: kernel, stride: stride, padding: padding, gain: gain,
      &initializer)
  }

  /// - Parameters:
  ///   - x: [B, H, W, C].
  ///   - type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    convolution(x, weight: weight(as: x.type), bias: bias(), stride: stride, padding: padding, as: type)
  }
}
