import Foundation
import LinearAlgebra
import ModelTestSupport
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import LatentModels

/// The rungs without networks against scikit-learn's numbers, against each other, and on data that they cannot fit.
struct ClassicalModelTests {
  private let fixture: Fixture
  private let x, heldOut: Matrix

  init() throws {
    fixture = try Fixture("mixture")
    (x, heldOut) = (try fixture.matrix("x"), try fixture.matrix("held_out"))
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  // MARK: - Gaussian

  @Test(arguments: [CovarianceKind.full, .diagonal, .spherical])
  func gaussianAgreesWithScikitLearn(kind: CovarianceKind) throws {
    let expected = try fixture.matrix("gaussian_\(kind.rawValue)").elements
    for threads in [1, 3] {
      let model = try Gaussian(fitting: x, .init(covariance: kind, regularization: 0), threads: threads)
      #expect(relativeError(try model.logLikelihood(heldOut), expected) < 1e-10)
      // The default regularisation is too small to be seen.
      let regularized = try Gaussian(fitting: x, .init(covariance: kind), threads: threads)
      #expect(relativeError([mean(try regularized.logLikelihood(x))], [mean(try model.logLikelihood(x))]) < 1e-8)
    }
  }

  @Test func gaussianSamplesHaveItsMoments() throws {
    let model = try Gaussian(fitting: x)
    let again = try Gaussian(fitting: model.sample(20_000, seed: 3))
    #expect(relativeError(again.mean, model.mean) < 0.03)
    #expect(relativeError(again.covarianceMatrix.elements, model.covarianceMatrix.elements) < 0.03)
    #expect(model.sample(5, seed: 3).elements == Array(model.sample(9, seed: 3).elements.prefix(5 * 6)))
    #expect(model.sample(5, seed: 4) != model.sample(5, seed: 3))
  }

  // MARK: - Mixture

  @Test(arguments: CovarianceKind.allCases)
  func mixtureIsAsGoodAsTheBestOfTenScikitLearnStarts(kind: CovarianceKind) throws {
    var configuration = GaussianMixture.Configuration()
    (configuration.components, configuration.covariance) = (4, kind)
    var options = GaussianMixture.Options()
    (options.restarts, options.tolerance, options.maximumIterations, options.threads) = (10, 1e-7, 1000, 2)
    let model = try GaussianMixture(fitting: x, configuration, options: options)
    let expected = try fixture.matrix("mixture_\(kind.rawValue)").elements[0]
    #expect(mean(try model.logLikelihood(x)) >= expected - 1e-3)
    #expect(model.hasConverged)
    for (before, after) in zip(model.logLikelihoodCurve, model.logLikelihoodCurve.dropFirst()) {
      #expect(after >= before - 1e-12 * abs(before))
    }
    #expect(abs(model.weights.reduce(0, +) - 1) < 1e-12)
  }

  @Test func mixtureDoesNotDependOnThreadsBeyondRounding() throws {
    var options = GaussianMixture.Options()
    let one = try GaussianMixture(fitting: x, options: options)
    options.threads = 3
    let three = try GaussianMixture(fitting: x, options: options)
    #expect(relativeError(one.logLikelihoodCurve, three.logLikelihoodCurve) < 1e-9)
    #expect(try GaussianMixture(fitting: x, options: options).means == three.means)
  }

  @Test func mixtureOfOneIsTheGaussian() throws {
    var configuration = GaussianMixture.Configuration()
    configuration.components = 1
    let mixture = try GaussianMixture(fitting: x, configuration)
    let gaussian = try Gaussian(fitting: x)
    #expect(relativeError(try mixture.logLikelihood(heldOut), try gaussian.logLikelihood(heldOut)) < 1e-12)
  }

  @Test func informationCriterionFindsTheNumberOfComponents() throws {
    var scores: [Double] = []
    for K in 1...7 {
      var configuration = GaussianMixture.Configuration()
      configuration.components = K
      var options = GaussianMixture.Options()
      options.restarts = 5
      scores.append(
        try GaussianMixture(fitting: x, configuration, options: options).bayesianInformationCriterion(x))
    }
    #expect(scores.indices.min { scores[$0] < scores[$1] } == 3)
  }

  /// A component that closes in on one point would have a likelihood without bound.
  @Test func collapseIsGuarded() throws {
    var points = [Double](repeating: 0, count: 40)
    for i in 0..<20 { (points[2 * i], points[2 * i + 1]) = (Double(i % 3), Double(i % 3)) }
    var configuration = GaussianMixture.Configuration()
    configuration.components = 8
    for kind in CovarianceKind.allCases {
      configuration.covariance = kind
      let matrix = Matrix(points, rows: 20, columns: 2)
      let model = try GaussianMixture(fitting: matrix, configuration)
      #expect(try model.logLikelihood(matrix).allSatisfy(\.isFinite))
      #expect(model.sample(10, seed: 0).isFinite)
    }
  }

  /// The clusters' own covariance, however far apart they are.
  @Test(arguments: [10.0, 1e5, 1e7]) func tiedCovariancesDoNotLoseTheirPointsToTheirDistance(apart: Double) throws {
    var random = Philox(seed: 3, stream: 0)
    let rows = (0..<500).flatMap { n in
      let z = random.normal()
      let place = n % 2 == 0 ? apart : -apart
      return [place + z + 1e-3 * random.normal(), place + z + 1e-3 * random.normal()]
    }
    let x = Matrix(rows, rows: 500, columns: 2)
    var configuration = GaussianMixture.Configuration()
    (configuration.components, configuration.covariance, configuration.regularization) = (2, .tied, 1e-9)
    let model = try GaussianMixture(fitting: x, configuration)
    // Their difference has the variance 2·10⁻⁶.
    let matrix = model.covarianceMatrix(0)
    let across = (matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1])
    #expect(abs(across - 2e-6) < 0.3e-6, "\(across)")
  }

