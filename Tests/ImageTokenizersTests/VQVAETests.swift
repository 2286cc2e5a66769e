import ModelTestSupport
import NN
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import Optimization
@testable import TensorCore

/// A whole small VQ-VAE of either network, and one with residual codes, against PyTorch's.
struct VQVAETests {
  /// Named as its fixture.
  enum Variant: String, CaseIterable {
    case patches = "vqvae"
    case strided = "vqvae-strided"
    case residual = "vqvae-residual"
  }

  private func fixture(_ variant: Variant) throws -> Fixture { try Fixture(variant.rawValue) }

  private func model(_ variant: Variant = .patches) throws -> VQVAE {
    let fixture = try fixture(variant)
    var configuration = VQVAE.Configuration()
    configuration.network = variant == .strided ? .strided : .patches
    configuration.pictureSize = 8
    configuration.patchSize = 2
    configuration.channels = 16
    configuration.blocks = 1
    configuration.codes = 12
    configuration.codeDimensions = 4
    if variant == .residual {
      (configuration.depth, configuration.channels, configuration.codeDimensions) = (3, 8, 8)
      (configuration.patchSize, configuration.convolutionPatchSize) = (4, 2)
    }
    let model = VQVAE(configuration, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }

  @Test(arguments: Variant.allCases)
  func agreesWithPyTorch(_ variant: Variant) throws {
    let (fixture, model) = (try fixture(variant), try model(variant))
    let pictures = try fixture.tensor("pictures")
    let (loss, gradients) = valueAndGrad(model) { $0.loss(pictures, step: .init(precision: .float32)).total }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      let error = relativeError(gradient, try fixture.tensor("gradient/\(name)"))
      #expect(error < 2e-5, "the gradient of \(name)")
    }
    #expect(model.encode(pictures) == (try fixture.integers("tokens")))
    let reconstruction = model.decode(try fixture.integers("tokens"))
    #expect(relativeError(reconstruction, try fixture.tensor("reconstruction")) < 1e-5)
  }

  /// Weights and codebook after one step, from one shard or several.
  @Test(arguments: Variant.allCases, [1, 2, 4])
  func learnsAsPyTorchDoes(_ variant: Variant, shards: Int) throws {
    let (fixture, model) = (try fixture(variant), try model(variant))
    let pictures = try fixture.tensor("pictures")
    var options = AdamW.Options()
    options.weightDecay = 0.1
    options.epsilon = 1e-4
    options.maximumGradientNorm = 0.5
    let store = ParameterStore(model, precision: .float32)
    let trainer = ReplicaTrainer(AdamW(store, options: options), team: try ThreadTeam(count: shards))
    let size = pictures.count / 4
    let (result, statistics) = trainer.step(learningRate: 0.01) { replica in
      let range = replica.range(of: 4)
      let mine = pictures.view(range.lowerBound * size..<range.upperBound * size, shape: [range.count, 8, 8, 3])
      let loss = model.loss(mine, step: .init(precision: .float32))
      return (loss.total * (1 / Float(shards)), loss.statistics)
    }
    model.finishStep(statistics, step: 7, seed: 1)
    #expect(relativeError(Tensor(result.loss), try fixture.tensor("loss")) < 1e-5)
    #expect(relativeError(Tensor(result.gradientNorm), try fixture.tensor("norm")) < 1e-5)
    for (name, tensor) in model.namedTensors() {
      #expect(relativeError(tensor, try fixture.tensor("updated/\(name)")) < 2e-5, "\(name)")
    }
  }

  @Test func bfloat16StaysClose() throws {
    let model = try model()
    let pictures = try fixture(.patches).tensor("pictures")
    let narrow = model.loss(pictures, step: .init(precision: .bfloat16))
    let wide = model.loss(pictures, step: .init(precision: .float32))
    #expect(abs(narrow.total.item - wide.total.item) < 0.02 * wide.total.item)
    #expect(zip(narrow.tokens, wide.tokens).count { $0 != $1 } <= 3)
  }

  @Test(arguments: [Variant.patches, .residual])
  func overfitsOneBatch(_ variant: Variant) throws {
    let model = try model(variant)
    let pictures = try fixture(variant).tensor("pictures")
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32)), team: try ThreadTeam(count: 1))
    var errors: [Float] = []
    for step in 0..<60 {
      let (_, statistics) = trainer.step(learningRate: 3e-3) { _ in
        let loss = model.loss(pictures, step: .init(precision: .float32))
        errors.append(loss.meanSquaredError)
        return (loss.total, loss.statistics)
      }
      model.finishStep(statistics, step: step, seed: 1)
    }
    #expect(errors[59] < 0.6 * errors[0])
  }

  @Test func eachCodeOfAPlaceHasTokensOfItsOwn() throws {
    let model = try model(.residual)
    #expect(model.codesPerPlace == 3 && model.codeCount == 36 && model.tokenCount == 12 && model.gridSides == [2])
    let tokens = model.encode(try fixture(.residual).tensor("pictures"))
    for (position, token) in tokens.enumerated() { #expect(token / 12 == Int32(position % 3)) }
  }
}

