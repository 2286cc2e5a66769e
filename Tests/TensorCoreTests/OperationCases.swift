import TensorCore

/// A differentiable operation that the fixture `operations` has numbers for.
struct OperationCase: Sendable, CustomStringConvertible {
  let name: String
  /// The inputs that may be bfloat16; the others are always float32.
  let activations: [Int]
  /// Whether the gradient is that of the function, which it is not where it is passed straight through.
  let isTrueGradient: Bool
  /// - Parameters:
  ///   - inputs: the activations among them in type `type`.
  ///   - integers: tokens or targets.
  let apply: @Sendable (_ inputs: [Tensor], _ integers: [Int32], _ type: ElementType) -> Tensor

  init(
    _ name: String, activations: [Int] = [0], isTrueGradient: Bool = true,
    _ apply: @escaping @Sendable (_ inputs: [Tensor], _ integers: [Int32], _ type: ElementType) -> Tensor
  ) {
    self.name = name
    self.activations = activations
    self.isTrueGradient = isTrueGradient
    self.apply = apply
  }

  var description: String { name }

  /// The inputs as the operation wants them for `type`.
  func callAsFunction(_ inputs: [Tensor], _ integers: [Int32], _ type: ElementType) -> Tensor {
    apply(inputs.enumerated().map { activations.contains($0) ? $1.cast(to: type) : $1 }, integers, type)
      .cast(to: .float32)
  }

  static let all: [OperationCase] = products + normalizations + functions + arithmetic + layout + losses

  static let products: [OperationCase] = [
    .init("linear", activations: [0, 1]) { x, _, _ in linear(x[0], weight: x[1], bias: x[2]) },
    .init("linear without bias", activations: [0, 1]) { x, _, _ in linear(x[0], weight: x[1]) },
    .init("matrix product", activations: [0, 1]) { x, _, _ in matrixProduct(x[0], x[1]) },
    .convolution("convolution", padding: 1),
    .convolution("convolution with stride", stride: 2, padding: 1),
    .convolution("convolution to many", padding: 1),
    .convolution("convolution to few", padding: 1),
    .convolution("convolution of many", stride: 2, padding: 1),
    .convolution("convolution pointwise"),
    .init("convolution without bias", activations: [0, 1]) { x, _, _ in
      TensorCore.convolution(x[0], weight: x[1])
    },
    .transposedConvolution("transposed convolution", padding: 1),
    .transposedConvolution("transposed convolution with stride", stride: 2, padding: 1),
    .transposedConvolution("transposed convolution of many", stride: 2, padding: 1),
    .init("transposed convolution without bias", activations: [0, 1]) { x, _, _ in
      TensorCore.transposedConvolution(x[0], weight: x[1], stride: 2)
    },
    .init("attention") { x, _, _ in attention(x[0], heads: 2, causal: false) },
    .init("causal attention") { x, _, _ in attention(x[0], heads: 2, causal: true) },
    .init("long attention") { x, _, _ in attention(x[0], heads: 1, causal: false) },
    .init("long causal attention") { x, _, _ in attention(x[0], heads: 1, causal: true) },
  ]

  static let normalizations: [OperationCase] = [
    .init("layer norm") { x, _, _ in layerNorm(x[0], gain: x[1], bias: x[2]) },
    .init("group norm") { x, _, _ in groupNorm(x[0], gain: x[1], bias: x[2], groups: 2) },
    .init("group norm with silu") { x, _, _ in groupNorm(x[0], gain: x[1], bias: x[2], groups: 4, silu: true) },
    .init("l2 normalized") { x, _, _ in l2Normalized(x[0]) },
    .init("softmax") { x, _, _ in x[0].softmax() },
  ]

  static let functions: [OperationCase] = [
    .function("relu", .relu), .function("silu", .silu), .function("gelu", .gelu), .function("geluExact", .geluExact),
    .function("sigmoid", .sigmoid), .function("tanh", .tanh), .function("exp", .exp), .function("log", .log),
    .function("sqrt", .sqrt), .function("square", .square), .function("abs", .abs), .function("softplus", .softplus),
  ]

  static let arithmetic: [OperationCase] = [
    .init("sum of two", activations: [0, 1]) { x, _, _ in x[0] + x[1] },
    .init("difference", activations: [0, 1]) { x, _, _ in x[0] - x[1] },
    .init("product", activations: [0, 1]) { x, _, _ in x[0] * x[1] },
    .init("quotient", activations: [0, 1]) { x, _, _ in x[0] / x[1] },
    .init("scaled") { x, _, _ in -1.75 * x[0] },
    .init("adding rows") { x, _, _ in x[0].addingRows(x[1]) },
    .init("sum") { x, _, _ in x[0].sum() },
    .init("mean") { x, _, _ in x[0].mean() },
    .init("mean over positions") { x, _, _ in x[0].meanOverPositions() },
    .init("straight through", activations: [0, 1], isTrueGradient: false) { x, _, _ in x[0].straightThrough(to: x[1]) },
  ]

  static let layout: [OperationCase] = [
    .init("embedding", activations: []) { x, tokens, type in embedding(x[0], tokens: tokens, shape: [2, 3], as: type) },
    .init("grid embedding", activations: []) { x, _, _ in gridEmbedding(rows: x[0], columns: x[1]) },
    .init("space to depth") { x, _, _ in x[0].spaceToDepth(2) },
    .init("depth to space") { x, _, _ in x[0].depthToSpace(2) },
    .init("positions") { x, _, _ in x[0].positions(1..<4) },
    .init("rows") { x, indices, _ in x[0].rows(indices.map(Int.init)) },
    .init("concatenated", activations: [0, 1, 2]) { x, _, _ in Tensor.concatenated(x) },
    .init("stacked", activations: [0, 1]) { x, _, _ in Tensor.stacked(x[0], x[1]) },
    .init("reshaped") { x, _, _ in x[0].reshaped([2, -1]) },
    .init("cast") { x, _, _ in x[0] },
  ]

  static let losses: [OperationCase] = [
    .init("cross entropy") { x, targets, _ in crossEntropy(x[0], targets: targets, scale: 0.25) },
    .init("mean squared error", activations: [0, 1]) { x, _, _ in meanSquaredError(x[0], x[1]) },
    .init("discretized logistic", activations: []) { x, bytes, _ in
      let pixels = Tensor(bytes.map { (Float($0) + 0.5) / 256 }, shape: [bytes.count])
      return discretizedLogisticLogProbability(pixels, parameters: x[0])
    },
  ]

  private static func convolution(_ name: String, stride: Int = 1, padding: Int = 0) -> OperationCase {
    .init(name, activations: [0, 1]) { x, _, _ in
      TensorCore.convolution(x[0], weight: x[1], bias: x[2], stride: stride, padding: Padding(padding))
    }
  }

  private static func transposedConvolution(_ name: String, stride: Int = 1, padding: Int = 0) -> OperationCase {
    .init(name, activations: [0, 1]) { x, _, _ in
      TensorCore.transposedConvolution(x[0], weight: x[1], bias: x[2], stride: stride, padding: padding)
    }
  }

  private static func function(_ name: String, _ function: ElementwiseFunction) -> OperationCase {
    .init(name) { x, _, _ in x[0].applying(function) }
  }
}
