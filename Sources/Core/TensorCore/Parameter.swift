import CKernels

/// A tensor that training changes: float32 master values and, for fast matrix products, their bfloat16 copy.
///
/// Many threads may read a parameter at once; only the owner of its memory writes, between steps.
public final class Parameter: @unchecked Sendable {
  public let shape: [Int]
  /// The master values, float32. They share the parameter's memory: what training writes there shows in them, and
  /// ``Tensor/copied()`` keeps them as they are.
  public private(set) var value: Tensor
  /// The values as bfloat16, kept up to date by whoever set it; nil where nobody did.
  private var operand: Tensor?
  /// Whether weight decay applies: to matrices, not to biases, gains and embeddings.
  public let decays: Bool

  public init(_ value: Tensor, decays: Bool = false) {
    self.shape = value.shape
    self.value = value.converted(to: .float32)
    self.decays = decays
  }

  public var count: Int { value.count }

  /// Gives it other values, which are copied, converting.
  /// - Parameter values: as many as there are.
  public func overwrite(with values: Tensor) {
    value.overwrite(with: values)
    operand?.overwrite(with: value)
  }

  /// Moves the values to other memory, which takes them over.
  /// - Parameters:
  ///   - value: float32 memory of this shape.
  ///   - operand: bfloat16 memory of this shape.
  package func move(to value: Tensor, operand: Tensor?) {
    precondition(value.shape == shape && value.type == .float32, "a parameter keeps its shape")
    value.overwrite(with: self.value)
    operand?.overwrite(with: self.value)
    self.value = value
    self.operand = operand
  }

  /// The values as a variable of the current tape, float32.
  public func callAsFunction() -> Tensor { onTape(value) }

  /// The values as the operand of a product with activations of type `type`, a variable of the current tape.
  /// The gradient is float32 in either case.
  public func callAsFunction(as type: ElementType) -> Tensor {
    type == .float32 ? onTape(value) : onTape(operand ?? value.converted(to: .bfloat16))
  }

  private func onTape(_ tensor: Tensor) -> Tensor {
    var tensor = tensor
    tensor.variable = Tape.current?.variable(of: self)
    return tensor
  }
}
