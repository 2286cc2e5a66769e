import Ladder
import LatentModels
import Testing

@testable import LadderReport

@Suite struct LadderExpectationTests {
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
}
