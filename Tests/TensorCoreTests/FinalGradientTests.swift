import TensorCore
import Testing

/// What is told in the midst of a backward pass: which parameters' gradients are final.
struct FinalGradientTests {
  private let early = Parameter(Tensor([1, 2], shape: [2]))
  private let between = Parameter(Tensor([3, 4], shape: [2]))
  private let unused = Parameter(Tensor([5, 6], shape: [2]))
  private let inVain = Parameter(Tensor([7, 8], shape: [2]))
  private let late = Parameter(Tensor([9, 10], shape: [2]))

  /// From the last use to the first: a parameter that is used twice only when both have been gone back through, one that the loss
  /// does not hang on with a gradient of zeros, and one that was not used at the end.
  @Test func parametersAreFinalInTheOrderOfTheirFirstUses() {
    let parameters = [early, between, unused, inVain, late]
    let memory = parameters.map { Tensor(repeating: .nan, shape: $0.shape) }
    var told: [(number: Int, gradient: [Float])] = []
    let (value, gradients) = valueAndGradient(
      parameters: parameters, gradientMemory: { parameter in memory[parameters.firstIndex { $0 === parameter } ?? 0] },
      whenFinal: { told.append(($0, memory[$0].scalars)) }
    ) {
      let first = early() * 3
      let second = first * between()
      _ = inVain() * 2
      return (second + early() * late()).sum()
    }
    #expect(value.item == 3 * (3 + 8) + 9 + 20)
    #expect(told.map(\.number) == [4, 3, 1, 0, 2])
    let expected: [[Float]] = [[9 + 9, 12 + 10], [3, 6], [0, 0], [0, 0], [1, 2]]
    #expect(gradients.map(\.scalars) == expected)
    for (number, gradient) in told { #expect(gradient == expected[number]) }
  }

  /// Of a function within the function nothing is told: its parameters are others' business.
  @Test func anInnerFunctionTellsNothing() {
    var told: [Int] = []
    _ = valueAndGradient(parameters: [early, late], whenFinal: { told.append($0) }) {
      let inner = valueAndGradient(of: [Tensor([1, 1], shape: [2])], parameters: [late]) { ($0[0] * late()).sum() }
      return (early() * inner.gradients[1]).sum()
    }
    #expect(told == [0, 1])
  }

  /// Where nobody asks, the gradients are the same.
  @Test func tellingChangesNothing() {
    func gradients(_ whenFinal: ((Int) -> Void)?) -> [[Float]] {
      valueAndGradient(parameters: [early, between], whenFinal: whenFinal) { (early() * between() + early()).sum() }
        .gradients.map(\.scalars)
    }
    #expect(gradients(nil) == gradients { _ in })
  }
}
