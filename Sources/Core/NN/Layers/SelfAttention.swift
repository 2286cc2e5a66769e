import TensorCore

/// Causal multi-head self-attention with one product for queries, keys and values.
public struct SelfAttention: Module, Sendable {
  /// [3·width, width]: queries, keys, values; heads side by side in each.
  public let queryKeyValue: Linear
  public let output: Linear
  public let heads: Int
  public let mask: AttentionMask

  init(width: Int, heads: Int, layers: Int, mask: AttentionMask, _ initializer: inout Initializer) {
    queryKeyValue = Linear(width, 3 * width, deviation: 0.02, &initializer)
    output = Linear(width, width, deviation: 0.02 / Float(2 * layers).squareRoot(), &initializer)
    self.heads = heads
    self.mask = mask
  }

  package func callAsFunction(_ x: Tensor) -> Tensor {
    output(attention(queryKeyValue(x), heads: heads, mask: mask))
  }
}
