import Foundation
import LinearAlgebra
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import LatentModels

struct AutoEncoderTests {
  private func model(latent: Int = 1) throws -> AutoEncoder {
    var c = AutoEncoder.Configuration(dimensions: 3)
    c.latentDimensions = latent
    c.width = 32
    return try AutoEncoder(c, seed: 1)
  }

  private func curve(_ rows: Int, stream: UInt64) -> Matrix {
    var random = Philox(seed: 9, stream: stream)
    return Matrix(
      (0..<rows).flatMap { _ in
        let t = 3 * Double(random.uniform()) - 1.5
        return [t, t * t, sin(2 * t)].map { $0 + 0.02 * random.normal() }
      }, rows: rows, columns: 3)
  }

  private func error(_ a: Matrix, _ b: Matrix) -> Double {
    zip(a.elements, b.elements).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(a.elements.count)
  }

  private func fitted() throws -> AutoEncoder {
    let model = try model()
    var fit = GradientFit(.steps(600))
    fit.learningRate = 3e-3
    let points = try fit(model, rows: curve(512, stream: 1), heldOut: curve(10, stream: 2))
    #expect(points.allSatisfy { $0.heldOut == nil } && points[9].loss < 0.5 * points[0].loss)
    return model
  }

  /// One latent dimension bends along the curve, which the best straight line cannot.
  @Test func reconstructsBetterThanPrincipalComponents() throws {
    let (model, heldOut) = (try fitted(), curve(200, stream: 2))
    let line = try PPCA(fitting: curve(512, stream: 1), latentDimensions: 1)
    #expect(error(try model.reconstruct(heldOut), heldOut) < 0.3 * error(try line.reconstruct(heldOut), heldOut))
  }

  /// What is drawn lies as close to the curve as the curve's own points do, give or take the network's error.
  @Test func aDensityOverCodesMakesItDraw() throws {
    let (model, data) = (try fitted(), curve(512, stream: 1))
    var mixture = GaussianMixture.Configuration()
    mixture.components = 8
    let codes = try GaussianMixture(fitting: model.encode(data), mixture)
    let generative = try GenerativeAutoEncoder(model, codeModel: codes)
    let drawn = try generative.sample(100, seed: 5)
    let distances = (0..<100).map { i in
      (0..<512).map { j in
        zip(drawn.row(i), data.row(j)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      }.min() ?? .infinity
    }
    #expect(distances.sorted()[50] < 0.1)
    #expect(try generative.sample(3, seed: 5).elements == Array(drawn.elements.prefix(9)))
    #expect(generative.parameterCount > model.parameterCount)
    let other = try Gaussian(fitting: data)
    #expect(throws: PipelineError.self) { try GenerativeAutoEncoder(model, codeModel: other) }
  }

  @Test func whatItCannotDoIsAnError() throws {
    let model = try model()
    #expect(throws: PipelineError.self) { try model.logLikelihood(curve(2, stream: 1), seed: 1) }
    #expect(throws: PipelineError.self) { try model.sample(1, seed: 1) }
    #expect(throws: PipelineError.self) { try model.encode(Matrix(rows: 1, columns: 4)) }
    #expect(throws: PipelineError.self) { try model.decode(Matrix(rows: 1, columns: 4)) }
    #expect(throws: PipelineError.self) { try AutoEncoder(.init(dimensions: 0), seed: 1) }
  }

  @Test func savingAndLoadingGivesTheSameBits() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "auto-encoder.safetensors")
      var c = AutoEncoder.Configuration(dimensions: 192)
      c.network = .picture
      c.width = 8
      let model = try AutoEncoder(c, seed: 2)
      try model.write(to: url)
      let loaded = try AutoEncoder(contentsOf: url)
      #expect(loaded.configuration == c)
      let x = Matrix((0..<384).map { Double($0) / 384 }, rows: 2, columns: 192)
      #expect(try loaded.reconstruct(x) == model.reconstruct(x))
    }
  }
}
