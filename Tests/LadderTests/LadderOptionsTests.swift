import Basics
import LinearAlgebra
import Optimization
import Testing

@testable import Ladder
@testable import LatentModels

struct LadderOptionsTests {
  private let x = Matrix((0..<60).map { Double($0 * 7 % 11) + Double($0 % 3) }, rows: 20, columns: 3)

  private static let everything: LadderOptions = {
    var options = LadderOptions()
    (options.components, options.covariance, options.latentDimensions) = (2, .diagonal, 1)
    (options.method, options.klWeight, options.bound, options.batchSize) = (.expectationMaximization, 2, .steps(1), 4)
    options.allowsMissingValues = true
    return options
  }()

  /// What a model does not take is refused, and named with the models that take it.
  @Test(arguments: Rung.allCases) func eachModelTakesWhatItSaysAndRefusesTheRest(rung: Rung) throws {
    #expect(Self.everything.given == Set(LadderChoice.allCases) && LadderOptions().given.isEmpty)
    #expect(Self.everything.restricted(to: rung).given == rung.type.choices)
    let side = rung.takesMatrices ? nil : 1
    for choice in LadderChoice.allCases where !rung.type.choices.contains(choice) {
      var options = Self.everything
      for other in LadderChoice.allCases where other != choice { options.leave(other) }
      #expect(options.given == [choice])
      let error = #expect(throws: PipelineError.self) { try rung.fit(x, side: side, options: options) }
      #expect(error?.kind == .usage && error?.message.contains("alone, not for \(rung.rawValue)") == true)
    }
  }

  /// A search that may take long where values are missing ends where it is told to, and gains in each round.
  @Test func missingValuesAreFittedWithinABound() throws {
    var holes = x
    for i in stride(from: 0, to: 60, by: 7) { holes.elements[i] = .nan }
    var options = LadderOptions()
    (options.allowsMissingValues, options.latentDimensions, options.bound) = (true, 1, .epochs(3))
    let ended = try Rung(PPCARung.self).fit(holes, side: nil, options: options)
    #expect(ended.likelihoodCurve.count == 3)
    #expect(ended.notes.contains("9 of 60 values are missing.") && ended.notes.contains("EM was ended after 3 rounds."))
    options.bound = .epochs(20_000)
    let whole = try Rung(PPCARung.self).fit(holes, side: nil, options: options)
    #expect(whole.notes.contains { $0.hasPrefix("EM converged after") })
    #expect(zip(whole.likelihoodCurve, whole.likelihoodCurve.dropFirst()).allSatisfy { $1 > $0 - 1e-9 })
    #expect(Array(whole.likelihoodCurve.prefix(3)) == ended.likelihoodCurve)
    options.method = .closedForm
    let error = #expect(throws: PipelineError.self) {
      try Rung(PPCARung.self).fit(holes, side: nil, options: options)
    }
    #expect(error?.kind == .usage && error?.message.contains("leave `method` out") == true)
  }

  /// Where nothing is missing it is the likelihood of the whole rows.
  @Test func theLikelihoodOfRowsWithHolesIsThatOfTheRowsWithoutAny() throws {
    var last: Double?
    let model = try PPCA(missingValues: x, latentDimensions: 1) {
      last = $1
      return true
    }
    let mean = try model.logLikelihood(x, seed: 0).mean
    #expect(abs(try #require(last) - mean) < 1e-6 * abs(mean))
  }

  @Test func moreComponentsThanRowsAreRefusedBeforeTheTraining() throws {
    var options = LadderOptions()
    (options.components, options.bound) = (21, .minutes(60))
    for rung in [AutoEncoderRung.self, GaussianMixtureVAERung.self, GaussianMixtureRung.self] as [any LadderRung.Type] {
      let error = #expect(throws: PipelineError.self) {
        try Rung(rung).fit(x, side: nil, options: options.restricted(to: Rung(rung)))
      }
      #expect(error?.message == "21 components cannot be fitted to 20 points")
    }
  }

  /// A component for each point has the least criterion of all, and says nothing.
  @Test func fewPointsGetFewComponents() throws {
    let model = try GaussianMixtureRung.fit(x, side: nil, options: LadderOptions()).model
    #expect(try #require(model as? GaussianMixture).configuration.components <= 5)
  }
}
