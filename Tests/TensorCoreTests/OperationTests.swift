import Basics
import ModelTestSupport
import TensorCore
import Testing

/// Every differentiable operation against PyTorch's numbers and against finite differences.
struct OperationTests {
  /// What the fixture holds for a case.
  private struct Numbers {
    let inputs, gradients: [Tensor]
    let output, cotangent: Tensor
    let integers: [Int32]

    init(_ name: String) throws {
      let fixture = try Fixture("operations")
      inputs = try fixture.series("\(name)/input/")
      gradients = try fixture.series("\(name)/gradient/")
      output = try fixture.tensor("\(name)/output")
      cotangent = try fixture.tensor("\(name)/cotangent")
      integers = fixture.contains("\(name)/integers") ? try fixture.integers("\(name)/integers") : []
    }
  }

  @Test(arguments: OperationCase.all)
  func agreesWithPyTorch(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    #expect(relativeError(operation(n.inputs, n.integers, .float32), n.output) < 1e-5)
    let (_, gradients) = valueAndGradient(of: n.inputs) { (operation($0, n.integers, .float32) * n.cotangent).sum() }
    #expect(gradients.count == n.gradients.count && !gradients.isEmpty)
    for (gradient, expected) in zip(gradients, n.gradients) {
      #expect(relativeError(gradient, expected) < 1e-5)
    }
  }

  /// A tensor is a value, forwards and backwards.
  @Test(arguments: OperationCase.all)
  func inputsStayAsTheyAre(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    let (inputs, cotangent) = (n.inputs.map(\.scalars), n.cotangent.scalars)
    for type in [ElementType.float32, .bfloat16] {
      let (_, gradients) = valueAndGradient(of: n.inputs) { (operation($0, n.integers, type) * n.cotangent).sum() }
      let before = gradients.map(\.scalars)
      _ = valueAndGradient(of: n.inputs) { (operation($0, n.integers, type) * n.cotangent).sum() }
      #expect(n.inputs.map(\.scalars) == inputs && n.cotangent.scalars == cotangent)
      // A gradient that was handed out belongs to whoever has it.
      #expect(gradients.map(\.scalars) == before)
    }
  }

  /// (f(x + ε) - f(x - ε)) / 2ε for each element of each input; the results are weighted and summed in float64.
  @Test(arguments: OperationCase.all.filter(\.isTrueGradient))
  func agreesWithFiniteDifferences(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    let cotangent = n.cotangent.scalars.map(Double.init)
    let (_, gradients) = valueAndGradient(of: n.inputs) { (operation($0, n.integers, .float32) * n.cotangent).sum() }
    for (i, input) in n.inputs.enumerated() {
      let scalars = input.scalars
      let differences = scalars.indices.map { j in
        func value(at x: Float) -> Double {
          var changed = scalars
          changed[j] = x
          var inputs = n.inputs
          inputs[i] = Tensor(changed, shape: input.shape)
          let output = operation(inputs, n.integers, .float32).scalars
          return zip(output, cotangent).reduce(0) { $0 + Double($1.0) * $1.1 }
        }
        let (above, below) = (scalars[j] + 5e-3, scalars[j] - 5e-3)
        return (value(at: above) - value(at: below)) / (Double(above) - Double(below))
      }
      #expect(relativeError(gradients[i].scalars.map(Double.init), differences) < 1e-3)
    }
  }

  /// A variable that is used twice gets twice the gradient, and a parameter's memory may hold anything beforehand.
  @Test(arguments: OperationCase.all)
  func sumsGradientsIntoMemory(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    let parameters = n.inputs.map { Parameter($0) }
    let memory = parameters.map { Tensor(repeating: .nan, shape: $0.shape) }
    func memory(of parameter: Parameter) -> Tensor? { parameters.firstIndex { $0 === parameter }.map { memory[$0] } }
    let (_, gradients) = valueAndGradient(parameters: parameters, gradientMemory: memory(of:)) {
      func once() -> Tensor { (operation(parameters.map { $0() }, n.integers, .float32) * n.cotangent).sum() }
      return once() + once()
    }
    for (i, expected) in n.gradients.enumerated() {
      #expect(relativeError(gradients[i], expected * 2) < 1e-5)
      #expect(memory[i].scalars == gradients[i].scalars)
    }
  }

