import Basics
import TensorCore

/// Something with parameters. The parameters of a module are found in its stored properties, and the path of property
/// names is a parameter's name: `blocks.3.attention.output.weight`. Those names are the keys of a checkpoint.
public protocol Module {}

/// A tensor with its name, as a checkpoint holds it.
public typealias NamedTensor = (name: String, tensor: Tensor)

extension Module {
  /// All parameters with their names, in the order in which the properties are declared.
  public func namedParameters() -> [(name: String, parameter: Parameter)] { named(Parameter.self) }

  /// All buffers with their names, likewise.
  public func namedBuffers() -> [(name: String, buffer: Buffer)] { named(Buffer.self) }

  /// Everything that a checkpoint holds of this module.
  public func namedTensors() -> [NamedTensor] {
    namedParameters().map { ($0, $1.value) } + namedBuffers().map { ($0, $1.value) }
  }

  private func named<Leaf>(_ type: Leaf.Type) -> [(String, Leaf)] {
    var found: [(String, Leaf)] = []
    func visit(_ value: Any, _ path: String) {
      switch value {
      case let leaf as Leaf: found.append((path, leaf))
      case let modules as [any Module]:
        for (i, module) in modules.enumerated() { visit(module, "\(path).\(i)") }
      case let module as any Module:
        for child in Mirror(reflecting: module).children {
          guard let label = child.label else { continue }
          visit(child.value, path.isEmpty ? label : "\(path).\(label)")
        }
      default:
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional, let wrapped = mirror.children.first { visit(wrapped.value, path) }
      }
    }
    visit(self, "")
    return found
  }

  public func parameters() -> [Parameter] { namedParameters().map(\.parameter) }

  /// The number of trained numbers.
  public var parameterCount: Int { parameters().reduce(0) { $0 + $1.count } }
}

/// The value of `loss(model)` and its gradients, one for each of `model.parameters()`.
public func valueAndGrad<Model: Module>(
  _ model: Model, _ loss: (Model) throws -> Tensor
) rethrows -> (value: Tensor, gradients: [Tensor]) {
  try valueAndGradient(parameters: model.parameters()) { try loss(model) }
}