  // MARK: - PPCA

  /// Rows that lie on a line, in more latent dimensions than that has.
  @Test func ppcaOfFewerDimensionsThanItMayHave() throws {
    let x = Matrix((0..<6).flatMap { [Double($0), 2 * Double($0), -Double($0)] }, rows: 6, columns: 3)
    for seed in 0..<6 {
      var options = PPCA.Options()
      options.seed = UInt64(seed)
      options.maximumIterations = 2000
      for model in [
        try PPCA(expectationMaximization: x, latentDimensions: 2, options: options),
        try PPCA(missingValues: x, latentDimensions: 2, options: options),
      ] {
        let product = Matrix.product(model.directions, model.directions, transposing: .right)
        #expect(relativeError(product.elements, [1, 0, 0, 1]) < 1e-6, "\(seed): \(product)")
        #expect(relativeError(try model.reconstruct(x).elements, x.elements) < 1e-3)
        // Without noise EM finds where the points lie, and how far they are spread only in the limit.
        #expect(model.variances.allSatisfy { $0.isFinite && $0 > 0 })
      }
    }
  }

  /// The likelihood of rows far from 0 is that of the same rows near it.
  @Test func ppcaLosesNothingFarFromZero() throws {
    var random = Philox(seed: 5, stream: 0)
    let rows = (0..<200).flatMap { _ in
      let z = 3 * random.normal()
      return (0..<8).map { z * Double($0 + 1) / 8 + 0.05 * random.normal() }
    }
    let near = Matrix(rows, rows: 200, columns: 8)
    let far = Matrix(rows.map { $0 + 0x1p30 }, rows: 200, columns: 8)
    let (a, b) = (try PPCA(fitting: near, latentDimensions: 1), try PPCA(fitting: far, latentDimensions: 1))
    let errors = zip(try a.logLikelihood(near), try b.logLikelihood(far)).map { abs($0 - $1) }
    #expect((errors.max() ?? 1) < 0.01, "\(errors.max() ?? 1)")
  }

  @Test(arguments: [1, 3, 5])
  func ppcaAgreesWithScikitLearn(q: Int) throws {
    let model = try PPCA(fitting: x, latentDimensions: q, threads: 2)
    #expect(relativeError(try model.logLikelihood(heldOut), try fixture.matrix("ppca_\(q)").elements) < 1e-9)
    #expect(relativeError([model.noiseVariance], try fixture.matrix("ppca_noise_\(q)").elements) < 1e-9)
  }

