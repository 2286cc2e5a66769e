import Basics
import ModelTestSupport
import NN
import Optimization
import TensorCore
import Testing

struct AdamWTests {
  private struct Weights: Module {
    let matrix: Parameter
    let bias: Parameter
  }

  private static var options: AdamW.Options {
    var options = AdamW.Options()
    options.weightDecay = 0.1
    options.epsilon = 1e-4
    options.averageDecay = 0.5
    return options
  }

  /// Three steps of PyTorch's AdamW, two of them clipped, and the moving average of the weights.
  @Test(arguments: [1, 2, 3])
  func agreesWithPyTorch(replicas: Int) throws {
    let fixture = try Fixture("optimizer")
    let model = Weights(
      matrix: Parameter(try fixture.tensor("initial/matrix"), decays: true),
      bias: Parameter(try fixture.tensor("initial/bias")))
    let store = ParameterStore(model, precision: .bfloat16)
    let optimizer = AdamW(store, options: Self.options)
    let team = try ThreadTeam(count: replicas)
    for step in 0..<3 {
      // Replicas with different gradients whose mean is the fixture's.
      let gradients = (0..<replicas).map { replica in
        let memory = Tensor.zeros([store.values.count])
        for (name, slice) in store.named(memory) {
          let gradient = try? fixture.tensor("gradient/\(step)/\(name)")
          let share = replicas == 1 ? 1 : Float(2 * replica) / Float(replicas - 1)
          if let gradient { slice.overwrite(with: gradient * share) }
        }
        return memory
      }
      let norm = optimizer.update(
        gradients: gradients, scale: 1 / Float(replicas), learningRate: 0.01, team: team,
        exchange: LocalExchange(replicas: replicas))
      #expect(relativeError(Tensor(norm), try fixture.tensor("norm/\(step)")) < 1e-5)
      let average = try #require(optimizer.average)
      for (index, name) in store.names.enumerated() {
        let weight = try fixture.tensor("weight/\(step)/\(name)")
        #expect(relativeError(store.parameters[index].value, weight) < 1e-6)
        #expect(relativeError(store.named(average)[index].tensor, try fixture.tensor("average/\(step)/\(name)")) < 1e-6)
      }
      #expect(store.operands?.scalars == store.values.cast(to: .bfloat16).scalars)
    }
    #expect(optimizer.step == 3)
  }

  /// The weights depend on the gradients, not on how many threads share the work.
  @Test func isTheSameForAnyTeam() throws {
    let results = try (1...3).map { threads in
      let model = Weights(
        matrix: Parameter(.normal([211, 307], seed: 1, stream: 1), decays: true),
        bias: Parameter(.normal([101], seed: 1, stream: 2)))
      let store = ParameterStore(model, precision: .float32)
      let optimizer = AdamW(store, options: Self.options)
      let team = try ThreadTeam(count: threads)
      for step in 0..<3 {
        let gradients = (0..<2).map {
          Tensor.normal([store.values.count], seed: 2, stream: UInt64(2 * step + $0))
        }
        optimizer.update(
          gradients: gradients, scale: 0.5, learningRate: 0.01, team: team, exchange: LocalExchange(replicas: 2))
      }
      return store.values.scalars
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  @Test(arguments: [Float.nan, .infinity])
  func leavesOutAGradientThatIsNotFinite(bad: Float) throws {
    let model = Weights(
      matrix: Parameter(Tensor(repeating: 1, shape: [4]), decays: true), bias: Parameter(.zeros([2])))
    let store = ParameterStore(model, precision: .float32)
    let optimizer = AdamW(store, options: Self.options)
    let trainer = ReplicaTrainer(optimizer, team: try ThreadTeam(count: 1))
    func loss(_ factor: Float) -> Tensor {
      // Through a reshape, so that the gradient is added to memory rather than written by a kernel.
      (model.matrix().reshaped([2, 2]) * factor).sum() + (model.bias() * model.bias()).sum()
    }
    let first = trainer.step(learningRate: 0.1) { _ in loss(1) }
    #expect(first.gradientNorm == 2)
    let (weights, moments) = (store.values.scalars, optimizer.firstMoment.scalars)
    #expect(!trainer.step(learningRate: 0.1) { _ in loss(bad) }.gradientNorm.isFinite)
    #expect(store.values.scalars == weights)
    #expect(optimizer.firstMoment.scalars == moments)
    // Training goes on afterwards.
    #expect(trainer.step(learningRate: 0.1) { _ in loss(1) }.gradientNorm == 2)
    #expect(store.values.scalars != weights && store.values.scalars.allSatisfy(\.isFinite))
  }
}
