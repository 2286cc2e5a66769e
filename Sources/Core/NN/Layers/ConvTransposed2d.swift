import TensorCore

/// A transposed two-dimensional convolution on [B, H, W, C], which enlarges by `stride`.
///
/// `weight` is [inputs, kernel, kernel, outputs], that of the convolution it reverses, and starts uniform with
/// variance stride²/(kernel²·inputs); `bias` is [outputs] and starts at zero.
public struct ConvTransposed2d: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter
  private let stride: Int
  private let padding: Int

  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, _ initializer: inout Initializer
  ) {
    weight = Parameter(
      initializer.uniform(
        [inputs, kernel, kernel, outputs], fanIn: kernel * kernel * inputs, gain: Float(stride)),
      decays: true)
    bias = Parameter(.zeros([outputs]))
    self.stride = stride
    self.padding = padding
  }

  /// - Parameters:
  ///   - x: [B, H, W, C].
  ///   - type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    transposedConvolution(x, weight: weight(as: x.type), bias: bias(), stride: stride, padding: padding, as: type)
  }
}
