import CKernels

/// A place on a tape: something that a gradient can flow to.
final class Variable {
  /// The gradient summed so far; nil until the first contribution.
  private(set) var gradient: Tensor?
  /// Where a parameter's gradient is written: memory of the replica, shared with nobody. Nil for an activation.
  private let destination: Tensor?
  /// The number of a parameter that somebody wants to be told of, until its first use is on the tape.
  fileprivate var unusedNumber: Int?

  init(destination: Tensor? = nil, number: Int? = nil) { (self.destination, unusedNumber) = (destination, number) }

  /// Adds a contribution that is there already, in whatever type.
  func add(_ contribution: Tensor) {
    if destination == nil && gradient == nil {
      gradient = contribution.detached()
      return
    }
    accumulate(contribution.shape, contribution.type) { sum, accumulate in
      // What the memory held before must not be read, even times zero: after a step that was left out because its
      // gradient was not finite, zero times that is not zero.
      ck_combine(
        contribution.kernelType, contribution.pointer, 1, sum.kernelType, accumulate ? sum.pointer : nil, 1,
        sum.kernelType, sum.pointer, sum.count)
    }
  }

  /// Has a kernel write its contribution: `write(sum, true)` adds to `sum`, `write(sum, false)` overwrites it.
  func accumulate(_ shape: [Int], _ type: ElementType, _ write: (_ sum: Tensor, _ accumulate: Bool) -> Void) {
    if var sum = gradient {
      gradient = nil
      if destination == nil && !isKnownUniquelyReferenced(&sum.storage) { sum = sum.copied() }
      write(sum, true)
      gradient = sum
    } else {
      let sum = destination?.view(0..<shape.reduce(1, *), shape: shape) ?? Tensor(uninitialized: shape, type)
      write(sum, false)
      gradient = sum
    }
  }

  /// Hands the gradient over and forgets it.
  func takeGradient() -> Tensor? {
    defer { gradient = nil }
    return gradient
  }
}

/// What happened to variables, so that it can be gone through backwards: reverse-mode differentiation.
///
/// A tape belongs to the thread that records on it. Going backwards uses it up: an activation is freed as soon as the
/// last operation that needs it has had its turn.
public final class Tape {
  private struct Step {
    let output: Variable
    let backward: (Tensor) -> Void
  }

  private var steps: [Step] = []
  private var parameterVariables: [ObjectIdentifier: Variable] = [:]
  /// Where the gradients of parameters go; nil gives each its own memory.
  private let gradientMemory: ((Parameter) -> Tensor?)?
  /// The parameters that are variables, the others being constants; nil where all are.
  private let differentiable: Set<ObjectIdentifier>?
  /// The numbers of the parameters whose gradients somebody wants to know final; nil where nobody does.
  private let numbers: [ObjectIdentifier: Int]?
  /// The steps that were the first to use one of them, in the order of the steps.
  private var firstUses: [(step: Int, number: Int)] = []

  init(
    differentiating parameters: [Parameter]? = nil, gradientMemory: ((Parameter) -> Tensor?)? = nil,
    numbering numbered: [Parameter]? = nil
  ) {
    differentiable = parameters.map { Set($0.map { ObjectIdentifier($0) }) }
    self.gradientMemory = gradientMemory
    numbers = numbered.map {
      Dictionary($0.enumerated().map { (ObjectIdentifier($1), $0) }, uniquingKeysWith: { first, _ in first })
    }
  }

  /// The tape that the calling thread records on, if any.
  static var current: Tape? {
    guard let pointer = ck_thread_pointer() else { return nil }
    return Unmanaged<Tape>.fromOpaque(pointer).takeUnretainedValue()
  }

  /// Runs `body` while this tape records.
  func recording<Result>(_ body: () throws -> Result) rethrows -> Result {
    let outer = ck_thread_pointer()
    ck_set_thread_pointer(Unmanaged.passUnretained(self).toOpaque())
    defer { ck_set_thread_pointer(outer) }
    return try withExtendedLifetime(self) { try body() }
  }

  /// Runs `body` while nothing records.
  static func paused<Result>(_ body: () throws -> Result) rethrows -> Result {
    let outer = ck_thread_pointer()
    ck_set_thread_pointer(nil)
    defer { ck_set_thread_pointer(outer) }
    return try body()
  }

  /// The place of a parameter on this tape; nil where it is a constant.
  func variable(of parameter: Parameter) -> Variable? {
    if let variable = parameterVariables[ObjectIdentifier(parameter)] { return variable }
    if let differentiable, !differentiable.contains(ObjectIdentifier(parameter)) { return nil }
    let variable = Variable(
      destination: gradientMemory?(parameter), number: numbers.flatMap { $0[ObjectIdentifier(parameter)] })
    parameterVariables[ObjectIdentifier(parameter)] = variable
    return variable
  }