struct VectorQuantizerTests {
  private func makeQuantizer(codes: Int = 6, dimensions: Int = 3) -> VectorQuantizer {
    var initializer = Initializer(seed: 2)
    return VectorQuantizer(codes: codes, dimensions: dimensions, &initializer)
  }

  private func rows(_ tensor: Tensor) -> [[Float]] {
    let scalars = tensor.scalars
    return (0..<tensor.rows).map { Array(scalars[$0 * tensor.lastDimension..<($0 + 1) * tensor.lastDimension]) }
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  @Test func codesHaveLengthOne() {
    for row in rows(makeQuantizer().codebook.value) {
      #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
    }
  }

  /// Before the first step no code means anything: each begins where data is.
  @Test func theFirstStepTakesCodesFromTheBatch() {
    let quantizer = makeQuantizer()
    let z = l2Normalized(Tensor.normal([20, 3], seed: 3, stream: 1))
    let shards = [z.view(0..<30, shape: [10, 3]), z.view(30..<60, shape: [10, 3])].map {
      quantizer.statistics($0, indices: quantizer.indices($0))
    }
    quantizer.update(shards, step: 0, seed: 5)
    let data = rows(z)
    for code in rows(quantizer.codebook.value) {
      #expect(data.contains { distance($0, code) < 1e-5 })
    }
    #expect(quantizer.counts.value.scalars.allSatisfy { abs($0 - 20.0 / 6) < 1e-5 })
  }

  @Test func deadCodesMoveToDataAndOthersStay() {
    let evenShare: Float = 20.0 / 6
    func updated(step: Int, seed: UInt64) -> (VectorQuantizer, [[Float]]) {
      let quantizer = makeQuantizer()
      // Codes 0 ..< 4 are in use; 4 is just above, 5 below the threshold of a fiftieth of an even share.
      quantizer.counts.overwrite(
        with: Tensor([3, 3, 3, 3, 0.021 / 0.98 * evenShare, 0.019 / 0.98 * evenShare], shape: [6]))
      quantizer.sums.overwrite(with: quantizer.codebook.value)
      let z = l2Normalized(Tensor.normal([20, 3], seed: 4, stream: 1))
      quantizer.update(
        [quantizer.statistics(z, indices: (0..<20).map { $0 % 4 })], step: step, seed: seed)
      return (quantizer, rows(z))
    }
    let before = rows(makeQuantizer().codebook.value)
    let (quantizer, data) = updated(step: 3, seed: 1)
    let codes = rows(quantizer.codebook.value)
    #expect(distance(codes[4], before[4]) < 1e-5)
    #expect(data.contains { distance($0, codes[5]) < 1e-5 })
    #expect(abs(quantizer.counts.value.scalars[5] - evenShare) < 1e-5)
    #expect((0..<4).allSatisfy { k in data.allSatisfy { distance($0, codes[k]) > 1e-5 } })
    // Which vector it is depends on seed and step alone.
    #expect(rows(updated(step: 3, seed: 1).0.codebook.value) == codes)
    let others = (4..<12).map { rows(updated(step: $0, seed: 1).0.codebook.value)[5] }
    #expect(Set(others).count > 3)
  }

  @Test func shardsCountAsOneBatch() {
    let z = l2Normalized(Tensor.normal([20, 3], seed: 4, stream: 1))
    func updated(_ parts: [Range<Int>]) -> VectorQuantizer {
      let quantizer = makeQuantizer()
      quantizer.counts.overwrite(with: Tensor(repeating: 3, shape: [6]))
      quantizer.sums.overwrite(with: quantizer.codebook.value * 3)
      quantizer.update(
        parts.map { part in
          let shard = z.view(part.lowerBound * 3..<part.upperBound * 3, shape: [part.count, 3])
          return quantizer.statistics(shard, indices: quantizer.indices(shard))
        }, step: 1, seed: 1)
      return quantizer
    }
    let (one, two) = (updated([0..<20]), updated([0..<7, 7..<15, 15..<20]))
    #expect(relativeError(two.codebook.value, one.codebook.value) < 1e-6)
    #expect(relativeError(two.counts.value, one.counts.value) < 1e-6)
    #expect(relativeError(two.sums.value, one.sums.value) < 1e-6)
  }
}

struct CodebookUseTests {
  @Test func perplexityIsTheNumberOfEvenlyUsedCodes() {
    let even = CodebookUse(tokens: [0, 1, 2, 3, 0, 1, 2, 3], codeCount: 10)
    #expect(abs(even.perplexity - 4) < 1e-9 && even.used == 4 && even.total == 10)
    let one = CodebookUse(tokens: [7, 7, 7], codeCount: 10)
    #expect(abs(one.perplexity - 1) < 1e-9 && one.used == 1)
    // Half, a quarter, a quarter: 1.5 bits.
    let uneven = CodebookUse(counts: [2, 1, 1])
    #expect(abs(uneven.perplexity - 2.8284271247461903) < 1e-9)
    #expect(CodebookUse(counts: [0, 0]).used == 0)
  }
}
