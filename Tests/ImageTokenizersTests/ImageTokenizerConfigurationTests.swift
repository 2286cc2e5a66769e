import Basics
import ModelTestSupport
import NN
import Testing

@testable import Basics
@testable import ImageTokenizers
@testable import TensorCore

/// What holds of every kind in the list.
@Suite struct ImageTokenizerConfigurationTests {
  private static let shapes = Preset.allCases.flatMap { preset in
    ImageTokenizerKind.trainable.compactMap { try? $0.preset(preset) }
  }

  @Test func kindsHaveNamesOfTheirOwn() {
    #expect(ImageTokenizerKind.allCases.map(\.rawValue) == ["vqvae", "vqvae2", "dvae", "vqgan"])
    #expect(ImageTokenizerKind.allCases.map(\.title) == ["VQ-VAE", "VQ-VAE-2", "discrete VAE", "VQGAN"])
    #expect(ImageTokenizerKind.trainable.map(\.rawValue) == ["vqvae", "vqvae2", "dvae"])
    #expect(ImageTokenizerKind.standard == ImageTokenizerKind(VQVAE.Configuration.self))
    #expect(ImageTokenizerKind(rawValue: "rqvae") == nil)
    #expect(ImageTokenizerKinds.all.allSatisfy { $0 is any ImageTokenizerConfiguration.Type })
  }

  @Test(arguments: shapes) func presetsAreValidAndRoundTrip(_ shape: any TrainableImageTokenizerConfiguration) throws {
    try shape.validate()
    let any = AnyImageTokenizerConfiguration(shape)
    #expect(try afterJSON(any) == any)
    #expect(try uncheckedFields(of: shape).isEmpty)
    let model = shape.makeModel(seed: 0)
    #expect(model.layout == shape.layout && model.tokenCount > 0)
    let size = shape.layout.pictureSize
    #expect(
      shape.summary.contains("\(size)×\(size) pixels in") && shape.summary.contains("\(shape.layout.gridSides[0])×"))
    let count = model.namedTensors().reduce(0) { $0 + $1.tensor.count }
    let least = shape.leastParameterCount
    #expect(least <= count && Double(least) > 0.9 * Double(count), "\(least) of \(count)")
  }

  @Test(arguments: ImageTokenizerKind.trainable, Preset.allCases)
  func everySizeOfPicturesHasAShape(_ kind: ImageTokenizerKind, _ preset: Preset) throws {
    for size in stride(from: 32, through: 512, by: 32) {
      let shape = try kind.preset(preset, pictureSize: size)
      try shape.validate()
      #expect(shape.layout.pictureSize == size)
      // What stage 2 has to learn grows much slower than the pictures.
      let places = shape.layout.tokenCount / shape.layout.codesPerPlace
      #expect(places <= (size <= 128 ? 320 : 1280), "\(places) places at \(size)")
    }
    #expect(try kind.preset(preset).layout.pictureSize == preset.pictureSize)
    #expect(try Self.reconstructed(kind.preset(preset, pictureSize: 96)).shape == [1, 96, 96, 3])
  }

  private static func reconstructed(_ shape: some TrainableImageTokenizerConfiguration) -> Tensor {
    let model = shape.makeModel(seed: 1)
    let side = shape.layout.pictureSize
    return model.decode(model.encode(.uniform([1, side, side, 3], seed: 1, stream: 1)))
  }

  @Test(arguments: ImageTokenizerKind.trainable) func smallPicturesHaveAGrid(_ kind: ImageTokenizerKind) throws {
    for size in [2, 8, 20, 28, 32, 64, 96] {
      let shape = try #require(kind.small(pictureSize: size))
      try shape.base.validate()
      #expect(shape.layout.pictureSize == size && shape.kind == kind)
    }
    #expect(kind.small(pictureSize: 0) == nil && kind.small(pictureSize: 1000) == nil)
  }

  private func expectRefusal<C: ImageTokenizerConfiguration>(
    _ words: String, _ standard: C, sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout C) -> Void
  ) {
    var c = standard
    change(&c)
    let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) { try c.validate() }
    #expect(
      error?.kind == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")",
      sourceLocation: sourceLocation)
  }

  @Test func aFieldThatMakesNoSenseIsNamed() {
    let vqvae = VQVAE.Configuration()
    expectRefusal("patch_size 7 does not divide picture_size 64", vqvae) { $0.patchSize = 7 }
    expectRefusal("codes must be 2 to 1048576, not 1", vqvae) { $0.codes = 1 }
    expectRefusal("commitment", vqvae) { $0.commitment = .nan }
    for depth in [-1, 0, .max] { expectRefusal("depth must be 1 to 64", vqvae) { $0.depth = depth } }
    // Neither no divisor of the patch, nor codes that cannot be shared out over the convolutions' places.
    for size in [-1, 0, 3, 16] {
      expectRefusal("convolution_patch_size \(size)", vqvae) { $0.convolutionPatchSize = size }
    }
    expectRefusal("code_dimensions 24", vqvae) { ($0.convolutionPatchSize, $0.codeDimensions) = (2, 24) }
    expectRefusal("power of two", vqvae) {
      ($0.network, $0.pictureSize, $0.patchSize, $0.convolutionPatchSize) = (.strided, 60, 6, 6)
    }
    // A finest grid that does not halve often enough.
    expectRefusal("3 levels", VQVAE2.Configuration()) { ($0.pictureSize, $0.patchSize, $0.levels) = (24, 4, 3) }
    let dvae = DiscreteVAE.Configuration()
    for (path, name) in [
      (\DiscreteVAE.Configuration.logitScale, "logit_scale"), (\.klWeight, "kl_weight"), (\.klShare, "kl_share"),
      (\.finalTemperature, "final_temperature"), (\.temperatureShare, "temperature_share"),
    ] {
      for value in [-1, .nan, .infinity] as [Float] { expectRefusal(name, dvae) { $0[keyPath: path] = value } }
    }
  }
}
