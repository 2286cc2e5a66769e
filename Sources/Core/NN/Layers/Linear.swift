import TensorCore

/// y = x·Wᵀ + b.
///
/// `weight` is [outputs, inputs] and starts normal with the given deviation (1/√inputs unless told otherwise); `bias`
/// is [outputs] and starts at zero.
public struct Linear: Module, Sendable {
  public let weight: Parameter
  public let bias: Parameter?

  public init(
    _ inputs: Int, _ outputs: Int, bias: Bool = true, deviation: Float? = nil, _ initializer: inout Initializer
  ) {
    let deviation = deviation ?? 1 / Float(inputs).squareRoot()
    weight = Parameter(initializer.normal([outputs, inputs], deviation: deviation), decays: true)
    self.bias = bias ? Parameter(.zeros([outputs])) : nil
  }

  /// - Parameters:
  ///   - x: [.., inputs]
  ///   - type: what the result is; x's type unless told otherwise.
  public func callAsFunction(_ x: Tensor, as type: ElementType? = nil) -> Tensor {
    linear(x, weight: weight(as: x.type), bias: bias?(), as: type)
  }

  /// The layer applied to f(x), with f(x) computed anew in the backward pass instead of kept.
  public func callAsFunction(_ x: Tensor, after function: ElementwiseFunction) -> Tensor {
    linear(x, applying: function, weight: weight(as: x.type), bias: bias?())
  }
}
