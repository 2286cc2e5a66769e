import Captions
import PipelineTestSupport
import Testing

@testable import Checkpoints
@testable import Generation
@testable import Training

/// The drawings of a prior from which a ranker learns.
@Suite struct PriorDrawingsTests {
  /// What is found again is a view of its picture, everything else shows nothing; the parts are what was drawn.
  @Test func drawingsAreViewsOrFailures() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder, steps: 2)
    let (model, dataSet) = (try TextToImageModel(contentsOf: folder.checkpoint.url), try folder.dataSet())
    func drawings(count: Int) throws -> PriorDrawings {
      try PriorDrawings(
        model.prior, model.textEncoder, model.reconstructor, dataSet, forms: dataSet.forms(CaptionForms.Kind.allCases),
        count: count, seed: 1)
    }
    let all = try drawings(count: 100)
    #expect(all.failures.count + all.views.values.reduce(0) { $0 + $1.count } == 18)
    // So few are found after two steps that nothing can be judged.
    #expect(all.views.isEmpty)
    #expect(try drawings(count: 4).failures.count == 4)
    #expect(try drawings(count: 100).failures == all.failures)
  }
}
