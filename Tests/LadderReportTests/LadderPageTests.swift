import Imaging
import Ladder
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
    #expect(html.contains("id=\"dalle\"") && html.contains("≤") == false)
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
    #expect(faults(ofPage: html).isEmpty)
  }
}
