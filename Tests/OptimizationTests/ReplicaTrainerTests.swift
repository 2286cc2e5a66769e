import Basics
import ModelTestSupport
import NN
import Optimization
import TensorCore
import Testing

struct ReplicaTrainerTests {
  private struct Net: Module {
    let first, second: Linear

    init() {
      var initializer = Initializer(seed: 3)
      first = Linear(6, 20, &initializer)
      second = Linear(20, 3, &initializer)
    }

    func callAsFunction(_ x: Tensor) -> Tensor { second(first(x).applying(.gelu)) }
  }

  private struct Run {
    var losses: [Float] = []
    var norms: [Float] = []
    var firstGradient = Tensor.zeros([0])
    var weights = Tensor.zeros([0])
  }

  private func train(threads: Int, precision: ElementType) throws -> Run {
    let net = Net()
    let store = ParameterStore(net, precision: precision)
    var options = AdamW.Options()
    options.epsilon = 1e-4
    let trainer = ReplicaTrainer(AdamW(store, options: options), team: try ThreadTeam(count: threads))
    let x = Tensor.normal([12, 6], seed: 4, stream: 1)
    let target = Tensor.normal([12, 3], seed: 4, stream: 2)
    var run = Run()
    for step in 0..<20 {
      let result = trainer.step(learningRate: 0.01) { replica in
        let range = replica.range(of: 12)
        let rows = x.view(range.lowerBound * 6..<range.upperBound * 6, shape: [range.count, 6])
        let expected = target.view(range.lowerBound * 3..<range.upperBound * 3, shape: [range.count, 3])
        return meanSquaredError(net(rows.cast(to: precision)).cast(to: .float32), expected) * (Float(range.count) / 12)
      }
      run.losses.append(result.loss)
      run.norms.append(result.gradientNorm)
      if step == 0 {
        run.firstGradient = Tensor(trainer.optimizer.firstMoment.scalars, shape: [store.values.count])
      }
    }
    run.weights = store.values
    return run
  }

  @Test(arguments: [2, 3])
  func moreThreadsGiveTheSameGradient(threads: Int) throws {
    let (one, many) = (try train(threads: 1, precision: .float32), try train(threads: threads, precision: .float32))
    #expect(relativeError(many.firstGradient, one.firstGradient) < 1e-6)
    #expect(abs(many.losses[0] - one.losses[0]) < 1e-6 * one.losses[0])
    #expect(abs(many.norms[0] - one.norms[0]) < 1e-6 * one.norms[0])
    #expect(relativeError(many.weights, one.weights) < 1e-4)
    #expect(one.losses[19] < 0.9 * one.losses[0])
  }

  @Test(arguments: [1, 2, 3], [ElementType.float32, .bfloat16])
  func repeatsBitForBit(threads: Int, precision: ElementType) throws {
    let (first, second) = (
      try train(threads: threads, precision: precision), try train(threads: threads, precision: precision)
    )
    #expect(first.losses == second.losses && first.norms == second.norms)
    #expect(first.weights.scalars == second.weights.scalars)
  }
}
