import Basics
import Foundation
import ModelTestSupport
import TensorCore
import Testing

@testable import NN
@testable import Optimization
@testable import Priors

/// The small model that the fixture `prior` holds, or `prior-residual` with several codes a place, and its batch.
struct PriorFixture {
  let fixture: Fixture
  let batch: TransformerPrior.Batch
  private let depth: Int

  init(depth: Int = 1) throws {
    precondition(depth == 1 || depth == 3)
    self.depth = depth
    fixture = try Fixture(depth == 1 ? "prior" : "prior-residual")
    batch = .init(
      texts: [[1, 4, 10, 0, 7], [3, 3], [], [2, 9, 5, 8, 6, 1, 4], [10]], images: try fixture.integers("images"))
  }

  func model(attention: [AttentionKind]? = nil) throws -> TransformerPrior {
    var configuration = TransformerPrior.Configuration()
    configuration.textLength = 5
    configuration.gridSide = 3
    configuration.textVocabulary = 11
    configuration.imageVocabulary = 13 * depth
    configuration.depth = depth
    configuration.width = 16
    configuration.layers = 2
    configuration.heads = 2
    configuration.dropout = 0
    configuration.attention = attention
    let model = TransformerPrior(configuration, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }
}

/// A whole small prior against PyTorch's.
struct TransformerPriorTests {
  private let prior: PriorFixture

  init() throws { prior = try PriorFixture() }

  @Test func anotherVocabularyBeginsWithTheMeansOfTheOldOne() throws {
    let old = try prior.model()
    var configuration = old.configuration
    (configuration.textVocabulary, configuration.textLength) = (4, 3)
    let new = TransformerPrior(configuration, seed: 9)
    let untouched = TransformerPrior(configuration, seed: 9)
    new.adopt(old, pieces: [[7], [1, 4], [10], [0, 1, 2]])
    let width = configuration.width
    func rows(_ parameter: Parameter, _ indices: [Int]) -> [[Float]] {
      indices.map { Array(parameter.value.scalars[$0 * width..<($0 + 1) * width]) }
    }
    for table in [\TransformerPrior.textEmbedding.weight, \.textHead.weight] {
      let before = rows(old[keyPath: table], Array(0..<11))
      let after = rows(new[keyPath: table], Array(0..<4))
      #expect(after[0] == before[7] && after[2] == before[10])
      #expect(zip(after[1], zip(before[1], before[4])).allSatisfy { abs($0 - ($1.0 + $1.1) / 2) < 1e-6 })
      #expect(
        zip(after[3], before[0].indices.map { (before[0][$0] + before[1][$0] + before[2][$0]) / 3 }).allSatisfy {
          abs($0 - $1) < 1e-6
        })
    }
    #expect(rows(new.textPosition.weight, [0, 1, 2]) == rows(old.textPosition.weight, [0, 1, 2]))
    #expect(new.imageHead.weight.value.scalars == old.imageHead.weight.value.scalars)

    // The other way round there are more positions than were learnt, and those stay as they began.
    configuration.textLength = 7
    let longer = TransformerPrior(configuration, seed: 9)
    longer.adopt(untouched, pieces: (0..<4).map { [$0] })
    #expect(rows(longer.textPosition.weight, [0, 2]) == rows(untouched.textPosition.weight, [0, 2]))
    let fresh = TransformerPrior(configuration, seed: 9)
    #expect(rows(longer.textPosition.weight, [3, 6]) == rows(fresh.textPosition.weight, [3, 6]))
  }

