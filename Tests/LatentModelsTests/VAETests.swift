import Foundation
import ModelTestSupport
import NN
import TestSupport
import Testing

@testable import Basics
@testable import LatentModels
@testable import LinearAlgebra
@testable import TensorCore

struct VAETests {
  private func configuration(
    _ likelihood: ObservationModel.Kind, dimensions: Int = 6, latent: Int = 2
  ) -> VAE.Configuration {
    var c = VAE.Configuration(dimensions: dimensions)
    c.latentDimensions = latent
    c.likelihood = likelihood
    c.components = 2
    c.width = 7
    c.depth = 1
    return c
  }

  private func pictureConfiguration() -> VAE.Configuration {
    var c = configuration(.discretizedLogistic, dimensions: 8 * 8 * 3)
    c.network = .picture
    c.width = 16
    return c
  }

  private func bytes(_ rows: Int, _ columns: Int, seed: UInt64 = 3) -> Matrix {
    var random = Philox(seed: seed, stream: 1)
    return Matrix(
      (0..<rows * columns).map { _ in (Double(random.index(below: 256)) + 0.5) / 256 }, rows: rows, columns: columns)
  }

  /// Rows near a curve: what one latent dimension can explain, and a linear map cannot.
  private func curve(_ rows: Int, stream: UInt64) -> Matrix {
    var random = Philox(seed: 9, stream: stream)
    return Matrix(
      (0..<rows).flatMap { _ in
        let t = 3 * Double(random.uniform()) - 1.5
        return [t, t * t, sin(2 * t)].map { $0 + 0.05 * random.normal() }
      }, rows: rows, columns: 3)
  }

  @Test(arguments: ObservationModel.Kind.allCases)
  func agreesWithPyTorch(_ kind: ObservationModel.Kind) throws {
    let fixture = try Fixture("vae-" + kind.rawValue.replacingOccurrences(of: "_", with: "-"))
    let model = try VAE(configuration(kind), seed: 1)
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
    let kl = try model.bounds(rows, seed: 1).map { $0.divergences[0] }
    #expect(relativeError(kl, try fixture.tensor("kl").scalars.map(Double.init)) < 1e-5)
  }

  /// A linear decoder from one latent dimension has the closed form log N(x | b, w·wᵀ + σ²I) of PPCA (Tipping & Bishop
  /// 1999, equation 4).
  @Test func boundsCloseInOnTheExactLikelihood() throws {
    var c = configuration(.gaussian, dimensions: 4, latent: 1)
    c.depth = 0
    let model = try VAE(c, seed: 5)
    let w = [0.9, -0.6, 0.3, 0.7]
    let b = [0.1, 0.2, -0.3, 0.4]
    for (name, tensor) in model.namedTensors() {
      switch name {
      case "decoder.layers.0.weight": tensor.overwrite(with: Tensor(w.map { Float($0) }, shape: [4, 1]))
      case "decoder.layers.0.bias": tensor.overwrite(with: Tensor(b.map { Float($0) }, shape: [4]))
      // Close to the posterior, but not it.
      case "encoder.layers.0.weight": tensor.overwrite(with: Tensor([0.4, -0.2, 0.2, 0.3, 0, 0, 0, 0], shape: [2, 4]))
      case "encoder.layers.0.bias": tensor.overwrite(with: Tensor([0, -1.5], shape: [2]))
      default: #expect(name == "observation.variance")
      }
    }
    let variance = exp(log(1 + exp(14.0)) - 16)
    var random = Philox(seed: 2, stream: 7)
    let x = Matrix(
      (0..<40).flatMap { _ in
        let z = random.normal()
        return (0..<4).map { b[$0] + w[$0] * z + variance.squareRoot() * random.normal() }
      }, rows: 40, columns: 4)
    // C⁻¹ and |C| by the Sherman-Morrison formula.
    let square = w.reduce(0) { $0 + $1 * $1 }
    let exact = (0..<40).map { n in
      let d = x.row(n).enumerated().map { $1 - b[$0] }
      let along = zip(d, w).reduce(0) { $0 + $1.0 * $1.1 }
      let distance = (d.reduce(0) { $0 + $1 * $1 } - along * along / (variance + square)) / variance
      return -0.5 * (4 * log(2 * Double.pi) + 3 * log(variance) + log(variance + square) + distance)
    }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    let bound = mean(try (0..<200).flatMap { try model.logLikelihood(x, seed: $0) })
    let ten = mean(try (0..<20).flatMap { try model.importanceWeightedLogLikelihood(x, samples: 10, seed: $0) })
    let many = mean(try model.importanceWeightedLogLikelihood(x, samples: 2000, seed: 1))
    #expect(bound < ten - 0.05 && ten < many)
    #expect(abs(many - mean(exact)) < 0.02)
    let one = try model.importanceWeightedLogLikelihood(x, samples: 1, seed: 4)
    #expect(one.count == 40 && one.allSatisfy(\.isFinite))
  }