  /// Every operation names all that it adds to: of an input that is used again later, nothing comes after it is said to be final.
  @Test(arguments: OperationCase.all)
  func nothingIsAddedToAFinalGradient(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    let parameters = n.inputs.map { Parameter($0) }
    let memory = parameters.map { Tensor(repeating: .nan, shape: $0.shape) }
    var told: [(number: Int, gradient: [Float])] = []
    let (_, gradients) = valueAndGradient(
      parameters: parameters, gradientMemory: { parameter in memory[parameters.firstIndex { $0 === parameter } ?? 0] },
      whenFinal: { told.append(($0, memory[$0].scalars)) }
    ) {
      let first = (operation(parameters.map { $0() }, n.integers, .float32) * n.cotangent).sum()
      return parameters.reduce(first) { $0 + $1().sum() }
    }
    #expect(told.map(\.number).sorted() == Array(parameters.indices))
    for (number, gradient) in told { #expect(gradient == gradients[number].scalars) }
  }

  /// The reference has the same rounded inputs, so that only what the operation itself rounds is seen: bfloat16 has
  /// eight bits of precision, and what is summed of a few rounded terms has little less.
  @Test(arguments: OperationCase.all)
  func bfloat16AgreesWithFloat32(_ operation: OperationCase) throws {
    let n = try Numbers(operation.name)
    let rounded = n.inputs.enumerated().map {
      operation.activations.contains($0) ? $1.cast(to: .bfloat16).cast(to: .float32) : $1
    }
    let cotangent = n.cotangent.cast(to: .bfloat16).cast(to: .float32)
    func run(_ type: ElementType) -> (output: Tensor, gradients: [Tensor]) {
      (
        operation(rounded, n.integers, type),
        valueAndGradient(of: rounded) { (operation($0, n.integers, type) * cotangent).sum() }.gradients
      )
    }
    let (narrow, wide) = (run(.bfloat16), run(.float32))
    #expect(relativeError(narrow.output, wide.output) < 0x1p-7)
    for (gradient, expected) in zip(narrow.gradients, wide.gradients) {
      #expect(relativeError(gradient, expected) < 0x1p-7)
    }
  }

  @Test func droppingOut() {
    let x = Tensor.normal([64, 40], seed: 1, stream: 1) + Tensor(repeating: 3, shape: [64, 40])
    let c = Tensor.normal([64, 40], seed: 1, stream: 2)
    func drop(_ x: Tensor) -> Tensor { x.droppingOut(0.3, seed: 5, stream: 1 << 40 | 9) }
    let (input, output) = (x.scalars, drop(x).scalars)
    // Element i is dropped where its word is below p·2³².
    var random = Philox(seed: 5, stream: 1 << 40 | 9)
    for (a, b) in zip(input, output) {
      let isDropped = Double(random.nextWord()) < Double(Float(0.3)) * 0x1p32
      #expect(isDropped ? b == 0 : abs(b - a / 0.7) < 1e-5)
    }
    let share = Double(output.count { $0 == 0 }) / Double(output.count)
    #expect(abs(share - 0.3) < 4 * (0.3 * 0.7 / 2560).squareRoot())
    // The operation is linear, so one large step gives the derivative along any direction.
    let direction = Tensor.normal([64, 40], seed: 1, stream: 3)
    let (_, gradients) = valueAndGradient(of: [x]) { (drop($0[0]) * c).sum() }
    let along = (gradients[0] * direction).sum().item
    let difference = ((drop(x + direction) - drop(x - direction)) * c).sum().item / 2
    #expect(abs(along - difference) < 1e-3 * max(1, abs(difference)))
    #expect(x.droppingOut(0, seed: 5, stream: 0).scalars == input)
  }

  @Test func gradientsStopAtConstants() {
    let x = Tensor([1, 2, 3], shape: [3])
    let (value, gradients) = valueAndGradient(of: [x]) { inputs in
      let constant = withoutRecording { inputs[0] * inputs[0] }
      return (constant * inputs[0] + inputs[0].detached()).sum()
    }
    #expect(value.item == 42)
    #expect(gradients[0].scalars == [1, 4, 9])
  }

  @Test func whatHasNoPartGetsZero() {
    let used = Parameter(Tensor([2], shape: [1]))
    let unused = Parameter(Tensor([5, 6], shape: [2]))
    let memory = [Tensor(repeating: .nan, shape: [1]), Tensor(repeating: .nan, shape: [2])]
    func memory(of parameter: Parameter) -> Tensor? { parameter === used ? memory[0] : memory[1] }
    let (_, gradients) = valueAndGradient(parameters: [used, unused], gradientMemory: memory(of:)) {
      (used() * used()).sum()
    }
    #expect(gradients.map(\.scalars) == [[4], [0, 0]])
    #expect(memory.map(\.scalars) == [[4], [0, 0]])
  }

  /// Results that share memory, as reshaped ones do, must not see each other's sums.
  @Test func sharedMemoryIsNotSummedTwice() {
    let x = Tensor.normal([2, 6], seed: 1, stream: 1)
    let (_, gradients) = valueAndGradient(of: [x]) { inputs in
      let y = inputs[0] * 2
      let reshaped = y.reshaped([3, 4])
      return (y + reshaped.reshaped([2, 6]) + y).sum() + (reshaped * reshaped).sum()
    }
    let expected = x.scalars.map { 6 + 8 * $0 }
    #expect(zip(gradients[0].scalars, expected).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  /// A row that is shorter than ε is divided by ε, and so is its gradient.
  @Test func shortRowsAreNotNormalized() {
    let x = Tensor([5e-7, 0, 3, 4], shape: [2, 2])
    let weights = Tensor([1, 2, 1, 0], shape: [2, 2])
    let (_, gradients) = valueAndGradient(of: [x]) { (l2Normalized($0[0], epsilon: 1e-6) * weights).sum() }
    let expected: [Float] = [1e6, 2e6, 0.2 * (1 - 0.36), -0.2 * 0.48]
    for (gradient, value) in zip(gradients[0].scalars, expected) {
      #expect(abs(gradient - value) <= 1e-6 * abs(value) + 1e-7)
    }
  }

  @Test func noRowsHaveNoNearestCodes() {
    #expect(nearestCodes(Tensor.zeros([0, 3]), codebook: Tensor.zeros([4, 3])).isEmpty)
  }
}
