import Basics
import Foundation
import ModelTestSupport
import TensorCore
import Testing

@testable import NN
@testable import Optimization
@testable import Rankers

/// A whole small ranker against PyTorch's.
struct RankerTests {
  private let fixture: Fixture
  private let texts: [[Int32]] = [[1, 4, 10, 0], [3, 3], [], [2, 9, 5, 8, 6, 1], [3, 3]]
  /// The second and the fifth caption are the same, and the first one goes with the fourth picture, too.
  private let isOther = (0..<25).map { ![0 * 5 + 3, 1 * 5 + 4, 4 * 5 + 1].contains($0) }

  init() throws { fixture = try Fixture("ranker") }

  private func model() throws -> Ranker {
    var c = Ranker.Configuration()
    (c.textLength, c.textVocabulary, c.width, c.layers, c.heads) = (4, 11, 16, 2, 2)
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.embeddingWidth) = (8, 2, 16, 1, 6)
    let model = Ranker(c, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }

  private func batchLoss(_ model: Ranker, precision: ElementType = .float32) throws -> Tensor {
    let pictures = try fixture.tensor("pictures")
    return model.loss(model.embeddings(texts: texts, pictures: pictures, precision: precision), isOther: isOther)
  }

  @Test func agreesWithPyTorch() throws {
    let model = try model()
    let (loss, gradients) = try valueAndGrad(model) { try batchLoss($0) }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 5e-5, "the gradient of \(name)")
    }
    let embeddings = model.embeddings(texts: texts, pictures: try fixture.tensor("pictures"), precision: .float32)
    #expect(relativeError(embeddings.texts, try fixture.tensor("text embeddings")) < 1e-5)
    #expect(relativeError(embeddings.pictures, try fixture.tensor("picture embeddings")) < 1e-5)
  }

  /// Pictures that go with no caption, in one part and in two.
  @Test(arguments: [[0..<5], [0..<2, 2..<5]])
  func failuresAgreeWithPyTorch(shards: [Range<Int>]) throws {
    let model = try model()
    let (pixels, failures) = (try fixture.tensor("pictures"), try fixture.tensor("failures"))
    func part(_ pictures: Tensor, _ range: Range<Int>) -> Tensor {
      pictures.view(range.lowerBound * 192..<range.upperBound * 192, shape: [range.count, 8, 8, 3])
    }
    var sums: [Tensor] = []
    for own in shards.indices {
      let (loss, gradients) = valueAndGrad(model) { model in
        let parts = shards.enumerated().map { number, range in
          // The first part has one failure, the last all others.
          let shown = shards.count == 1 ? 0..<3 : number == 0 ? 0..<1 : 1..<3
          return model.embeddings(
            texts: Array(texts[range]), pictures: part(pixels, range), failures: part(failures, shown),
            precision: .float32)
        }
        let tensors = parts.enumerated().map { part, embeddings in
          embeddings.tensors.map { ($0.name, part == own ? $0.tensor : $0.tensor.detached()) }
        }
        return model.loss(Ranker.joined(tensors), isOther: isOther, learnsScale: own == 0)
      }
      #expect(relativeError(loss, try fixture.tensor("loss with failures")) < 1e-5)
      sums = sums.isEmpty ? gradients : zip(sums, gradients).map { $0 + $1 }
    }
    for ((name, _), gradient) in zip(model.namedParameters(), sums) {
      let expected = try fixture.tensor("gradient with failures/\(name)")
      #expect(relativeError(gradient, expected) < 5e-5, "the gradient of \(name)")
    }
  }

  /// Two replicas, each with a part of the batch, learn from all pairs: the step is that of the whole batch.
  @Test(arguments: [1, 2, 3])
  func replicasLearnAsPyTorchDoes(threads: Int) throws {
    let model = try model()
    var options = AdamW.Options()
    options.weightDecay = 0.1
    options.epsilon = 1e-4
    options.maximumGradientNorm = 0.5
    let team = try ThreadTeam(count: threads)
    let trainer = ReplicaTrainer(AdamW(ParameterStore(model, precision: .float32), options: options), team: team)
    let pixels = try fixture.tensor("pictures")
    let result = trainer.step(learningRate: 0.01) { replica in
      let range = replica.range(of: texts.count)
      let pictures = pixels.view(range.lowerBound * 192..<range.upperBound * 192, shape: [range.count, 8, 8, 3])
      let own = model.embeddings(texts: Array(texts[range]), pictures: pictures, precision: .float32)
      return model.loss(
        Ranker.joined(replica.gather(own.tensors)), isOther: isOther, learnsScale: replica.number == 0)
    }
    #expect(relativeError(Tensor(result.gradientNorm), try fixture.tensor("norm")) < 1e-5)
    for (name, tensor) in model.namedTensors() {
      #expect(relativeError(tensor, try fixture.tensor("updated/\(name)")) < 5e-5, "\(name)")
    }
  }

  @Test func whatIsNoWrongAnswerPlaysNoPart() throws {
    let model = try model()
    let embeddings = model.embeddings(texts: texts, pictures: try fixture.tensor("pictures"), precision: .float32)
    func loss(_ isOther: [Bool]) -> Float { model.loss(embeddings, isOther: isOther).item }
    // Nothing to be told apart from: the answer is certain.
    #expect(abs(loss(Array(repeating: false, count: 25))) < 1e-6)
    let all = loss(Array(repeating: true, count: 25))
    #expect(loss(isOther) < all)
    // The diagonal plays no part.
    #expect(loss((0..<25).map { $0 / 5 != $0 % 5 }) == all)
  }

  @Test func theScaleIsBounded() throws {
    let model = try model()
    model.finishStep()
    #expect(model.logScale.value.item == (try fixture.tensor("initial/logScale")).item)
    model.logScale.overwrite(with: Tensor([7], shape: [1, 1]))
    model.finishStep()
    #expect(abs(exp(model.logScale.value.item) - 100) < 1e-3)
  }

  @Test func aPictureAndACaptionDependOnNoOthers() throws {
    let model = try model()
    let pixels = try fixture.tensor("pictures")
    let all = model.embeddings(texts: texts, pictures: pixels, precision: .float32)
    for b in texts.indices {
      let one = model.embeddings(
        texts: [texts[b]], pictures: pixels.view(b * 192..<(b + 1) * 192, shape: [1, 8, 8, 3]), precision: .float32)
      #expect(relativeError(one.texts, all.texts.view(b * 6..<(b + 1) * 6, shape: [1, 6])) < 1e-5)
      #expect(relativeError(one.pictures, all.pictures.view(b * 6..<(b + 1) * 6, shape: [1, 6])) < 1e-5)
    }
    // What is cut changes nothing; the order of tokens matters.
    let texts = model.text([[2, 9, 5, 8, 0], [2, 9, 5, 8], [9, 2, 5, 8]], precision: .float32).scalars
    #expect(texts[0..<6] == texts[6..<12] && texts[6..<12] != texts[12..<18])
  }

  @Test func bfloat16StaysClose() throws {
    let model = try model()
    let (narrow, wide) = (try batchLoss(model, precision: .bfloat16).item, try batchLoss(model).item)
    #expect(abs(narrow - wide) < 0.05 * wide)
  }
}
