import Foundation
import ModelTestSupport
import NN
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import Optimization
@testable import TensorCore

/// A whole small discrete VAE against PyTorch's, with the same Gumbel numbers.
struct DiscreteVAETests {
  private let fixture: Fixture

  init() throws { fixture = try Fixture("dvae") }

  private func model() throws -> DiscreteVAE {
    var configuration = DiscreteVAE.Configuration()
    (configuration.pictureSize, configuration.patchSize, configuration.channels) = (8, 2, 8)
    (configuration.blocks, configuration.codes, configuration.codeDimensions) = (1, 12, 4)
    configuration.logitScale = 3
    let model = DiscreteVAE(configuration, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }

  private func loss(_ model: DiscreteVAE, precision: ElementType = .float32) throws -> ImageTokenizerLoss {
    let settings = try fixture.tensor("settings").scalars
    let pictures = try fixture.tensor("pictures")
    return model.loss(
      model.forward(
        pictures, gumbel: try fixture.tensor("gumbel"), temperature: settings[0], klWeight: settings[1],
        precision: precision), pictures)
  }

  @Test func agreesWithPyTorch() throws {
    let model = try model()
    let (loss, gradients) = try valueAndGrad(model) { try self.loss($0).total }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 5e-5, "the gradient of \(name)")
    }
    let tokens = try fixture.integers("tokens")
    #expect(model.encode(try fixture.tensor("pictures")) == tokens)
    #expect(try self.loss(model).tokens == tokens)
    #expect(relativeError(model.decode(tokens), try fixture.tensor("reconstruction")) < 1e-5)
  }

  @Test func bfloat16StaysClose() throws {
    let model = try model()
    let (narrow, wide) = (try loss(model, precision: .bfloat16), try loss(model))
    #expect(abs(narrow.total.item - wide.total.item) < 0.03 * abs(wide.total.item))
  }

  /// The density of a pixel channel sums to one over (0, 1).
  @Test(arguments: [(0, 0), (1.5, -1), (-2, 0.5)] as [(Float, Float)])
  func logitLaplaceIsADensity(mean: Float, logScale: Float) {
    let n = 20_000
    // φ maps [0, 1] to [0.1, 0.9]: these x run over all of (0, 1) for v.
    let x = (0..<n).map { ((Float($0) + 0.5) / Float(n) - 0.1) / 0.8 }
    var sum = 0.0
    for x in x {
      let distribution = LogitLaplace(mean: Tensor([mean], shape: [1]), logScale: Tensor([logScale], shape: [1]))
      sum += exp(-Double(distribution.negativeLogLikelihood(of: Tensor([x], shape: [1])).item)) / Double(n)
    }
    #expect(abs(sum - 1) < 5e-3, "\(sum)")
    let mode = LogitLaplace(mean: Tensor([mean], shape: [1]), logScale: Tensor([logScale], shape: [1])).mode.item
    #expect(abs(mode - (1 / (1 + exp(-mean)) - 0.1) / 0.8) < 1e-6)
  }

  @Test func schedulesFollowTheRun() throws {
    let model = try model()
    let c = model.configuration
    #expect(model.schedules(progress: 0).temperature == 1 && model.schedules(progress: 0).klWeight == 0)
    let end = model.schedules(progress: 1)
    #expect(abs(end.temperature - 1.0 / 16) < 1e-6 && abs(end.klWeight - 6.6) < 1e-5)
    #expect(model.schedules(progress: Double(c.temperatureShare)).temperature == end.temperature)
    // Half-way along a half cosine.
    let middle = model.schedules(progress: Double(c.temperatureShare) / 2).temperature
    #expect(abs(middle - (1 + c.finalTemperature) / 2) < 1e-6)
    #expect(abs(model.schedules(progress: Double(c.klShare) / 2).klWeight - 3.3) < 1e-5)
    let temperatures = (0...20).map { model.schedules(progress: Double($0) / 20).temperature }
    #expect(temperatures == temperatures.sorted(by: >))
  }

  @Test func gumbelNumbersAreGumbel() {
    let n = 1 << 18
    let noise = NoiseStream(seed: 3, stream: 9)
    let g = Tensor.gumbel([n], noise).scalars.map(Double.init)
    #expect(g.allSatisfy { $0.isFinite })
    let mean = g.reduce(0, +) / Double(n)
    let variance = g.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
    // Euler's constant and π²/6.
    #expect(abs(mean - 0.5772) < 0.01 && abs(variance - 1.6449) < 0.03)
    #expect(Tensor.gumbel([n], noise).scalars.map(Double.init) == g)
    #expect(Tensor.gumbel([8], NoiseStream(seed: 3, stream: 10)).scalars != Array(g.prefix(8)).map(Float.init))
  }

  @Test func divergenceFromTheUniformPrior() {
    #expect(abs(klFromUniform(logits: .zeros([3, 16])).item) < 1e-6)
    // All on one code: log 16, and no NaN where the others' probability is zero in float32.
    var logits = [Float](repeating: -1000, count: 32)
    (logits[3], logits[20]) = (1000, 1000)
    let (value, gradients) = valueAndGradient(of: [Tensor(logits, shape: [2, 16])]) { klFromUniform(logits: $0[0]) }
    #expect(abs(value.item - Float(log(16.0))) < 1e-6)
    #expect(gradients[0].scalars.allSatisfy { abs($0) < 1e-6 })
  }

  @Test func overfitsOneBatch() throws {
    let model = try model()
    let pictures = try fixture.tensor("pictures")
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32)), team: try ThreadTeam(count: 1))
    var losses: [Float] = []
    for step in 0..<120 {
      _ = trainer.step(learningRate: 3e-3) { _ in
        let loss = model.loss(
          pictures,
          step: .init(
            progress: Double(step) / 120, noise: .init(seed: 1, stream: UInt64(step)), precision: .float32))
        losses.append(loss.total.item)
        return loss.total
      }
    }
    let error = meanSquaredError(model.decode(model.encode(pictures)), pictures).item
    #expect(losses[119] < losses[0] - 0.3)
    // The pixels are uniform, of variance 1/12: what the tokens carry is below that.
    #expect(error < 0.07, "\(error)")
  }
}
