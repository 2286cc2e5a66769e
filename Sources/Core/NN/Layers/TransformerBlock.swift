import TensorCore

/// One block: x + attention(norm(x)), then x + mlp(norm(x)), the stream x in float32.
public struct TransformerBlock: Module, Sendable {
  public let norm1: LayerNorm
  public let attention: SelfAttention
  public let norm2: LayerNorm
  public let mlp: MultilayerPerceptron

  package init(width: Int, heads: Int, layers: Int, mask: AttentionMask = .causal, _ initializer: inout Initializer) {
    norm1 = LayerNorm(width)
    attention = SelfAttention(width: width, heads: heads, layers: layers, mask: mask, &initializer)
    norm2 = LayerNorm(width)
    mlp = MultilayerPerceptron(width: width, layers: layers, &initializer)
  }

  package func callAsFunction(_ x: Tensor, precision: ElementType, dropout: DropoutStream?) -> Tensor {
    let x = x + dropout.applied(to: attention(norm1(x, as: precision)))
    return x + dropout.applied(to: mlp(norm2(x, as: precision)))
  }
}
