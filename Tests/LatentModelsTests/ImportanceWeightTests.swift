import Foundation
import NN
import TensorCore
import Testing

@testable import Basics
@testable import LatentModels
@testable import LinearAlgebra

struct ImportanceWeightTests {
  private func vae() throws -> VAE {
    var c = VAE.Configuration(dimensions: 5)
    (c.latentDimensions, c.width, c.depth) = (2, 7, 1)
    return try VAE(c, seed: 3)
  }

  private func rows(_ count: Int, _ columns: Int) -> Matrix {
    Matrix((0..<count * columns).map { sin(Double($0)) }, rows: count, columns: columns)
  }

  /// Jensen's inequality holds of the draws themselves, not only of their mean.
  @Test func moreSamplesNeverLowerTheBoundOfARow() throws {
    let weights = try vae().logImportanceWeights(rows(40, 5), samples: 100, seed: 6)
    #expect(weights.rows == 40 && weights.columns == 100 && weights.isFinite)
    let bounds = [1, 10, 50, 100].map { importanceWeightedBounds(weights, samples: $0) }
    for (few, many) in zip(bounds, bounds.dropFirst()) {
      #expect(zip(few, many).allSatisfy { $0 <= $1 + 1e-12 } && few.mean < many.mean)
    }
    // One at a time it is the mean of the logarithms, all at once the logarithm of the mean.
    #expect(abs(bounds[0][3] - Array(weights.row(3)).mean) < 1e-12)
    let plain = log(weights.row(3).reduce(0) { $0 + exp($1) } / 100)
    #expect(abs(bounds[3][3] - plain) < 1e-9)
  }

  /// Weights of which every one is 0 or beyond all bounds as a float still have a mean.
  @Test func weightsMayBeTinyAndHuge() {
    let bounds = importanceWeightedBounds(Matrix([-5000, -5000, 4000, 4000], rows: 2, columns: 2), samples: 2)
    #expect(bounds == [-5000, 4000])
  }

  @Test func aRowsWeightsDependOnItsNumberAndTheSeedAlone() throws {
    let (model, x) = (try vae(), rows(70, 5))
    let weights = try model.logImportanceWeights(x, samples: 4, seed: 6)
    #expect(try model.logImportanceWeights(x, samples: 4, seed: 6, threads: 2) == weights)
    let few = try model.logImportanceWeights(x, samples: 2, seed: 6)
    #expect((0..<70).allSatisfy { Array(few.row($0)) == Array(weights.row($0).prefix(2)) })
    #expect(try model.logImportanceWeights(x, samples: 4, seed: 7) != weights)
    #expect(throws: PipelineError.self) { try model.logImportanceWeights(x, samples: 0, seed: 6) }
    #expect(throws: PipelineError.self) { try model.logImportanceWeights(rows(2, 4), samples: 1, seed: 6) }
  }

