import TensorCore

/// W₂·gelu(W₁·x), four times as wide inside.
public struct MultilayerPerceptron: Module, Sendable {
  public let hidden: Linear
  public let output: Linear

  package init(width: Int, layers: Int, _ initializer: inout Initializer) {
    hidden = Linear(width, 4 * width, deviation: 0.02, &initializer)
    output = Linear(4 * width, width, deviation: 0.02 / Float(2 * layers).squareRoot(), &initializer)
  }

  package func callAsFunction(_ x: Tensor) -> Tensor { output(hidden(x), after: .gelu) }
}
