import TensorCore

/// State of a module that is saved with it but that no gradient changes, such as the codes of a moving-average codebook.
/// Float32, or of what type the model multiplies where it is never trained. Only its owner changes it, in place and between steps, and ``value`` shows it.
public final class Buffer: @unchecked Sendable {
  public let value: Tensor

  public init(_ value: Tensor) { self.value = value }

  /// Gives it other values, which are copied, converting.
  /// - Parameter values: as many as there are.
  public func overwrite(with values: Tensor) { value.overwrite(with: values) }
}