  @Test(arguments: [1, 3, 5])
  func expectationMaximizationMeetsTheClosedForm(q: Int) throws {
    let closed = try PPCA(fitting: x, latentDimensions: q)
    let model = try PPCA(expectationMaximization: x, latentDimensions: q)
    #expect(relativeError([model.noiseVariance], [closed.noiseVariance]) < 1e-6)
    #expect(relativeError(model.variances, closed.variances) < 1e-6)
    #expect(relativeError(try model.logLikelihood(heldOut), try closed.logLikelihood(heldOut)) < 1e-6)
    let covariance = Matrix.product(closed.weights, closed.weights, transposing: .right)
    let other = Matrix.product(model.weights, model.weights, transposing: .right)
    #expect(relativeError(other.elements, covariance.elements) < 1e-5)
  }

  /// What EM tells of its way is the likelihood of the model that ends there, and no round lowers it.
  @Test func expectationMaximizationTellsItsLikelihood() throws {
    var told: [Double] = []
    let ended = try PPCA(expectationMaximization: x, latentDimensions: 3) { rounds, likelihood in
      #expect(rounds == told.count)
      told.append(likelihood)
      return rounds < 12
    }
    #expect(told.count == 13)
    for (rounds, likelihood) in told.enumerated() where rounds > 0 {
      #expect(likelihood >= told[rounds - 1] - 1e-9)
      var options = PPCA.Options()
      options.maximumIterations = rounds
      let model = try PPCA(expectationMaximization: x, latentDimensions: 3, options: options)
      #expect(relativeError([likelihood], [try model.logLikelihood(x).mean]) < 1e-9)
      if rounds == 12 { #expect(model.variances == ended.variances) }
    }
  }

  @Test func missingValuesAreFilledFromTheRest() throws {
    var options = PPCA.Options()
    (options.maximumIterations, options.tolerance) = (300, 1e-6)
    let model = try PPCA(missingValues: try fixture.matrix("missing"), latentDimensions: 3, options: options)
    let whole = try PPCA(fitting: x, latentDimensions: 3)
    let (found, best) = (mean(try model.logLikelihood(x)), mean(try whole.logLikelihood(x)))
    #expect(found < best && found > best - 0.2)
    // Nothing missing: the maximum of the likelihood, whose covariance is divided by N.
    let complete = try PPCA(missingValues: x, latentDimensions: 3, options: options)
    let factor = Double(x.rows - 1) / Double(x.rows)
    #expect(relativeError([complete.noiseVariance], [whole.noiseVariance * factor]) < 1e-4)
    #expect(relativeError(complete.variances, whole.variances.map { $0 * factor }) < 1e-4)
  }

  @Test func oneColumnHasNoDirections() throws {
    let error = #expect(throws: PipelineError.self) {
      try PPCA(fitting: Matrix([1, 2, 3], rows: 3, columns: 1), latentDimensions: 1)
    }
    #expect(error?.kind == .badData && error?.message.contains("one column") == true)
  }

