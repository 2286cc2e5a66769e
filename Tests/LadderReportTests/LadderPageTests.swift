import Basics
import Imaging
import Ladder
import LatentModels
import LinearAlgebra
import Optimization
import PipelineTestSupport
import Testing

@testable import LadderReport

@Suite struct LadderPageTests {
  @Test func thePageIsWholeAndNeedsNothingElse() throws {
    var all = report(Rung.allCases.map { row($0, 4) }, name: "<b>\"emoji\" & 'co'")
    all.models[1].notes = ["a note with <script>alert(1)</script>"]
    all.dalle = DalleReport(
      checkpoint: "local", frechetDistance: 2, trainingFrechetDistance: 3, parameters: 7, trainingSeconds: 60,
      natsPerImageToken: 1.5,
      tokensPerPicture: 16, heldOutCaptions: 3,
      drawings: [("a <i>red</i> & blue square", all.originals[0], all.originals[0])], reconstructions: all.originals)
    let html = try all.html()
    #expect(!html.contains("<script") && !html.contains("<i>red") && !html.contains("<b>\"emoji"))
    #expect(html.contains("a &lt;i&gt;red&lt;/i&gt; &amp; blue square"))
    for rung in Rung.allCases { #expect(html.contains("id=\"\(rung.rawValue)\"")) }
    #expect(html.contains("id=\"dalle\"") && html.contains("At the end stands DALL·E") && html.contains("≤") == false)
    #expect(faults(ofPage: html).isEmpty)
  }

  @Test func aMatrixHasAPageToo() throws {
    var rows = report([row(Rung(GaussianRung.self), 4), row(Rung(PPCARung.self), 5)])
    rows.pictureSize = nil
    rows.originals = []
    rows.heldOutPoints = [(0, 1), (2, 3)]
    for i in rows.models.indices {
      (rows.models[i].samples, rows.models[i].reconstructions) = ([], [])
      (rows.models[i].bitsPerDimension, rows.models[i].samplePoints) = (nil, [(0.5, 1)])
    }
    let html = try rows.html()
    #expect(html.contains("Log-likelihood") && html.contains("<circle") && !html.contains("<img"))
    // Points are no pictures, and without its section DALL·E is not promised.
    for word in ["faces", "flags", "DALL·E"] { #expect(!html.contains(word), "\(word)") }
    #expect(faults(ofPage: html).isEmpty)
  }

  // What is said of a figure follows from what was measured.

  @Test func idleLevelsAreNamed() {
    let all = HierarchicalVAE.shares(of: [0.5, 1.5], names: ["1×1 cells", "2×2 cells"])
    #expect(all == "Of all that is said: 1×1 cells 25%, 2×2 cells 75%. All levels are used.")
    let idle = HierarchicalVAE.shares(of: [-0.001, 0.01, 2], names: ["a", "b", "c"])
    #expect(idle == "Of all that is said: a 0%, b 0%, c 100%. Hardly used: a, b.")
    #expect(HierarchicalVAE.shares(of: [0, 0], names: ["a", "b"]).contains("None says anything"))
  }

  @Test func aCoarseLevelThatSaysNothingIsNotPraised() {
    let idle = TwoStageModel.parts([-0.1, 0.4], grids: ["2×2", "4×4"])
    #expect(idle.hasPrefix("Of what pictures differ by, the 2×2 tokens 0%, with the 4×4 tokens 40% come back."))
    #expect(idle.contains("hardly a part") && !idle.contains("what and where"))
    #expect(TwoStageModel.parts([0.3, 0.4], grids: ["2×2", "4×4"]).contains("says what and where"))
  }

  @Test func theClimbOfEMSaysWhetherItArrives() throws {
    var random = Philox(seed: 5, stream: 0)
    // Two directions and much noise: the less there is of it, the slower EM is.
    let rows = (0..<60).flatMap { _ in
      let (a, b) = (3 * random.normal(), 2 * random.normal())
      return [a, a, b, b, 0].map { $0 + random.normal() }
    }
    let x = Matrix(rows, rows: 60, columns: 5)
    func caption(_ bound: TrainingBound) throws -> String {
      var options = LadderOptions()
      (options.bound, options.latentDimensions, options.threads) = (bound, 2, 1)
      let fitted = try Rung(PPCARung.self).fit(x, side: nil, options: options)
      let context = LadderFigure.Context(
        fitted: fitted, train: x, side: nil, features: try FeatureSpace(x, components: 2, threads: 1),
        options: options)
      let model = try #require(fitted.model as? any IllustratedModel)
      guard case .drawing(_, let caption) = try model.figures(context)[0] else { return "" }
      return caption
    }
    let late = try caption(.steps(4000))
    #expect(late.contains("arrives at the likelihood"), "\(late)")
    let early = try caption(.steps(8))
    #expect(early.contains("ever more slowly: after 2 rounds"))
  }
}
