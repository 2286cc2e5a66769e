import Foundation
import LinearAlgebra
import ModelTestSupport
import NN
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import LatentModels

struct GaussianMixtureVAETests {
  private func configuration(dimensions: Int = 6, latent: Int = 2, components: Int = 3)
    -> GaussianMixtureVAE.Configuration
  {
    var c = GaussianMixtureVAE.Configuration(dimensions: dimensions)
    (c.latentDimensions, c.components, c.width, c.depth) = (latent, components, 7, 1)
    return c
  }

  /// Three clouds in a plane, bent into ten dimensions; the label of a row is its cloud.
  private func clouds(_ rows: Int, stream: UInt64) -> (x: Matrix, labels: [Int]) {
    var random = Philox(seed: 7, stream: stream)
    let labels = (0..<rows).map { $0 % 3 }
    let elements = labels.flatMap { label in
      let angle = Double(label) * 2 * .pi / 3
      let (a, b) = (2.5 * cos(angle) + 0.6 * random.normal(), 2.5 * sin(angle) + 0.6 * random.normal())
      return (0..<10).map { d in
        let phase = Double(d)
        return cos(phase) * a + sin(phase) * b + 0.1 * cos(2 * phase) * a * b + 0.1 * random.normal()
      }
    }
    return (Matrix(elements, rows: rows, columns: 10), labels)
  }