  @Test func ppcaGoesToLatentsAndBack() throws {
    let model = try PPCA(fitting: x, latentDimensions: 5)
    let reconstruction = try model.reconstruct(x)
    let error = zip(reconstruction.elements, x.elements).reduce(0) { $0 + pow($1.0 - $1.1, 2) }
    // What is left lies in the one direction that was discarded.
    #expect(relativeError([error / Double(x.rows - 1)], [model.noiseVariance]) < 1e-9)
    let sampled = try PPCA(fitting: model.sample(20_000, seed: 1), latentDimensions: 5)
    #expect(relativeError(sampled.variances, model.variances) < 0.03)
    #expect(try model.latents(x).columns == 5)
    // p(z | x) = N(M⁻¹Wᵀ(x - μ), σ²M⁻¹)
    var M = Matrix.product(model.weights, model.weights, transposing: .left)
    for k in 0..<5 { M[k, k] += model.noiseVariance }
    let inverse = try #require(M.invertedSymmetric())
    let arrays = try model.latentArrays(x)
    let means = try model.latents(x)
    #expect(arrays.map(\.name) == ["mean", "variance"] && arrays[0].values == means)
    #expect(
      relativeError(Array(arrays[1].values.row(x.rows - 1)), (0..<5).map { model.noiseVariance * inverse[$0, $0] })
        < 1e-9)
  }

  // MARK: - Files

  @Test func modelsAreTheSameAfterSaving() throws {
    try withTemporaryFolder { folder in
      let file = folder.appending(path: "model.safetensors")
      let gaussian = try Gaussian(fitting: x)
      try gaussian.write(to: file)
      #expect(try Gaussian(contentsOf: file).logLikelihood(heldOut) == gaussian.logLikelihood(heldOut))
      for kind in CovarianceKind.allCases {
        var configuration = GaussianMixture.Configuration()
        (configuration.components, configuration.covariance) = (3, kind)
        let mixture = try GaussianMixture(fitting: x, configuration)
        try mixture.write(to: file)
        let read = try GaussianMixture(contentsOf: file)
        #expect(try read.logLikelihood(heldOut) == mixture.logLikelihood(heldOut))
        #expect(read.logLikelihoodCurve == mixture.logLikelihoodCurve && read.hasConverged == mixture.hasConverged)
      }
      let ppca = try PPCA(fitting: x, latentDimensions: 2)
      try ppca.write(to: file)
      #expect(try PPCA(contentsOf: file).logLikelihood(heldOut) == ppca.logLikelihood(heldOut))
      #expect(throws: PipelineError.self) { try Gaussian(contentsOf: file) }
    }
  }

  // MARK: - Data that do not do

  private func expect(_ kind: PipelineError.Kind, _ text: String, _ body: () throws -> Void) {
    let error = #expect(throws: PipelineError.self) { try body() }
    #expect(error?.kind == kind)
    #expect(error?.message.contains(text) ?? false, "\(error?.message ?? "")")
  }

  @Test func matricesThatDoNotDoAreRefused() throws {
    let empty = Matrix(rows: 0, columns: 3)
    var broken = x
    broken[2, 1] = .nan
    var infinite = x
    infinite[7, 0] = .infinity
    for (matrix, text) in [(empty, "empty"), (broken, "row 2, column 1"), (infinite, "row 7, column 0")] {
      expect(.badData, text) { _ = try Gaussian(fitting: matrix) }
      expect(.badData, text) { _ = try GaussianMixture(fitting: matrix) }
      expect(.badData, text) { _ = try PPCA(fitting: matrix, latentDimensions: 2) }
      expect(.badData, text) { _ = try PPCA(expectationMaximization: matrix, latentDimensions: 2) }
    }
    expect(.badData, "empty") { _ = try PPCA(missingValues: empty, latentDimensions: 2) }
    expect(.badData, "infinite") { _ = try PPCA(missingValues: infinite, latentDimensions: 2) }
    let few = x.rows(0..<3)
    expect(.badData, "10 components cannot be fitted to 3 points") { _ = try GaussianMixture(fitting: few) }
    expect(.badData, "one row") { _ = try PPCA(fitting: x.rows(0..<1), latentDimensions: 2) }
    expect(.badData, "the same") {
      _ = try PPCA(fitting: Matrix(repeating: 2, rows: 5, columns: 3), latentDimensions: 2)
    }
    for q in [0, 6, -1] { expect(.usage, "1 to 5") { _ = try PPCA(fitting: x, latentDimensions: q) } }
    let model = try Gaussian(fitting: x)
    let narrow = Matrix(rows: 4, columns: 5)
    expect(.badData, "5 columns") { _ = try model.logLikelihood(narrow) }
    expect(.badData, "5 columns") { _ = try model.reconstruct(narrow) }
    expect(.badData, "5 columns") { _ = try PPCA(fitting: x, latentDimensions: 2).logLikelihood(narrow) }
    expect(.badData, "row 2") { _ = try model.logLikelihood(broken) }
  }

  @Test func singularCovariancesAreRegularizedOrRefused() throws {
    var constant = x
    for n in 0..<x.rows { constant[n, 3] = 7 }
    #expect(try Gaussian(fitting: constant).logLikelihood(constant).allSatisfy(\.isFinite))
    #expect(try GaussianMixture(fitting: constant).logLikelihood(constant).allSatisfy(\.isFinite))
    #expect(try PPCA(fitting: constant, latentDimensions: 5).logLikelihood(constant).allSatisfy(\.isFinite))
    let few = x.rows(0..<4)
    #expect(try Gaussian(fitting: few).logLikelihood(few).allSatisfy(\.isFinite))
    for kind in [CovarianceKind.full, .diagonal] {
      expect(.badData, "singular") {
        _ = try Gaussian(fitting: constant, .init(covariance: kind, regularization: 0))
      }
    }
  }
}
