import Basics
import NN
import TensorCore
import Testing

@testable import ImageTokenizers

@Suite struct UpsamplerTests {
  /// Along an axis of two pixels a and b, twice as fine: a, (3a + b)/4, (a + 3b)/4, b.
  @Test func enlargingIsBilinear() {
    let picture = Tensor([0, 1, 2, 3], shape: [1, 2, 2, 1])
    let enlarged = picture.enlarged(2)
    #expect(enlarged.shape == [1, 4, 4, 1])
    let along: [Float] = [0, 0.25, 0.75, 1]
    #expect(enlarged.scalars == along.flatMap { y in along.map { x in 2 * y + x } })
    #expect(picture.enlarged(1).scalars == picture.scalars)
    // Channels and pictures stay apart.
    let two = Tensor([0, 10, 1, 20, 5, 30, 6, 40], shape: [2, 1, 2, 2]).enlarged(2)
    #expect(two.shape == [2, 2, 4, 2])
    #expect(two.scalars.prefix(8) == [0, 10, 0.25, 12.5, 0.75, 17.5, 1, 20])
    #expect(two.scalars.suffix(8) == [5, 30, 5.25, 32.5, 5.75, 37.5, 6, 40])
  }

  @Test func reducingTakesMeans() {
    let picture = Tensor((0..<16).map(Float.init), shape: [1, 4, 4, 1])
    #expect(picture.reduced(2).scalars == [2.5, 4.5, 10.5, 12.5] && picture.reduced(4).scalars == [7.5])
    #expect(picture.reduced(1).scalars == picture.scalars)
    // A surface of one color is the same at every size.
    let plain = Tensor(repeating: 0.25, shape: [2, 3, 3, 3])
    #expect(plain.enlarged(3).scalars.allSatisfy { $0 == 0.25 })
    #expect(plain.enlarged(3).reduced(3).scalars.allSatisfy { abs($0 - 0.25) < 1e-6 })
  }

  private static func upsampled(factor: Int = 2) -> (base: VQVAE, whole: UpsampledImageTokenizer) {
    var c = VQVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (8, 2, 16, 1, 16, 4)
    let base = VQVAE(c, seed: 1)
    var u = Upsampler.Configuration()
    (u.inputSize, u.pictureSize, u.patchSize, u.channels, u.blocks) = (8, 8 * factor, 2, 16, 1)
    return (base, UpsampledImageTokenizer(base, Upsampler(u, seed: 2)))
  }

  private static func pictures(_ count: Int, side: Int) -> Tensor {
    var random = Philox(seed: 3, stream: 0)
    return Tensor((0..<count * side * side * 3).map { _ in random.uniform() }, shape: [count, side, side, 3])
  }

  /// The tokens are those of the small picture, and what is decoded is near to that: a prior goes on with them.
  @Test(arguments: [2, 3]) func tokensAreTheTokenizers(factor: Int) {
    let (base, whole) = Self.upsampled(factor: factor)
    let small = Self.pictures(2, side: 8)
    #expect(whole.layout.pictureSize == 8 * factor && whole.gridSides == base.gridSides)
    #expect(whole.codeCount == base.codeCount && whole.tokenCount == base.tokenCount)
    let large = Self.pictures(2, side: 8 * factor)
    #expect(whole.encode(large) == base.encode(large.reduced(factor)))
    let tokens = base.encode(small)
    let decoded = whole.decode(tokens)
    #expect(decoded.shape == [2, 8 * factor, 8 * factor, 3])
    // Before it has learnt anything it hardly changes the interpolation.
    let plain = base.decode(tokens).enlarged(factor)
    #expect(meanSquaredError(decoded, plain).item < 0.01 && decoded.scalars != plain.scalars)
  }

  /// Gradients go to the upsampler alone, and are those of finite differences.
  @Test func itLearnsAlone() {
    let (base, whole) = Self.upsampled()
    let pictures = Self.pictures(2, side: 16)
    let step = ImageTokenizerStep(precision: .float32)
    let before = base.namedTensors().map(\.tensor.scalars)
    let parameters = base.parameters() + whole.upsampler.parameters()
    let gradients = valueAndGradient(parameters: parameters) { whole.loss(pictures, step: step).total }.gradients
    let (ofBase, own) = (gradients.prefix(base.parameters().count), gradients.dropFirst(base.parameters().count))
    #expect(ofBase.allSatisfy { $0.scalars.allSatisfy { $0 == 0 } })
    #expect(own.allSatisfy { $0.scalars.contains { $0 != 0 } })
    #expect(base.namedTensors().map(\.tensor.scalars) == before)
    #expect(whole.learner.parameters().count == own.count)

    let bias = whole.lastLayer[1]
    let values = bias.value.copied()
    func loss(_ change: Float) -> Float {
      var scalars = values.scalars
      scalars[0] += change
      bias.overwrite(with: Tensor(scalars, shape: bias.shape))
      defer { bias.overwrite(with: values) }
      return whole.loss(pictures, step: step).total.item
    }
    let place = parameters.firstIndex { $0 === bias } ?? 0
    let difference = (loss(0.01) - loss(-0.01)) / 0.02
    #expect(abs(difference - gradients[place].scalars[0]) < 1e-3 * max(1, abs(difference)))
  }

  @Test func shapesThatMakeNoSenseAreRefused() throws {
    for (change, word) in [
      ({ $0.pictureSize = 100 }, "divide"), ({ $0.pictureSize = 32 }, "picture_size"),
      ({ $0.patchSize = 3 }, "patch_size"),
      ({ $0.channels = 0 }, "channels"), ({ $0.blocks = 65 }, "blocks"), ({ $0.inputSize = 0 }, "input_size"),
    ] as [((inout Upsampler.Configuration) -> Void, String)] {
      var c = Upsampler.Configuration()
      change(&c)
      #expect { try c.validate() } throws: { ($0 as? PipelineError)?.message.contains(word) == true }
    }
    for (from, to) in [(64, 128), (64, 256), (128, 256), (96, 192), (16, 32), (40, 120)] {
      for preset in Preset.allCases {
        let c = Upsampler.Configuration.preset(preset, from: from, to: to)
        try c.validate()
        let model = Upsampler(c, seed: 0)
        #expect(model.parameterCount >= c.leastParameterCount)
      }
    }
  }
}