  @Test func agreesWithPyTorch() throws {
    let fixture = try Fixture("gaussian-mixture-vae")
    let model = try GaussianMixtureVAE(configuration(), seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    let (x, epsilon) = (try fixture.tensor("x"), try fixture.tensor("epsilon"))
    let (loss, gradients) = valueAndGrad(model) {
      $0.loss(x, epsilon: epsilon, klWeight: 0.75, precision: .float32)
    }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 2e-5, "the gradient of \(name)")
    }
    let rows = Matrix(x.scalars.map(Double.init), rows: 5, columns: 6)
    let expected = try fixture.tensor("responsibilities").scalars.map(Double.init)
    #expect(relativeError(try model.responsibilities(rows).elements, expected) < 1e-5)
  }

  /// With one component the bound is a VAE's with that Gaussian as its prior.
  @Test func oneComponentIsAVAE() throws {
    let mixture = try GaussianMixtureVAE(configuration(components: 1), seed: 3)
    var c = VAE.Configuration(dimensions: 6)
    (c.latentDimensions, c.width, c.depth) = (2, 7, 1)
    let plain = try VAE(c, seed: 3)
    let x = Matrix((0..<30).map { sin(Double($0)) }, rows: 5, columns: 6)
    let (a, b) = (try mixture.bounds(x, seed: 1), try plain.bounds(x, seed: 1))
    for (a, b) in zip(a, b) {
      let kl = b.divergences[0]
      #expect(abs(a.divergences[0] - kl) < 1e-4 * (1 + kl) && abs(a.divergences[1]) < 1e-5)
    }
    #expect(try mixture.reconstruct(x) == plain.reconstruct(x))
  }

  @Test func findsKindsThatNobodyHasNamed() throws {
    let (rows, labels) = clouds(600, stream: 1)
    let (heldOut, classes) = clouds(300, stream: 2)
    var c = configuration(dimensions: 10, latent: 2, components: 3)
    (c.width, c.depth) = (32, 2)
    var model = try GaussianMixtureVAE(c, seed: 1)
    let untrained = try clusteringAccuracy(clusters: model.cluster(heldOut), labels: classes)
    var fit = GradientFit(.steps(1000))
    fit.learningRate = 3e-3
    model.klWeight = 0.1
    try fit(model, rows: rows)
    let alone = try model.logLikelihood(heldOut, seed: 1).reduce(0, +) / 300
    var mixture = GaussianMixture.Configuration()
    (mixture.covariance, mixture.components) = (.diagonal, 3)
    var search = GaussianMixture.Options()
    search.restarts = 5
    let clusters = try GaussianMixture(fitting: model.encode(rows), mixture, options: search)
    try model.setComponents(
      weights: clusters.weights, means: clusters.means,
      variances: Matrix((0..<3).flatMap { clusters.covarianceMatrix($0).elements }, rows: 3, columns: 2))
    model.klWeight = 1
    try fit(model, rows: rows)
    #expect(try model.logLikelihood(heldOut, seed: 1).reduce(0, +) / 300 > alone)
    let accuracy = try clusteringAccuracy(clusters: model.cluster(heldOut), labels: classes)
    #expect(accuracy > 0.95 && untrained < 0.6, "\(untrained) before, \(accuracy) after")
    // Draws from one component are of one kind, and the components' kinds differ.
    let kinds = try (0..<3).map { k in
      let found = nearestLabels(of: try model.sample(60, component: k, seed: 4), rows, labels)
      let counts = (0..<3).map { label in found.count { $0 == label } }
      let kind = try #require((0..<3).max { counts[$0] < counts[$1] })
      #expect(counts[kind] > 48, "component \(k): \(counts)")
      return kind
    }
    #expect(Set(kinds).count == 3)
  }

  private func nearestLabels(of draws: Matrix, _ rows: Matrix, _ labels: [Int]) -> [Int] {
    (0..<draws.rows).map { i in
      func distance(_ n: Int) -> Double {
        zip(draws.row(i), rows.row(n)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }
      let distances = (0..<rows.rows).map(distance)
      return labels[distances.firstIndex(of: distances.min() ?? 0) ?? 0]
    }
  }

  /// A code that is turned stands for the same rows, and turning back gives the parameters of the means back.
  @Test(arguments: [(RowNetworkKind.dense, 6), (.picture, 192)])
  func turningTheCodeChangesNoReconstruction(_ network: RowNetworkKind, _ dimensions: Int) throws {
    var c = configuration(dimensions: dimensions)
    (c.network, c.width) = (network, 16)
    let model = try GaussianMixtureVAE(c, seed: 4)
    let x = Matrix((0..<4 * dimensions).map { 0.5 + 0.4 * sin(Double($0)) }, rows: 4, columns: dimensions)
    let (codes, rows) = (try model.encode(x), try model.reconstruct(x))
    let (cosine, sine) = (cos(0.7), sin(0.7))
    let rotation = Matrix([cosine, -sine, sine, cosine], rows: 2, columns: 2)
    try model.turnCodes(by: rotation)
    #expect(
      relativeError(try model.encode(x).elements, Matrix.product(codes, rotation, transposing: .right).elements) < 1e-5)
    #expect(relativeError(try model.reconstruct(x).elements, rows.elements) < 1e-5)
    try model.turnCodes(by: Matrix([cosine, sine, -sine, cosine], rows: 2, columns: 2))
    #expect(relativeError(try model.encode(x).elements, codes.elements) < 1e-5)
    #expect(throws: PipelineError.self) { try model.turnCodes(by: Matrix([1, 1, 0, 1], rows: 2, columns: 2)) }
    #expect(throws: PipelineError.self) { try model.turnCodes(by: Matrix([1], rows: 1, columns: 1)) }
  }

  @Test func oneNumberOfTheCodeIsVaried() throws {
    let model = try GaussianMixtureVAE(configuration(), seed: 1)
    let means = Matrix([1, 2, 3, 4, 5, 6], rows: 3, columns: 2)
    try model.setComponents(
      weights: [1, 1, 1], means: means, variances: Matrix([0.1, 1, 2, 4, 4, 5], rows: 3, columns: 2))
    // σ is 2, and t goes from -2 to 2.
    let expected = try model.decode(Matrix([3, 0, 3, 4, 3, 8], rows: 3, columns: 2))
    #expect(relativeError(try model.varied(component: 1, latent: 1, count: 3).elements, expected.elements) < 1e-5)
    #expect(throws: PipelineError.self) { try model.varied(component: 3, latent: 1, count: 3) }
    #expect(throws: PipelineError.self) { try model.varied(component: 1, latent: 2, count: 3) }
    #expect(throws: PipelineError.self) { try model.varied(component: 1, latent: 1, count: 1) }
  }

  @Test func attributesAreComparedWithCodes() throws {
    let codes = Matrix([1, 5, 0, 2, 5, 1, 3, 5, 0, 4, 5, 1], rows: 4, columns: 3)
    let found = try attributeCorrelations(codes: codes, attribute: [40, 30, 20, 10])
    // The last: the covariance of (0, 1, 0, 1) and (4, 3, 2, 1) is -1/4, their deviations 1/2 and √5/2.
    #expect(zip(found, [-1, 0, -1 / 5.squareRoot()]).allSatisfy { abs($0 - $1) < 1e-12 }, "\(found)")
    #expect(throws: PipelineError.self) { try attributeCorrelations(codes: codes, attribute: [1, 2]) }
    for bad in [Double.nan, .infinity] {
      let error = #expect(throws: PipelineError.self) {
        try attributeCorrelations(codes: codes, attribute: [1, 2, bad, 3])
      }
      #expect(error?.message.contains("number 3 of the attribute") == true)
    }
    // 0.1 three times has a mean above 0.1.
    let same = Matrix([0.1, 0.1, 0.1], rows: 3, columns: 1)
    #expect(try attributeCorrelations(codes: same, attribute: [0.1, 0.1, 0.1]) == [0])
  }

  @Test func drawsDoNotDependOnTheirNumber() throws {
    let model = try GaussianMixtureVAE(configuration(), seed: 1)
    let many = try model.sample(21, seed: 8)
    #expect(many.rows == 21 && many.columns == 6 && many.isFinite)
    #expect(try model.sample(3, seed: 8).elements == Array(many.elements.prefix(18)))
    let one = try model.sample(21, component: 2, seed: 8)
    #expect(try model.sample(3, component: 2, seed: 8).elements == Array(one.elements.prefix(18)))
    #expect(throws: PipelineError.self) { try model.sample(1, component: 3, seed: 8) }
    #expect(throws: PipelineError.self) { try model.sample(1, component: -1, seed: 8) }
  }

  @Test func savingAndLoadingGivesTheSameBits() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "model.safetensors")
      var c = configuration(dimensions: 192)
      (c.network, c.width, c.likelihood) = (.picture, 16, .discretizedLogistic)
      let model = try GaussianMixtureVAE(c, seed: 3)
      try model.setComponents(
        weights: [0.5, 0.25, 0.25], means: Matrix([1, 2, 3, 4, 5, 6], rows: 3, columns: 2),
        variances: Matrix([0.1, 1, 2, 3, 4, 5], rows: 3, columns: 2))
      try model.write(to: url)
      let loaded = try GaussianMixtureVAE(contentsOf: url)
      #expect(loaded.configuration == model.configuration)
      #expect(loaded.namedTensors().map(\.tensor.scalars) == model.namedTensors().map(\.tensor.scalars))
      #expect(throws: PipelineError.self) { try VAE(contentsOf: url) }
    }
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let model = try GaussianMixtureVAE(configuration(), seed: 1)
    #expect(throws: PipelineError.self) { try model.logLikelihood(Matrix(rows: 2, columns: 7), seed: 1) }
    #expect(throws: PipelineError.self) { try model.responsibilities(Matrix(repeating: .nan, rows: 1, columns: 6)) }
    #expect(throws: PipelineError.self) { try GaussianMixtureVAE(.init(dimensions: 0), seed: 1) }
    let means = Matrix(rows: 3, columns: 2)
    let ones = Matrix(repeating: 1, rows: 3, columns: 2)
    #expect(throws: PipelineError.self) { try model.setComponents(weights: [1, 1], means: means, variances: ones) }
    #expect(throws: PipelineError.self) { try model.setComponents(weights: [1, 0, 1], means: means, variances: ones) }
    #expect(throws: PipelineError.self) { try model.setComponents(weights: [1, 1, 1], means: ones, variances: means) }
  }
}