  /// Goes through the tape from its end and sums the gradients of `loss`, a scalar.
  /// - Parameter whenFinal: told of each numbered parameter that was used, as soon as its first use has been gone back through:
  ///   nothing is added to its gradient any more.
  func backward(from loss: Tensor, whenFinal: (_ number: Int) -> Void = { _ in }) {
    precondition(loss.count == 1, "only a scalar has a gradient, not a tensor of shape \(loss.shape)")
    loss.variable?.add(Tensor(repeating: 1, shape: loss.shape))
    Tape.paused {
      while let step = steps.popLast() {
        if let gradient = step.output.takeGradient() { step.backward(gradient) }
        while let use = firstUses.last, use.step == steps.count {
          firstUses.removeLast()
          whenFinal(use.number)
        }
      }
    }
  }

  /// The gradient that a parameter got; nil if it had no part in the loss.
  func gradient(of parameter: Parameter) -> Tensor? {
    parameterVariables[ObjectIdentifier(parameter)]?.gradient
  }

  /// Puts an operation on the current tape and returns its result with its place there. Where nothing records or no
  /// input is a variable, the result is a constant.
  /// - Parameter backward: takes the gradient of `result` and adds to those of `inputs`, and to no others.
  static func record(
    _ result: Tensor, from inputs: Variable?..., backward: @escaping (_ gradient: Tensor) -> Void
  ) -> Tensor {
    record(result, from: inputs, backward: backward)
  }

  /// The same for an operation of any number of inputs.
  static func record(
    _ result: Tensor, from inputs: [Variable?], backward: @escaping (_ gradient: Tensor) -> Void
  ) -> Tensor {
    guard let tape = current, inputs.contains(where: { $0 != nil }) else { return result }
    if tape.numbers != nil { tape.noteFirstUses(inputs) }
    var result = result
    let output = Variable()
    result.variable = output
    tape.steps.append(Step(output: output, backward: backward))
    return result
  }

  /// Notes which parameters the step that comes next is the first to use.
  private func noteFirstUses(_ inputs: [Variable?]) {
    for case let variable? in inputs {
      guard let number = variable.unusedNumber else { continue }
      variable.unusedNumber = nil
      firstUses.append((steps.count, number))
    }
  }
}

/// The value of a scalar function and its gradients with respect to `inputs`, which may be of any shape, and to
/// `parameters`; all other parameters are constants. It may be taken in the midst of another function that is
/// differentiated, which then sees constants.
/// - Returns: the gradients of the inputs, then those of the parameters.
public func valueAndGradient(
  of inputs: [Tensor], parameters: [Parameter] = [], _ function: ([Tensor]) throws -> Tensor
) rethrows -> (value: Tensor, gradients: [Tensor]) {
  let tape = Tape(differentiating: parameters)
  let variables = inputs.map { _ in Variable() }
  let value = try tape.recording {
    try function(
      zip(inputs, variables).map { input, variable in
        var input = input.detached()
        input.variable = variable
        return input
      })
  }
  tape.backward(from: value)
  let gradients = zip(inputs, variables).map { input, variable in
    variable.takeGradient() ?? .zeros(input.shape)
  }
  let others = parameters.map { tape.gradient(of: $0) ?? .zeros($0.shape) }
  return (value.detached(), gradients + others)
}

/// The value of a scalar function and its gradients with respect to `parameters`.
/// - Parameters:
///   - parameters: that the function is differentiated by.
///   - gradientMemory: where each parameter's gradient is to be written, as float32; nil gives it its own
///   memory. What a parameter that had no part finds there is set to zero.
///   - whenFinal: told once of each parameter, by its number among `parameters`, when its gradient is final: in the midst of the
///   backward pass where its last contribution is there, those that had no part at its end. Each thread is told of its own.
///   - function: gives a scalar.
public func valueAndGradient(
  parameters: [Parameter], gradientMemory: ((Parameter) -> Tensor?)? = nil, whenFinal: ((_ number: Int) -> Void)? = nil,
  _ function: () throws -> Tensor
) rethrows -> (value: Tensor, gradients: [Tensor]) {
  let tape = Tape(gradientMemory: gradientMemory, numbering: whenFinal == nil ? nil : parameters)
  let value = try tape.recording(function)
  var gradients = [Tensor?](repeating: nil, count: parameters.count)
  func finish(_ number: Int) -> Tensor {
    let gradient = finalGradient(of: parameters[number], on: tape, gradientMemory)
    gradients[number] = gradient
    whenFinal?(number)
    return gradient
  }
  tape.backward(from: value) { _ = finish($0) }
  return (value.detached(), parameters.indices.map { gradients[$0] ?? finish($0) })
}

/// What a parameter got on a tape that was gone back through; zeros if it had no part in the loss.
private func finalGradient(of parameter: Parameter, on tape: Tape, _ memory: ((Parameter) -> Tensor?)?) -> Tensor {
  if let gradient = tape.gradient(of: parameter) { return gradient }
  guard let memory = memory?(parameter) else { return Tensor.zeros(parameter.shape) }
  ck_fill(memory.kernelType, memory.pointer, 0, memory.count)
  return memory
}

/// Runs `body` while no tape records on this thread: what it computes are constants.
public func withoutRecording<Result>(_ body: () throws -> Result) rethrows -> Result { try Tape.paused(body) }
