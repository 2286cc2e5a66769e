import LinearAlgebra
import Testing

@testable import Basics
@testable import LadderReport

@Suite struct PrecisionAndRecallTests {
  /// What is said follows from what was measured, and from what real rows reach.
  @Test func blurAndForgettingAreToldApart() {
    let real = PrecisionAndRecall(precision: 0.8, recall: 0.8)
    func meaning(_ precision: Double, _ recall: Double) -> String {
      PrecisionAndRecall(precision: precision, recall: recall).meaning(besides: real)
    }
    #expect(meaning(0.7, 0.7).contains("nearly as real data would"))
    #expect(meaning(0.3, 0.7).contains("only 30%") && meaning(0.3, 0.7).contains("forgets little"))
    #expect(meaning(0.9, 0.2).contains("90%") && meaning(0.9, 0.2).contains("leaves out"))
    #expect(!meaning(0.9, 0.2).contains("blur"))
    #expect(meaning(0.1, 0.2).contains("blurs, and it leaves out"))
  }

  @Test func asManyDrawsAsRealRowsAreLookedAt() throws {
    var random = Philox(seed: 1, stream: 1)
    let rows = Matrix((0..<60).map { _ in random.normal() }, rows: 30, columns: 2)
    let real = try #require(RealRows(features: rows.rows(0..<10)))
    // The first ten are the real ones themselves; the others are not looked at.
    #expect(real.precisionAndRecall(ofDraws: rows) == PrecisionAndRecall(precision: 1, recall: 1))
    #expect(real.precisionAndRecall(ofDraws: rows.rows(0..<9)) == nil)
    #expect(RealRows(features: rows.rows(0..<3)) == nil)
  }
}
