import Basics
import TensorCore

/// Named tensors that a model is made of, such as a file's.
public protocol WeightSource {
  /// The shape of a tensor; nil where there is none of that name.
  func shape(of name: String) -> [Int]?
  /// A tensor's type in the words of the safetensors format, such as "BF16"; nil where there is none of that name.
  func elementTypeName(of name: String) -> String?
  /// - Throws: `PipelineError` of kind `.badData` where it is missing or of a type that is not supported.
  func tensor(_ name: String) throws(PipelineError) -> Tensor
  /// A tensor's bytes where they lie, without a copy. Whoever uses them looks at shape and type first.
  /// - Throws: `PipelineError` of kind `.badData` where it is missing.
  func mapped(_ name: String) throws(PipelineError) -> MappedBytes
  /// The tensors whose names begin with `prefix`, called by the rest of their names.
  func only(prefix: String) -> Self
  /// Reads all parameters and buffers of a module.
  /// - Throws: `PipelineError` of kind `.badData` where one is missing, has another shape, or there is one that the module
  ///   does not know. The module is then partly read and must not be used.
  func read(into module: some Module) throws(PipelineError)
}

/// A module that is made from its configuration alone.
public protocol ConfiguredModule: Module {
  associatedtype Configuration

  var configuration: Configuration { get }

  init(_ configuration: Configuration, _ initializer: Initializer)
}

extension ConfiguredModule {
  /// With initial weights.
  public init(_ configuration: Configuration, seed: UInt64) { self.init(configuration, Initializer(seed: seed)) }

  /// With trained weights.
  /// - Throws: `PipelineError` of kind `.badData` where they are not those of such a model.
  public init(_ configuration: Configuration, reading weights: some WeightSource) throws(PipelineError) {
    self.init(configuration, .unread)
    try weights.read(into: self)
  }
}