  /// A linear decoder makes a mixture of Gaussians of a mixture of Gaussians: N(x | b + W·μ_k, W·diag(σ_k²)·Wᵀ + σ²·I).
  @Test func aMixturesBoundsCloseInOnTheExactLikelihood() throws {
    var c = GaussianMixtureVAE.Configuration(dimensions: 3)
    (c.latentDimensions, c.components, c.width, c.depth) = (1, 2, 7, 0)
    let model = try GaussianMixtureVAE(c, seed: 5)
    let (w, b) = ([0.9, -0.6, 0.3], [0.1, 0.2, -0.3])
    let (weights, means, variances) = ([0.3, 0.7], [-1.5, 1.0], [0.25, 0.5])
    try model.setComponents(
      weights: weights, means: Matrix(means, rows: 2, columns: 1), variances: Matrix(variances, rows: 2, columns: 1))
    for (name, tensor) in model.namedTensors() {
      switch name {
      case "decoder.layers.0.weight": tensor.overwrite(with: Tensor(w.map { Float($0) }, shape: [3, 1]))
      case "decoder.layers.0.bias": tensor.overwrite(with: Tensor(b.map { Float($0) }, shape: [3]))
      // Close to the posterior, but not it.
      case "encoder.layers.0.weight": tensor.overwrite(with: Tensor([0.6, -0.4, 0.2, 0, 0, 0], shape: [2, 3]))
      case "encoder.layers.0.bias": tensor.overwrite(with: Tensor([0.1, -1.8], shape: [2]))
      default: break
      }
    }
    let variance = exp(log(1 + exp(14.0)) - 16)
    var random = Philox(seed: 2, stream: 7)
    var elements: [Double] = []
    for n in 0..<40 {
      let k = n % 10 < 3 ? 0 : 1
      let z = means[k] + variances[k].squareRoot() * random.normal()
      for d in 0..<3 { elements.append(b[d] + w[d] * z + variance.squareRoot() * random.normal()) }
    }
    let x = Matrix(elements, rows: 40, columns: 3)
    // The determinant and the inverse of the covariance by the Sherman-Morrison formula.
    func logDensity(_ row: [Double], _ k: Int) -> Double {
      let difference = row.indices.map { row[$0] - b[$0] - w[$0] * means[k] }
      let along = zip(difference, w).map { $0 * $1 }.reduce(0, +)
      let length = difference.map { $0 * $0 }.reduce(0, +)
      let square = variances[k] * w.map { $0 * $0 }.reduce(0, +)
      let distance = (length - along * along * variances[k] / (variance + square)) / variance
      let logDeterminant = 2 * log(variance) + log(variance + square)
      return log(weights[k]) - 0.5 * (3 * log(2 * Double.pi) + logDeterminant + distance)
    }
    let exact = (0..<40).map { n in logSumExp((0..<2).map { logDensity(Array(x.row(n)), $0) }) }
    let bound = try (0..<100).flatMap { try model.logLikelihood(x, seed: $0) }.mean
    let logWeights = try model.logImportanceWeights(x, samples: 4000, seed: 1)
    let bounds = [1, 10, 100, 4000].map { importanceWeightedBounds(logWeights, samples: $0).mean }
    // y need not be drawn, which is worth something.
    #expect(bound < bounds[0] && bounds[0] < bounds[1] - 0.01 && bounds[1] < bounds[2])
    #expect(abs(bounds[3] - exact.mean) < 0.02, "\(bounds), and exactly \(exact.mean)")
  }

  /// A decoder that does not look at the latent variables knows p(x), whatever the posterior draws.
  @Test func aHierarchysBoundsCloseInOnTheExactLikelihood() throws {
    var c = HierarchicalVAE.Configuration(dimensions: 4 * 4 * 3)
    (c.patchSize, c.codeDimensions, c.channels, c.latentChannels, c.components) = (2, 2, [4, 4], [1, 1], 2)
    let model = try HierarchicalVAE(c, seed: 5)
    for (name, tensor) in model.namedTensors() where name == "output.weight" {
      tensor.overwrite(with: .zeros(tensor.shape))
    }
    let bytes = (0..<6 * 48).map { Double($0 * 37 % 256) }
    let x = Matrix(bytes.map { ($0 + 0.5) / 256 }, rows: 6, columns: 48)
    let exact = try model.bounds(x, seed: 1).map(\.reconstruction)
    let other = try model.bounds(x, seed: 2).map(\.reconstruction)
    #expect(zip(exact, other).allSatisfy { abs($0 - $1) < 1e-3 })
    let divergence = try model.bounds(x, seed: 1).map { $0.divergences.reduce(0, +) }.mean
    #expect(divergence > 0.02, "\(divergence)")
    let weights = try model.logImportanceWeights(x, samples: 2000, seed: 3)
    let bounds = [1, 10, 2000].map { importanceWeightedBounds(weights, samples: $0).mean }
    // One sample's mean is the evidence lower bound, whose divergence is known in closed form.
    #expect(abs(bounds[0] - (exact.mean - divergence)) < 0.1 * divergence + 0.02)
    #expect(bounds[0] < bounds[1] && bounds[1] < bounds[2])
    #expect(abs(bounds[2] - exact.mean) < 0.1 * divergence, "\(bounds), and exactly \(exact.mean); \(divergence)")
  }
}
