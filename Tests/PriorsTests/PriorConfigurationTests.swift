import Basics
import ModelTestSupport
import NN
import TensorCore
import Testing

@testable import Priors

/// What holds of every kind in the list.
@Suite struct PriorConfigurationTests {
  private static let shapes = Preset.allCases.flatMap { preset in
    PriorKind.trainable.compactMap { try? $0.preset(preset) }
  }
  private static let oneGrid = TokenLayout(pictureSize: 64, gridSides: [8], codeCount: 512)

  @Test func kindsHaveNamesOfTheirOwn() {
    #expect(PriorKind.allCases.map(\.rawValue) == ["transformer", "pixelcnn", "janus"])
    #expect(PriorKind.allCases.map(\.title) == ["transformer", "gated PixelCNN", "Janus"])
    #expect(PriorKind.standard == PriorKind(TransformerPrior.Configuration.self))
    #expect(PriorKinds.all.allSatisfy { $0 is any PriorConfiguration.Type })
  }

  @Test(arguments: shapes) func presetsAreValidAndRoundTrip(_ shape: any TrainablePriorConfiguration) throws {
    try shape.validateForCaptions()
    let any = AnyPriorConfiguration(shape)
    #expect(try afterJSON(any) == any)
    #expect(try uncheckedFields(of: shape).isEmpty)
    let count = shape.makeModel(seed: 0).parameterCount
    let least = shape.leastParameterCount
    #expect(least <= count && Double(least) > 0.9 * Double(count), "\(least) of \(count)")
  }

  @Test(arguments: PriorKind.trainable) func eachLearnsOneGrid(_ kind: PriorKind) throws {
    var shape = try kind.preset(.tiny)
    try shape.learn(Self.oneGrid)
    (shape.textLength, shape.textVocabulary, shape.dropout) = (8, 300, 0.25)
    try shape.validateForCaptions()
    let model = shape.makeModel(seed: 0)
    #expect(model.imageLength == 64 && model.imageVocabulary == 512 && model.textLength == 8)
    #expect(shape.imageLength == 64 && shape.dropout == 0.25)
    let several = TokenLayout(pictureSize: 64, gridSides: [8, 16], codeCount: 1024)
    let error = #expect(throws: PipelineError.self) { try shape.learn(several) }
    #expect(error?.kind == .usage && error?.message.contains("one grid") ?? false)
  }

  @Test func severalCodesAPlaceAreTheTransformersAlone() throws {
    let residual = TokenLayout(pictureSize: 64, gridSides: [8], codesPerPlace: 4, codeCount: 4096)
    var transformer = TransformerPrior.Configuration()
    try transformer.learn(residual)
    #expect(transformer.codesPerPlace == 4 && transformer.codes == 1024 && transformer.imageLength == 256)
    var pixelCNN = PixelCNN.Configuration()
    #expect(throws: PipelineError.self) { try pixelCNN.learn(residual) }
    #expect(throws: PipelineError.self) { try pixelCNN.attend([.row]) }
    transformer.attend([.row, .column])
    #expect(transformer.summary.contains("attention row,column"))
  }

  private func expectRefusal<C: PriorConfiguration>(
    _ words: String, _ standard: C, sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout C) -> Void
  ) {
    var c = standard
    change(&c)
    let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) { try c.validateForCaptions() }
    #expect(
      error?.kind == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")",
      sourceLocation: sourceLocation)
  }

  @Test func aFieldThatMakesNoSenseIsNamed() throws {
    let transformer = TransformerPrior.Configuration()
    expectRefusal("heads 5 does not divide width 384", transformer) { $0.heads = 5 }
    expectRefusal("heads must be 1 to 384, not 0", transformer) { $0.heads = 0 }
    expectRefusal("attention", transformer) { $0.attention = [] }
    expectRefusal("dropout must be 0.0 up to 1.0, not nan", transformer) { $0.dropout = .nan }
    expectRefusal("depth 3 does not divide image_vocabulary 1024", transformer) { $0.depth = 3 }
    let pixelCNN = PixelCNN.Configuration()
    for path in [\PixelCNN.Configuration.gridSide, \.imageVocabulary, \.textLength, \.textVocabulary, \.channels] {
      expectRefusal("not 0", pixelCNN) { $0[keyPath: path] = 0 }
    }
    for uppers in [[3], [0], [16], [4, -1], [4]] {
      expectRefusal("upper_grid_sides", pixelCNN) { $0.upperGridSides = uppers }
    }
    // Without captions, on a coarser grid, it is a rung of the ladder's.
    var conditioned = pixelCNN
    (conditioned.upperGridSides, conditioned.textLength) = ([4], 0)
    try conditioned.validate()
  }
}
