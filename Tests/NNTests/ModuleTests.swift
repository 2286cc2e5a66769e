import NN
import TensorCore
import Testing

struct ModuleTests {
  private struct Cell: Module {
    let norm: LayerNorm
    let layers: [Linear]
    let extra: Linear?
    let note = "not a parameter"
  }

  private struct Net: Module {
    let cells: [Cell]
    let state: Buffer
    let end: Linear?
    let absent: Linear?

    init() {
      var initializer = Initializer(seed: 1)
      cells = (0..<2).map { _ in
        Cell(
          norm: LayerNorm(3),
          layers: [Linear(3, 4, &initializer), Linear(4, 3, bias: false, &initializer)], extra: nil)
      }
      state = Buffer(.zeros([2]))
      end = Linear(3, 1, bias: false, &initializer)
      absent = nil
    }
  }

  @Test func namesArePropertyPathsInOrder() {
    let net = Net()
    let cell = ["norm.weight", "norm.bias", "layers.0.weight", "layers.0.bias", "layers.1.weight"]
    #expect(
      net.namedParameters().map(\.name) == (0..<2).flatMap { i in cell.map { "cells.\(i).\($0)" } } + ["end.weight"])
    #expect(net.namedBuffers().map(\.name) == ["state"])
    #expect(net.namedTensors().map(\.name).last == "state")
    #expect(net.parameterCount == 2 * (3 + 3 + 12 + 4 + 12) + 3)
    #expect(net.parameters().filter(\.decays).count == 5)
  }

  @Test func gradientsComeInTheOrderOfParameters() {
    var initializer = Initializer(seed: 1)
    let layer = Linear(3, 2, &initializer)
    let x = Tensor([1, 2, 3], shape: [1, 3])
    let (_, gradients) = valueAndGrad(layer) { $0(x).sum() }
    #expect(gradients.map(\.scalars) == [[1, 2, 3, 1, 2, 3], [1, 1]])
  }

  @Test func initialWeightsHaveTheirVariances() {
    var initializer = Initializer(seed: 7)
    func variance(_ x: Tensor) -> Float { (x * x).mean().item }
    let first = initializer.normal([200, 200], deviation: 0.5)
    let second = initializer.normal([200, 200], deviation: 0.5)
    #expect(first.scalars != second.scalars)
    // Of 40,000 numbers, within four standard errors.
    #expect(abs(variance(first) - 0.25) < 0.25 * 4 * 0.0071)
    let uniform = initializer.uniform([200, 200], fanIn: 50, gain: 2)
    #expect(abs(variance(uniform) - 4 / 50) < 4 / 50 * 4 * 0.0045)
    #expect(abs(uniform.mean().item) < 4 * (4 / 50 as Float).squareRoot() / 200)
    var again = Initializer(seed: 7)
    #expect(again.normal([200, 200], deviation: 0.5).scalars == first.scalars)
    var other = Initializer(seed: 8)
    #expect(other.normal([200, 200], deviation: 0.5).scalars != first.scalars)
    #expect(Linear(100, 4, &other).weight.value.shape == [4, 100])
    #expect(Conv2d(3, 8, kernel: 5, &other).weight.value.shape == [8, 5, 5, 3])
    #expect(ConvTransposed2d(3, 8, kernel: 4, stride: 2, &other).weight.value.shape == [3, 4, 4, 8])
  }
}
