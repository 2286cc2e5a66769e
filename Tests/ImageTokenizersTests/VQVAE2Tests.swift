import ModelTestSupport
import NN
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import Optimization
@testable import TensorCore

/// A whole small VQ-VAE-2 of three levels against PyTorch's.
struct VQVAE2Tests {
  private let fixture: Fixture

  init() throws { fixture = try Fixture("vqvae2") }

  private func configuration(levels: Int = 3) -> VQVAE2.Configuration {
    var configuration = VQVAE2.Configuration()
    (configuration.pictureSize, configuration.patchSize, configuration.levels) = (16, 2, levels)
    (configuration.channels, configuration.blocks, configuration.codes, configuration.codeDimensions) = (8, 1, 12, 4)
    return configuration
  }

  private func model() throws -> VQVAE2 {
    let model = VQVAE2(configuration(), seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }

  /// The second picture is decoded from its top level alone.
  private let kept: [Set<Int>] = [[0, 1, 2], [0]]

  @Test func agreesWithPyTorch() throws {
    let model = try model()
    let pictures = try fixture.tensor("pictures")
    let (loss, gradients) = valueAndGrad(model) {
      $0.loss($0.forward(pictures, kept: kept, precision: .float32), pictures).total
    }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    #expect(model.namedParameters().count == gradients.count && gradients.count > 80)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 5e-5, "the gradient of \(name)")
    }
    let tokens = try fixture.integers("tokens")
    #expect(model.gridSides == [2, 4, 8] && model.tokenCount == 84 && model.codeCount == 36)
    #expect(model.encode(pictures) == tokens)
    #expect(relativeError(model.decode(tokens), try fixture.tensor("reconstruction")) < 1e-5)
    let partial = model.decode(Array(tokens.suffix(84)), keeping: [0])
    #expect(relativeError(partial, try fixture.tensor("partial")) < 1e-5)
  }

  @Test func tokensSplitIntoLevels() throws {
    let model = try model()
    let tokens = try fixture.integers("tokens")
    let levels = model.split(tokens)
    #expect(levels.map(\.count) == [8, 32, 128])
    #expect(levels.allSatisfy { $0.allSatisfy { (0..<12).contains($0) } })
    #expect(model.joined(levels) == tokens)
    // Of one picture the same as in company.
    #expect(
      model.encode(try fixture.tensor("pictures").view(0..<768, shape: [1, 16, 16, 3])) == Array(tokens.prefix(84)))
  }

  /// A level that is left out has no say in the picture; one that is kept has.
  @Test func levelsAloneDependOnTheirOwnTokens() throws {
    let model = try model()
    let tokens = Array(try fixture.integers("tokens").prefix(84))
    func changed(level: Int) -> [Int32] {
      var levels = model.split(tokens)
      levels[level] = levels[level].map { ($0 + 1) % 12 }
      return model.joined(levels)
    }
    for kept in [[0], [1], [2], [0, 1], [1, 2]] as [Set<Int>] {
      let picture = model.decode(tokens, keeping: kept).scalars
      for level in 0..<3 {
        let other = model.decode(changed(level: level), keeping: kept).scalars
        #expect((other == picture) == !kept.contains(level), "level \(level) of \(kept)")
      }
    }
    #expect(model.decode(tokens, keeping: [0, 1, 2]).scalars == model.decode(tokens).scalars)
  }

  @Test(arguments: [2, 3]) func levelsAreLeftOutAsOftenAsAskedFor(levels: Int) {
    var configuration = configuration(levels: levels)
    configuration.levelDropout = 0.25
    let model = VQVAE2(configuration, seed: 1)
    let kept = model.keptLevels(pictures: 8000, noise: .init(seed: 4, stream: 2))
    let whole = Set(0..<levels)
    #expect(abs(Double(kept.count { $0 != whole }) / 8000 - 0.25) < 0.02)
    #expect(Set(kept.filter { $0 != whole }) == Set(model.partialLevels))
    #expect(!model.partialLevels.contains(whole) && model.partialLevels.allSatisfy { !$0.isEmpty })
    #expect(model.keptLevels(pictures: 8000, noise: .init(seed: 4, stream: 2)) == kept)
  }

  @Test(arguments: [2, 3]) func overfitsOneBatch(levels: Int) throws {
    let model = VQVAE2(configuration(levels: levels), seed: 2)
    // Coarse squares, which codes can carry.
    let coarse = Tensor.uniform([4, 4, 4, 3], seed: 1, stream: 1).scalars
    var pixels: [Float] = []
    for b in 0..<4 {
      for i in 0..<16 {
        for j in 0..<16 { for c in 0..<3 { pixels.append(coarse[((b * 4 + i / 4) * 4 + j / 4) * 3 + c]) } }
      }
    }
    let pictures = Tensor(pixels, shape: [4, 16, 16, 3])
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32)), team: try ThreadTeam(count: 1))
    for step in 0..<150 {
      let (_, statistics) = trainer.step(learningRate: 3e-3) { _ in
        let loss = model.loss(
          pictures, step: .init(noise: .init(seed: 1, stream: UInt64(step)), precision: .float32))
        return (loss.total, loss.statistics)
      }
      model.finishStep(statistics, step: step, seed: 1)
    }
    func error(_ kept: Set<Int>) -> Float {
      meanSquaredError(model.decode(model.encode(pictures), keeping: kept), pictures).item
    }
    let (all, top) = (error(Set(0..<levels)), error([0]))
    #expect(all < 0.02 && all < top, "\(all) of all levels, \(top) of the top")
  }

  @Test func bfloat16StaysClose() throws {
    let model = try model()
    let pictures = try fixture.tensor("pictures")
    let narrow = model.loss(model.forward(pictures, kept: kept, precision: .bfloat16), pictures).total.item
    let wide = model.loss(model.forward(pictures, kept: kept, precision: .float32), pictures).total.item
    #expect(abs(narrow - wide) < 0.05 * wide)
  }
}
