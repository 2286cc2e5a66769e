import Basics
import ModelTestSupport
import NN
import Optimization
import TensorCore
import Testing

@testable import Priors

/// A prior that grows.
struct BlockExpansionTests {
  private let prior: PriorFixture

  init() throws { prior = try PriorFixture(depth: 3) }

  /// With masks, too: each layer keeps its own, wherever it comes to stand.
  @Test(arguments: [nil, [AttentionKind.row, .column]])
  func computesTheSame(attention: [AttentionKind]?) throws {
    let model = try prior.model(attention: attention)
    let deeper = try model.deepened(to: 5)
    #expect(deeper.blocks.count == 5)
    #expect(deeper.configuration.attention == attention.map { _ in [.row, .row, .row, .column, .column] })
    let before = model.imageLogits(prior.batch, precision: .float32)
    let after = deeper.imageLogits(prior.batch, precision: .float32)
    #expect(relativeError(after, before) < 1e-6)
    #expect(try model.deepened(to: 2).namedParameters().map(\.name) == model.namedParameters().map(\.name))
  }

  /// What the copies end in learns at once, and what stands before that from the next step on.
  @Test func furtherLayersLearn() throws {
    let model = try prior.model().deepened(to: 4)
    let before = model.blocks.map { block in block.parameters().map(\.value.scalars) }
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32), options: AdamW.Options()), team: try ThreadTeam(count: 1))
    func loss() -> Float {
      trainer.step(learningRate: 0.003) { _ in model.loss(prior.batch, precision: .float32).total }.loss
    }
    let losses = (0..<12).map { _ in loss() }
    #expect(losses.last! < losses[0])
    for (block, before) in zip(model.blocks, before) {
      for ((name, parameter), before) in zip(block.namedParameters(), before) {
        #expect(parameter.value.scalars != before, "\(name) stays as it was")
      }
    }
  }

  @Test func losesNoLayersAndIsATransformer() throws {
    let model = try prior.model()
    let fewer = #expect(throws: PipelineError.self) { try model.deepened(to: 1) }
    #expect(fewer?.message.contains("a warm start keeps the checkpoint's 2 layers") == true && fewer?.kind == .usage)
    let other = PixelCNN.Configuration.preset(.tiny).makeModel(seed: 0)
    let grown = #expect(throws: PipelineError.self) { try other.deepened(to: 6) }
    #expect(grown?.message.contains("only a transformer takes further layers") == true && grown?.kind == .usage)
    #expect(try other.deepened(to: 5).parameterCount == other.parameterCount)
  }
}