  @Test(arguments: [1, 3])
  func agreesWithPyTorch(depth: Int) throws {
    let prior = try PriorFixture(depth: depth)
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

  /// A batch that is split over threads has the gradient of the whole one, however unlike the parts' captions are.
  @Test func shardsMakeUpTheWhole() throws {
    let model = try prior.model()
    let whole = valueAndGrad(model) { $0.loss(prior.batch, precision: .float32).total }
    let targets = Float(model.textTargetCount(prior.batch.texts))
    #expect(targets == 4 + 1 + 0 + 4 + 0)
    let split = valueAndGrad(model) { model in
      let parts = [0..<2, 2..<5].map { range in
        let part = TransformerPrior.Batch(
          texts: Array(prior.batch.texts[range]),
          images: Array(prior.batch.images[range.lowerBound * 9..<range.upperBound * 9]))
        return model.loss(
          part, share: Float(range.count) / 5, textShare: Float(model.textTargetCount(part.texts)) / targets,
          precision: .float32
        ).total
      }
      return parts[0] + parts[1]
    }
    #expect(relativeError(split.value, whole.value) < 1e-5)
    for (a, b) in zip(split.gradients, whole.gradients) { #expect(relativeError(a, b) < 1e-5) }
  }

  @Test func corruptionChangesWhatIsSeenAndNotWhatIsPredicted() throws {
    var random = Philox(seed: 3, stream: 1)
    func corrupted(_ probability: Float) -> [Int32] {
      TransformerPrior.Batch.corrupted(prior.batch.images, probability: probability, codes: 13, using: &random)
    }
    #expect(corrupted(0) == prior.batch.images)
    // Of a place's codes, those after a wrong one are wrong, too, and each is one of its own range.
    let places = TransformerPrior.Batch.corrupted(
      (0..<3000).map { Int32($0 % 3 * 13 + 5) }, probability: 0.5, refinementProbability: 0.4, codes: 13, depth: 3,
      using: &random)
    #expect(places.enumerated().allSatisfy { $0 % 3 == $1 / 13 })
    let right = stride(from: 0, to: 3000, by: 3).map { place in (0..<3).map { places[place + $0] % 13 == 5 } }
    // A random one is right by chance once in thirteen times.
    func count(_ pattern: [Bool]) -> Int { right.count { $0 == pattern } }
    #expect((150...240).contains(count([true, true, true])))
    #expect((80...190).contains(count([true, true, false])) && count([true, false, true]) < 60)
    #expect(count([false, true, true]) < 20 && (350...500).contains(count([false, false, false])))
    let all = corrupted(1)
    #expect(all.allSatisfy { (0..<13).contains($0) } && all != prior.batch.images)
    let model = try prior.model()
    func loss(_ inputs: [Int32]) -> Float {
      let batch = TransformerPrior.Batch(texts: prior.batch.texts, images: prior.batch.images, imageInputs: inputs)
      return model.loss(batch, precision: .float32).image
    }
    #expect(loss(prior.batch.images) == model.loss(prior.batch, precision: .float32).image)
    #expect(loss(all) != loss(prior.batch.images))
    // A picture's last token is predicted but never seen.
    var last = prior.batch.images
    for i in stride(from: 8, to: last.count, by: 9) { last[i] = (last[i] + 1) % 13 }
    #expect(loss(last) == loss(prior.batch.images))
  }

  @Test(arguments: [1, 3])
  func learnsAsPyTorchDoes(depth: Int) throws {
    let prior = try PriorFixture(depth: depth)
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

  /// A code sees those before it at its place, and the next place sees all.
  @Test func laterCodesOfAPlaceDoNotReachEarlierOnes() throws {
    let prior = try PriorFixture(depth: 3)
    let model = try prior.model()
    #expect(model.imageLength == 27 && model.codesPerPlace == 3)
    let before = model.imageLogits(prior.batch, precision: .float32).scalars
    for code in 0..<3 {
      let changedToken = 4 * 3 + code
      var changed = prior.batch
      changed.images[changedToken] = Int32(code * 13) + (changed.images[changedToken] + 1) % 13
      let after = model.imageLogits(changed, precision: .float32).scalars
      for token in 0..<27 {
        let range = token * 13..<(token + 1) * 13
        #expect((before[range] != after[range]) == (token > changedToken), "token \(token) of \(changedToken)")
      }
      #expect(before[(27 * 13)...] == after[(27 * 13)...])
    }
  }

  @Test(arguments: [[.row, .column], [.convolution, .row]] as [[AttentionKind]])
  func sparseLayersAgreeWithPyTorch(_ attention: [AttentionKind]) throws {
    let name = attention.map(\.rawValue).joined(separator: ",")
    let logits = try prior.model(attention: attention).imageLogits(prior.batch, precision: .float32)
    #expect(relativeError(logits, try Fixture("attention").tensor("prior/\(name)")) < 1e-5)
  }

  /// A list that is shorter than the layers begins again, and none is a list of full ones.
  @Test func masksAreRepeated() throws {
    var configuration = TransformerPrior.Configuration()
    configuration.layers = 5
    #expect(configuration.masks.map(\.kind) == Array(repeating: .full, count: 5))
    configuration.attention = [.row, .column, .row]
    #expect(configuration.masks.map(\.kind) == [.row, .column, .row, .row, .column])
    #expect(configuration.masks.allSatisfy { $0.textLength == 24 && $0.gridSide == 8 })
    configuration.layers = 2
    #expect(configuration.masks.map(\.kind) == [.row, .column])
    let full = try prior.model().imageLogits(prior.batch, precision: .float32)
    #expect(try prior.model(attention: [.full]).imageLogits(prior.batch, precision: .float32).scalars == full.scalars)
  }

  /// In a model of one layer a prediction changes with those tokens alone that its position sees.
  @Test(arguments: AttentionKind.allCases)
  func predictionsDependOnWhatTheMaskShows(_ kind: AttentionKind) throws {
    var configuration = TransformerPrior.Configuration()
    (configuration.textLength, configuration.gridSide, configuration.layers) = (3, 4, 1)
    (configuration.textVocabulary, configuration.imageVocabulary) = (7, 5)
    (configuration.width, configuration.heads, configuration.attention) = (16, 2, [kind])
    let model = TransformerPrior(configuration, seed: 1)
    let images = (0..<16).map { Int32($0 % 5) }
    func logits(_ images: [Int32]) -> [Float] {
      model.imageLogits(.init(texts: [[1, 2, 3]], images: images), precision: .float32).scalars
    }
    let before = logits(images)
    for j in 0..<15 {
      var changed = images
      changed[j] = (changed[j] + 1) % 5
      let after = logits(changed)
      for i in 0..<15 {
        // Token i predicts the next one. The kernel is 3.
        let isSeen =
          switch kind {
          case .full: j <= i
          case .row: (i - 4...i).contains(j)
          case .column: j <= i && (i - j) % 4 == 0
          case .convolution: [0, 1, 3, 4, 5].contains(i - j)
          }
        let range = (i + 1) * 5..<(i + 2) * 5
        #expect((before[range] != after[range]) == isSeen, "token \(i) of \(j)")
      }
    }
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
            _ = trainer.step(learningRate: 1e-3) { replica in
              let dropout = DropoutStream(probability: 0.1, seed: 1, step: step, shard: replica.number)
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
