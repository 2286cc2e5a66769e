import TensorCore

/// State of a module that is saved with it but that no gradient changes, such as the codes of a moving-average codebook.
/// Float32. Only its owner changes it, in place and between steps.
public final class Buffer: @unchecked Sendable {
  public let value: Tensor

  public init(_ value: Tensor) { self.value = value }
}
