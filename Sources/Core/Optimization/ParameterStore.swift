import NN
import TensorCore

/// A model's parameters in flat memory, so that the optimizer, the sum over replicas and a save go through them in one
/// pass. Each parameter begins on a cache line; the elements between are zero and stay so.
public final class ParameterStore {
  public let names: [String]
  public let parameters: [Parameter]
  /// The master values, float32.
  public let values: Tensor
  /// The values as bfloat16, kept where training multiplies in bfloat16.
  public let operands: Tensor?
  /// Where each parameter lies in `values`.
  public let ranges: [Range<Int>]
  private let indices: [ObjectIdentifier: Int]
  private let makeZeros: (Int, ElementType) -> Tensor

  /// Moves the parameters of `module` into flat memory of their own.
  public convenience init(_ module: some Module, precision: ElementType) {
    self.init(module, precision: precision) { .zeros([$0], type: $1) }
  }

  /// - Parameter zeros: gives the memory.
  package init(_ module: some Module, precision: ElementType, zeros: @escaping (Int, ElementType) -> Tensor) {
    makeZeros = zeros
    let named = module.namedParameters()
    names = named.map(\.name)
    parameters = named.map(\.parameter)
    var ranges: [Range<Int>] = []
    var end = 0
    for parameter in parameters {
      ranges.append(end..<end + parameter.count)
      end += (parameter.count + 15) / 16 * 16
    }
    self.ranges = ranges
    values = zeros(end, .float32)
    operands = precision == .bfloat16 ? zeros(end, .bfloat16) : nil
    indices = Dictionary(
      uniqueKeysWithValues: parameters.enumerated().map { (ObjectIdentifier($1), $0) })
    for (parameter, range) in zip(parameters, ranges) {
      parameter.move(
        to: values.view(range, shape: parameter.shape), operand: operands?.view(range, shape: parameter.shape))
    }
  }

  /// More memory of the kind that the values are in, laid out like them: float32 zeros.
  package func zeros() -> Tensor { makeZeros(values.count, .float32) }

  /// The part of `memory`, which is laid out like `values`, that belongs to a parameter; nil for a foreign one.
  public func slice(of memory: Tensor, for parameter: Parameter) -> Tensor? {
    indices[ObjectIdentifier(parameter)].map { memory.view(ranges[$0], shape: parameter.shape) }
  }

  /// Brings the bfloat16 copies up to date after the values were changed from outside.
  public func refreshOperands() { refreshOperands(0..<values.count) }

  /// The same for the elements `range`.
  package func refreshOperands(_ range: Range<Int>) {
    operands?.overwrite(with: values, range: range)
  }

  /// What `memory`, laid out like `values`, holds for each parameter.
  public func named(_ memory: Tensor) -> [(name: String, tensor: Tensor)] {
    zip(names, zip(parameters, ranges)).map { ($0, memory.view($1.1, shape: $1.0.shape)) }
  }
}
