import Foundation
import NN
import TensorCore
import TestSupport
import Testing

@testable import Priors

/// The small model that the fixture `prior` holds, and its batch.
struct PriorFixture {
  let fixture: Fixture
  let batch: TransformerPrior.Batch

  init() throws {
    fixture = try Fixture("prior")
    batch = .init(
      texts: [[1, 4, 10, 0, 7], [3, 3], [], [2, 9, 5, 8, 6, 1, 4], [10]], images: try fixture.integers("images"))
  }

  func model() throws -> TransformerPrior {
    var configuration = TransformerPrior.Configuration()
    configuration.textLength = 5
    configuration.gridSide = 3
    configuration.textVocabulary = 11
    configuration.imageVocabulary = 13
    configuration.width = 16
    configuration.layers = 2
    configuration.heads = 2
    configuration.dropout = 0
    let model = TransformerPrior(configuration, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.assign(try fixture.tensor("initial/\(name)")) }
    return model
  }
}

/// A whole small prior against PyTorch's.
struct TransformerPriorTests {
  private let prior: PriorFixture

  init() throws { prior = try PriorFixture() }

  @Test func agreesWithPyTorch() throws {
    let model = try prior.model()
    let (loss, gradients) = valueAndGrad(model) { $0.loss(prior.batch, precision: .float32).total }
    #expect(relativeError(loss, try prior.fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      let error = relativeError(gradient, try prior.fixture.tensor("gradient/\(name)"))
      #expect(error < 2e-5, "the gradient of \(name)")
    }
    let logits = model.imageLogits(prior.batch, precision: .float32)
    #expect(relativeError(logits, try prior.fixture.tensor("image logits")) < 1e-5)
  }

  @Test func learnsAsPyTorchDoes() throws {
    let model = try prior.model()
    var options = AdamW.Options()
    options.weightDecay = 0.1
    options.epsilon = 1e-4
    options.maximumGradientNorm = 0.5
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32), options: options), team: try ThreadTeam(count: 1))
    let result = trainer.step(learningRate: 0.01) { _ in model.loss(prior.batch, precision: .float32).total }
    #expect(relativeError(Tensor(result.gradientNorm), try prior.fixture.tensor("norm")) < 1e-5)
    for (name, tensor) in model.namedTensors() {
      #expect(relativeError(tensor, try prior.fixture.tensor("updated/\(name)")) < 2e-5, "\(name)")
    }
  }

  @Test func bfloat16StaysClose() throws {
    let model = try prior.model()
    let narrow = model.loss(prior.batch, precision: .bfloat16)
    let wide = model.loss(prior.batch, precision: .float32)
    #expect(abs(narrow.total.item - wide.total.item) < 0.02 * wide.total.item)
    #expect(abs(narrow.text - wide.text) < 0.02 * wide.text)
  }

  @Test func laterTokensDoNotReachEarlierOnes() throws {
    let model = try prior.model()
    let before = model.imageLogits(prior.batch, precision: .float32).scalars
    var changed = prior.batch
    // The fifth image token of the first picture is the input of the sixth prediction.
    changed.images[4] = (changed.images[4] + 1) % 13
    let after = model.imageLogits(changed, precision: .float32).scalars
    #expect(before[..<(5 * 13)] == after[..<(5 * 13)])
    #expect(zip(before[(5 * 13)..<(6 * 13)], after[(5 * 13)..<(6 * 13)]).allSatisfy { $0 != $1 })
    #expect(before[(9 * 13)...] == after[(9 * 13)...])
  }

  @Test func dropoutDependsOnStepAndShardAlone() throws {
    let model = try prior.model()
    func loss(step: Int, shard: Int) -> Float {
      let dropout = DropoutStream(probability: 0.2, seed: 9, step: step, shard: shard)
      return model.loss(prior.batch, precision: .float32, dropout: dropout).total.item
    }
    #expect(loss(step: 1, shard: 0) == loss(step: 1, shard: 0))
    #expect(Set([loss(step: 1, shard: 0), loss(step: 2, shard: 0), loss(step: 1, shard: 1)]).count == 3)
  }

  #if os(Linux)
    /// In a process of its own, where no other test takes memory meanwhile.
    @Test func trainingTakesNoMoreMemory() async {
      await #expect(processExitsWith: .success) {
        let prior = try PriorFixture()
        let model = try prior.model()
        let trainer = ReplicaTrainer(
          AdamW(ParameterStore(model, precision: Engine.preferredPrecision)), team: try ThreadTeam(count: 2))
        func train(_ steps: Int) {
          for step in 0..<steps {
            _ = trainer.step(learningRate: 1e-3) { shard in
              let dropout = DropoutStream(probability: 0.1, seed: 1, step: step, shard: shard)
              return model.loss(prior.batch, share: 0.5, precision: Engine.preferredPrecision, dropout: dropout).total
            }
          }
        }
        func residentPages() throws -> Int {
          let words = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
          return try #require(Int(words[1]))
        }
        train(50)
        let before = try residentPages()
        train(200)
        let after = try residentPages()
        #expect(Double(after) <= 1.01 * Double(before), "\(before) pages became \(after)")
      }
    }
  #endif
}