struct ClusteringTests {
  /// Against all permutations, of which the first columns are the rows'.
  @Test(arguments: 1...6)
  func theBestAssignmentIsFound(size: Int) {
    var random = Philox(seed: 3, stream: UInt64(size))
    func permutations(_ values: [Int]) -> [[Int]] {
      values.isEmpty ? [[]] : values.flatMap { v in permutations(values.filter { $0 != v }).map { [v] + $0 } }
    }
    for _ in 0..<20 {
      let rows = 1 + random.index(below: size)
      let gains = (0..<rows).map { _ in (0..<size).map { _ in random.index(below: 12) } }
      func gain(_ columns: [Int]) -> Int { zip(gains, columns).reduce(0) { $0 + $1.0[$1.1] } }
      let found = bestAssignment(gains)
      #expect(found.count == rows && Set(found).count == rows && found.allSatisfy((0..<size).contains))
      #expect(gain(found) == permutations(Array(0..<size)).map(gain).max())
    }
  }

  @Test func accuracyTakesTheBestNames() throws {
    #expect(try clusteringAccuracy(clusters: [2, 2, 0, 0, 1], labels: [7, 7, -1, -1, 4]) == 1)
    // More clusters than classes, and the other way around: one cluster a class.
    #expect(try clusteringAccuracy(clusters: [0, 1, 2, 3], labels: [5, 5, 6, 6]) == 0.5)
    #expect(try clusteringAccuracy(clusters: [0, 0, 0, 0], labels: [1, 2, 2, 3]) == 0.5)
    // A label for each row, as of a column that was no class: as many are met as there are clusters.
    let rows = 20_000
    #expect(try clusteringAccuracy(clusters: (0..<rows).map { $0 % 4 }, labels: Array(0..<rows)) == 4 / Double(rows))
    #expect(throws: PipelineError.self) { try clusteringAccuracy(clusters: [], labels: []) }
    #expect(throws: PipelineError.self) { try clusteringAccuracy(clusters: [1], labels: [1, 2]) }
  }
}