  @Test func learnsACurve() throws {
    let model = try VAE(
      {
        var c = configuration(.gaussian, dimensions: 3, latent: 1)
        c.width = 32
        c.depth = 2
        return c
      }(), seed: 1)
    let (rows, heldOut) = (curve(512, stream: 1), curve(600, stream: 2))
    let before = try model.logLikelihood(heldOut, seed: 1).reduce(0, +) / 600
    var fit = GradientFit(.steps(600))
    fit.learningRate = 3e-3
    fit.points = 3
    let points = try fit(model, rows: rows, heldOut: heldOut)
    #expect(points.map(\.step) == [200, 400, 600])
    #expect(points[2].loss < points[0].loss)
    let after = try #require(points[2].heldOut)
    #expect(after > before + 1)
    // What is reported is what the fitted model gives.
    #expect(try abs(model.logLikelihood(heldOut, seed: 0).reduce(0, +) / 600 - after) < 1e-6)
    // Better than any Gaussian.
    let gaussian = try Gaussian(fitting: rows)
    #expect(try after > gaussian.logLikelihood(heldOut, seed: 0).reduce(0, +) / 600)
  }

  @Test(arguments: [1, 2])
  func fittingIsReproducible(threads: Int) throws {
    func weights(seed: UInt64) throws -> [[Float]] {
      let model = try VAE(pictureConfiguration(), seed: 1)
      var fit = GradientFit(.steps(5))
      fit.batchSize = 6
      fit.threads = threads
      fit.dequantizes = true
      fit.seed = seed
      let points = try fit(model, rows: bytes(10, 192))
      #expect(points.last?.step == 5 && points.allSatisfy { $0.loss.isFinite && $0.heldOut == nil })
      return model.parameters().map(\.value.scalars)
    }
    let first = try weights(seed: 3)
    #expect(try weights(seed: 3) == first)
    #expect(try weights(seed: 4) != first)
  }

