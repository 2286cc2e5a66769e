import TensorCore

/// A two-dimensional convolution on [B, H, W, C].
///
/// `weight` is [outputs, kernel, kernel, inputs] and starts uniform with variance 1/(kernel²·inputs), times `gain`²;
/// `bias` is [outputs] and starts at zero.
public struct Conv2d: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter
  private let stride: Int
  private let padding: Int

  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, gain: Float = 1,
    _ initializer: inout Initializer
  ) {
    weight = Parameter(
      initializer.uniform([outputs, kernel, kernel, inputs], fanIn: kernel * kernel * inputs, gain: gain),
      decays: true)
    bias = Parameter(.zeros([outputs]))
    self.stride = stride
    self.padding = padding
  }

  /// - Parameter type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    convolution(x, weight: weight(as: x.type), bias: bias(), stride: stride, padding: padding, as: type)
  }
}
