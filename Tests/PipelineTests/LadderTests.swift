import Foundation
import Imaging
import LatentModels
import LinearAlgebra
import TestSupport
import Testing

@testable import Basics
@testable import Ladder
@testable import LadderReport

@Suite struct LadderDataTests {
  @Test func picturesBecomeRowsAndBack() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 8, splits: [.train, .train, .validation, .test])
    let dataSet = try folder.dataSet()
    let data = try LadderData(dataSet)
    #expect(data.side == 16 && data.dimensions == 16 * 16 * 3 && data.rows.rows == 8)
    #expect(data.rows.elements.allSatisfy { (0..<1).contains($0) })
    let pictures = data.rows.pictures(side: 16)
    for index in 0..<8 { #expect(pictures[index] == (try dataSet.picture(at: index))) }
    // The noise is there, and the same each time.
    #expect(Set(data.rows.row(0).map { ($0 * 256).truncatingRemainder(dividingBy: 1) }).count > 100)
    #expect(try LadderData(dataSet).rows == data.rows)
    #expect(data.indices(of: .train).count == 4 && data.indices(of: .heldOut).count == 4)
    #expect(try data.matrix(of: .validation).rows == 2 && data.matrix(of: .all).rows == 8)
    #expect(data.captions[0] == dataSet.entries[0].captions[0])
  }

  @Test func aMatrixIsHeldOutByTheTenth() throws {
    let data = try LadderData(Matrix((0..<100).map(Double.init), rows: 50, columns: 2), name: "x.npy")
    #expect(data.side == nil && data.indices(of: .heldOut).count == 5 && data.indices(of: .train).count == 45)
    #expect(try data.matrix(of: .all) == data.rows)
    #expect(throws: PipelineError.self) { try data.matrix(of: .validation) }
  }

  @Test func numbersThatAreNotFiniteAreNamed() throws {
    for bad in [Double.nan, .infinity, -.infinity] {
      var matrix = Matrix(repeating: 1, rows: 5, columns: 3)
      matrix[3, 2] = bad
      do {
        _ = try LadderData(matrix, name: "x.npy")
        Issue.record("\(bad) passed")
      } catch {
        #expect(error.kind == .badData && error.message.contains("row 3, column 2"), "\(error)")
      }
    }
    #expect(throws: PipelineError.self) { try LadderData(Matrix(repeating: 0, rows: 0, columns: 3), name: "x") }
    #expect(throws: PipelineError.self) { try LadderData(Matrix(repeating: 0, rows: 3, columns: 0), name: "x") }
  }

  @Test func bitsPerDimension() {
    // The uniform density over [0, 1)ᴰ is what needs all 8 bits; twice as dense everywhere is one bit less.
    #expect(LadderData.bitsPerDimension(meanLogLikelihood: 0, dimensions: 12) == 8)
    #expect(abs(LadderData.bitsPerDimension(meanLogLikelihood: 12 * log(2), dimensions: 12) - 7) < 1e-12)
  }
}

@Suite struct LadderPageTests {
  private func row(_ rung: Rung, _ bits: Double, training: Double? = nil, _ kind: LikelihoodKind = .exact) -> RungReport
  {
    var row = RungReport(rung)
    (row.likelihood, row.bitsPerDimension, row.trainingBitsPerDimension) = (kind, bits, training ?? bits)
    (row.meanLogLikelihood, row.frechetDistance, row.parameters, row.seconds) = (-bits, 1.5, 1234, 2)
    row.samples = [Picture(width: 8, height: 8, color: .black)]
    row.reconstructions = row.samples
    return row
  }

  private func report(_ rows: [RungReport], name: String = "squares") -> LadderReport {
    var report = LadderReport(
      data: name, trainingRows: 10, heldOutRows: 3, dimensions: 192, pictureSize: 8, frechetComponents: 9,
      frechetSamples: 16, frechetDistanceOfTrainingRows: 0.5,
      trainingFrechetDistanceOfTrainingRows: 0.1, models: rows)
    report.originals = [Picture(width: 8, height: 8, color: .white)]
    return report
  }

  @Test func whatTheoryExpectsIsJudgedByTheFigures() {
    let met = report([row(Rung(GaussianRung.self), 4), row(Rung(GaussianMixtureRung.self), 3.5)]).expectations
    #expect(met.count == 1 && met[0].isMet)
    // Better in training and worse on held-out rows: over-fitting. No better in either: too little learnt.
    let overfitted = report([
      row(Rung(GaussianRung.self), 4), row(Rung(GaussianMixtureRung.self), 4.5, training: 3.9, .lowerBound),
    ]).expectations
    #expect(!overfitted[0].isMet)
    #expect(overfitted[0].explanation.contains("by heart") && overfitted[0].explanation.contains("a bound"))
    let undertrained = report([row(Rung(GaussianRung.self), 4), row(Rung(GaussianMixtureRung.self), 5, training: 4.9)])
      .expectations
    #expect(!undertrained[0].isMet)
    #expect(undertrained[0].explanation.contains("too little") && !undertrained[0].explanation.contains("a bound"))
    #expect(report([row(Rung(GaussianRung.self), 4)]).expectations.isEmpty)
  }

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
    expectSelfContained(html)
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
    expectSelfContained(html)
  }

  @Test func ticksEncloseTheValues() {
    for values in [[0, 1.0], [3, 3], [-2.5e6, 1e6], [0.001, 0.0012], [-1234.5, -1234.1]] {
      let ticks = LadderCharts.ticks(values)
      #expect(ticks.values[0] <= values[0] && ticks.values.last! >= values[1], "\(values): \(ticks.values)")
      #expect(Set(ticks.values.map(ticks.label)).count == ticks.values.count, "\(values)")
    }
  }
}

/// Every tag is closed in its order, and nothing is loaded from elsewhere.
func expectSelfContained(_ html: String, sourceLocation: SourceLocation = #_sourceLocation) {
  var open: [Substring] = []
  let void: Set<Substring> = ["meta", "img", "circle", "rect", "ellipse", "line", "polyline", "!DOCTYPE"]
  for match in html.matches(of: /<(\/?)([A-Za-z!][A-Za-z0-9]*)((?:[^>"]|"[^"]*")*?)(\/?)>/) {
    if match.1 == "/" {
      if open.popLast() != match.2 { Issue.record("</\(match.2)> closes nothing", sourceLocation: sourceLocation) }
    } else if match.4.isEmpty && !void.contains(match.2) {
      open.append(match.2)
    }
  }
  #expect(open.isEmpty, "\(open)", sourceLocation: sourceLocation)
  let links = html.replacing("xmlns=\"http://www.w3.org/2000/svg\"", with: "")
  #expect(!links.contains("http"), sourceLocation: sourceLocation)
  for match in html.matches(of: /(?:src|href)="([^"]{0,20})/) {
    #expect(match.1.hasPrefix("data:image/png;base6") || match.1.hasPrefix("#"), sourceLocation: sourceLocation)
  }
  #expect(!html.contains("url(") && !html.contains("@import"), sourceLocation: sourceLocation)
}
