import TensorCore

/// A table of vectors looked up by token. `weight` is [count, width] and starts normal.
public struct Embedding: Module, Sendable {
  public let weight: Parameter

  public init(_ count: Int, _ width: Int, deviation: Float = 0.02, _ initializer: inout Initializer) {
    weight = Parameter(initializer.normal([count, width], deviation: deviation))
  }

  /// - Parameters:
  ///   - tokens: each below `count`.
  ///   - shape: the leading axes of the result.
  /// - Returns: [shape.., width], float32.
  public func callAsFunction(_ tokens: [Int32], shape: [Int]) -> Tensor {
    embedding(weight(), tokens: tokens, shape: shape)
  }
}