  @Test(arguments: ObservationModel.Kind.allCases)
  func samplesDoNotDependOnTheirNumber(_ kind: ObservationModel.Kind) throws {
    let model = try VAE(configuration(kind), seed: 1)
    let many = try model.sample(21, seed: 8)
    #expect(many.rows == 21 && many.columns == 6 && many.isFinite)
    #expect(try model.sample(3, seed: 8).elements == Array(many.elements.prefix(18)))
    #expect(try model.sample(3, seed: 9).elements != Array(many.elements.prefix(18)))
    #expect(try model.sample(0, seed: 9).rows == 0)
    if kind == .discretizedLogistic { #expect(many.elements.allSatisfy { 0 <= $0 && $0 < 1 }) }
  }

  /// The mixture's draws have the probabilities that its likelihood says.
  @Test func discretizedDrawsFollowTheirLikelihood() {
    let observation = ObservationModel(.discretizedLogistic, dimensions: 1, components: 2)
    let parameters: [Float] = [0.3, -0.2, 0.9, -0.5, -2, -3]
    let rows = 0..<20000
    let decoded = Tensor(rows.flatMap { _ in parameters }, shape: [rows.count, 6])
    let drawn = observation.draw(decoded, rows: rows, seed: 4, stream: 1 << 60).scalars
    let edges: [Range<Int>] = [0..<32, 32..<64, 64..<128, 128..<224, 224..<255, 255..<256]
    for bytes in edges {
      let x = Tensor(bytes.map { (Float($0) + 0.5) / 256 }, shape: [bytes.count, 1])
      let density = observation.logDensity(x, Tensor(bytes.flatMap { _ in parameters }, shape: [bytes.count, 6]))
      let expected = density.scalars.reduce(0.0) { $0 + exp(Double($1)) / 256 }
      let share = Double(drawn.count { bytes.contains(Int($0 * 256)) }) / Double(rows.count)
      #expect(abs(share - expected) < 5 * (expected * (1 - expected) / 20000).squareRoot() + 1e-4, "\(bytes)")
    }
  }

  /// What the bells say beyond black and white is black and white, before they are weighed.
  @Test func discretizedMeansCountBlackAndWhiteAsTheyAre() {
    let observation = ObservationModel(.discretizedLogistic, dimensions: 1, components: 2)
    let mean = observation.mean(Tensor([0, 0, -5, 1, -7, -7, 0, 0, -3, 0, -7, -7], shape: [2, 6])).scalars
    #expect(zip(mean, [0.5, 0.25]).allSatisfy { abs($0 - $1) < 1e-6 }, "\(mean)")
  }

  /// Noise that fills a byte's interval does not leave it when it is rounded.
  @Test func dequantizedBytesStayWhatTheyAre() {
    let bytes = Matrix((0..<256 * 4096).map { Double($0 % 256) / 256 }, rows: 4096, columns: 256)
    let filled = bytes.dequantized(seed: 2)
    #expect(zip(filled.elements, bytes.elements).allSatisfy { (Float($0) * 256).rounded(.down) == Float($1 * 256) })
  }

  @Test func savingAndLoadingGivesTheSameBits() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "vae.safetensors")
      let model = try VAE(pictureConfiguration(), seed: 3)
      try model.write(to: url)
      let loaded = try VAE(contentsOf: url)
      #expect(loaded.configuration == model.configuration)
      #expect(loaded.namedTensors().map(\.tensor.scalars) == model.namedTensors().map(\.tensor.scalars))
      let x = bytes(3, 192)
      #expect(try loaded.logLikelihood(x, seed: 1) == model.logLikelihood(x, seed: 1))
      #expect(throws: PipelineError.self) { try PPCA(contentsOf: url) }
    }
  }

  @Test func meanAndVarianceOfCodesAreToldApart() throws {
    let model = try VAE(configuration(.gaussian), seed: 2)
    let x = curve(70, stream: 3)
    let wide = Matrix(x.elements + x.elements, rows: 70, columns: 6)
    let arrays = try model.latentArrays(wide)
    let means = try model.encode(wide)
    #expect(arrays.map(\.name) == ["mean", "variance"] && arrays[0].values == means)
    let row = Tensor(wide.row(69).map { Float($0) }, shape: [1, 6])
    let (mean, logVariance) = model.posterior(row)
    #expect(relativeError(Array(arrays[0].values.row(69)), mean.scalars.map(Double.init)) < 1e-5)
    #expect(relativeError(Array(arrays[1].values.row(69)), logVariance.scalars.map { exp(Double($0)) }) < 1e-5)
  }

  @Test func theManifoldGoesThroughTheQuantiles() throws {
    let model = try VAE(pictureConfiguration(), seed: 3)
    let grid = try model.manifold(side: 3)
    #expect(grid.rows == 9 && grid.columns == 192)
    // Its middle is the median, its corner has the lowest sixth along both axes.
    let z = -0.967421566101701
    let expected = try model.decode(Matrix([0, 0, z, z], rows: 2, columns: 2))
    #expect(relativeError(Array(grid.row(4)), Array(expected.row(0))) < 1e-5)
    #expect(relativeError(Array(grid.row(0)), Array(expected.row(1))) < 1e-5)
    #expect(throws: PipelineError.self) { try VAE(configuration(.gaussian, latent: 3), seed: 1).manifold(side: 3) }
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let model = try VAE(configuration(.gaussian), seed: 1)
    let wide = Matrix(rows: 2, columns: 7)
    #expect(throws: PipelineError.self) { try model.logLikelihood(wide, seed: 1) }
    #expect(throws: PipelineError.self) { try model.reconstruct(wide) }
    #expect(throws: PipelineError.self) { try model.importanceWeightedLogLikelihood(wide, samples: 2, seed: 1) }
    #expect(throws: PipelineError.self) { try GradientFit(.steps(1))(model, rows: wide) }
    #expect(throws: PipelineError.self) { try GradientFit(.steps(0))(model, rows: Matrix(rows: 2, columns: 6)) }
    #expect(throws: PipelineError.self) {
      try model.logLikelihood(Matrix(repeating: .nan, rows: 1, columns: 6), seed: 1)
    }
    #expect(throws: PipelineError.self) { try VAE(VAE.Configuration(dimensions: 0), seed: 1) }
    var odd = pictureConfiguration()
    odd.patchSize = 3
    #expect(throws: PipelineError.self) { try VAE(odd, seed: 1) }
  }
}
