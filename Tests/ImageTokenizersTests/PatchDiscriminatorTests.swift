import ModelTestSupport
import NN
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import TensorCore

/// The discriminator, what it sees pictures through, and the weight of what it teaches, against PyTorch's numbers.
struct PatchDiscriminatorTests {
  private let fixture: Fixture

  init() throws { fixture = try Fixture("adversarial") }

  /// Those of the fixture.
  private let views: [DifferentiableAugmentation] = {
    var (a, b) = (DifferentiableAugmentation(), DifferentiableAugmentation())
    (a.brightness, a.saturation, a.contrast, a.shift, a.cut) = (0.25, 1.5, 0.75, (2, -1), (1..<5, 0..<3))
    (b.brightness, b.saturation, b.contrast, b.shift, b.cut) = (-0.125, 0.5, 1.25, (-1, 3), (6..<8, 2..<8))
    return [a, b]
  }()

  private func discriminator() throws -> PatchDiscriminator {
    var configuration = PatchDiscriminator.Configuration()
    (configuration.channels, configuration.halvings, configuration.regularization) = (4, 2, 0.3)
    configuration.weight = 0.8
    let model = PatchDiscriminator(configuration, seed: 1)
    for (name, parameter) in model.namedParameters() {
      parameter.overwrite(with: try fixture.tensor("initial/\(name)"))
    }
    // One that knows all.
    model.averages.overwrite(with: Tensor(try fixture.tensor("averages").scalars + [0], shape: [3]))
    return model
  }

  @Test(arguments: ["leaky", "augmentation"]) func operationsAgreeWithPyTorch(name: String) throws {
    let input = try fixture.tensor("\(name)/input")
    func apply(_ x: Tensor) -> Tensor { name == "leaky" ? x.applying(.leakyRelu) : x.augmented(views) }
    #expect(relativeError(apply(input), try fixture.tensor("\(name)/output")) < 1e-6)
    let cotangent = try fixture.tensor("\(name)/cotangent")
    let gradient = valueAndGradient(of: [input]) { (apply($0[0]) * cotangent).sum() }.gradients[0]
    #expect(relativeError(gradient, try fixture.tensor("\(name)/gradient")) < 1e-5)
  }

  @Test func itsLossAgreesWithPyTorch() throws {
    let model = try discriminator()
    let (real, made) = (try fixture.tensor("real"), try fixture.tensor("made"))
    #expect(relativeError(model(real, through: views, precision: .float32), try fixture.tensor("logits/real")) < 1e-5)
    let (loss, gradients) = valueAndGrad(model) {
      let loss = $0.loss(
        real: $0(real, through: views, precision: .float32), made: $0(made, through: views, precision: .float32))
      #expect((try? fixture.tensor("hinge").item).map { abs($0 - loss.hinge) < 1e-5 } ?? false)
      return loss.total
    }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 1e-4, "the gradient of \(name)")
    }
  }

  /// Over both shards of a batch as over the whole of it.
  @Test func whatItTeachesIsWeighedAsByPyTorch() throws {
    var c = VQVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (16, 4, 6, 0, 8, 4)
    let tokenizer = VQVAE(c, seed: 1)
    for (parameter, name) in zip(tokenizer.lastLayer, ["weight", "bias"]) {
      parameter.overwrite(with: try fixture.tensor("tokenizer/\(name)"))
    }
    let (model, real) = (try discriminator(), try fixture.tensor("real"))
    let features = try fixture.tensor("tokenizer/features")
    let before = tokenizer.parameters().map(\.value.scalars)
    var loss: PatchDiscriminator.TokenizerLoss?
    let gradients = valueAndGradient(of: [features], parameters: tokenizer.lastLayer) {
      let forward = ImageTokenizerForward(
        features: $0[0], regularization: Tensor(Float(0)), tokens: [], statistics: [])
      let whole = model.loss(
        of: tokenizer, forward, real, share: 1, through: views, precision: .float32, sum: { $0 })
      loss = whole
      return whole.total
    }.gradients
    let whole = try #require(loss)
    #expect(relativeError(Tensor(whole.weight), try fixture.tensor("tokenizer/factor")) < 1e-4)
    #expect(
      relativeError(whole.reconstruction.pictures, try fixture.tensor("tokenizer/reconstruction")) < 1e-5)
    for (gradient, name) in zip(gradients, ["features", "weight", "bias"]) {
      #expect(relativeError(gradient, try fixture.tensor("tokenizer/gradient/\(name)")) < 1e-4, "\(name)")
    }
    #expect(tokenizer.parameters().map(\.value.scalars) == before)
  }

  @Test func averagesFollowTheMeans() {
    let model = PatchDiscriminator(.init(), seed: 1)
    #expect(model.attention == 0)
    for _ in 0..<2 { model.finishStep(real: 1, made: -2, hinge: 0.4) }
    let decay = model.configuration.averageDecay
    let moved = 1 - decay * decay
    let expected: [Float] = [moved, -2 * moved, 1 - 0.6 * moved]
    for (average, mean) in zip(model.averages.value.scalars, expected) { #expect(abs(average - mean) < 1e-6) }
    #expect(abs(model.attention - 0.6 * moved) < 1e-6)
    model.finishStep(real: 0, made: 0, hinge: 30)
    #expect(model.attention == 0, "a discriminator that is wrong is not heard")
  }

  @Test(arguments: [1, 7, 32, 64]) func randomViewsStayWithinTheirStrengths(side: Int) {
    var random = Philox(seed: 5, stream: 1)
    let views = (0..<200).map { _ in DifferentiableAugmentation(side: side, using: &random) }
    for view in views {
      #expect((-0.05..<0.05).contains(view.brightness) && (0.8..<1.2).contains(view.saturation))
      #expect((0.9..<1.1).contains(view.contrast) && abs(view.shift.down) <= (side + 4) / 8)
      #expect(view.cut.rows.upperBound <= side && view.cut.columns.count <= (side + 1) / 2)
    }
    if side > 1 { #expect(Set(views.map(\.shift.right)).count > 1 && Set(views.map(\.cut.rows)).count > 1) }
    let pictures = Tensor.uniform([200, side, side, 3], seed: 1, stream: 2)
    let seen = pictures.augmented(views)
    #expect(seen.scalars.allSatisfy(\.isFinite) && seen.shape == pictures.shape)
  }
}
