import Basics
import Checkpoints
import Foundation
import LatentModels
import TensorCore

/// The models that lead from one Gaussian to DALL·E, in the order of the lecture. The raw value is the model's name on the
/// command line, in model files and in reports.
public enum Rung: String, CaseIterable, Sendable, Codable {
  case gaussian
  case gaussianMixture = "gaussian-mixture"
  case ppca
  case autoEncoder = "generative-auto-encoder"
  case vae
  case gaussianMixtureVAE = "gaussian-mixture-vae"
  case hierarchicalVAE = "hierarchical-vae"
  case vqvae
  case vqvae2
  case dvae

  /// One line for help.
  public var summary: String { text.idea }

  /// What a narrow table calls it.
  package var shortTitle: String {
    text.title
  }

  /// Whether it fits any matrix; the others are made of convolutions and fit pictures only.
  public var takesMatrices: Bool {
    switch self {
    case .gaussian, .gaussianMixture, .ppca, .autoEncoder, .vae, .gaussianMixtureVAE: true
    case .hierarchicalVAE, .vqvae, .vqvae2, .dvae: false
    }
  }
}

/// How the rungs are fitted. What is nil is chosen by the rung.
public struct LadderOptions: Sendable {
  /// K of mixtures.
  public var components: Int?
  public var covariance: CovarianceKind?
  /// Of the code.
  public var latentDimensions: Int?
  /// How long a model is trained that is learnt by gradients.
  public var bound = TrainingBound.minutes(2)
  /// Rows a step of a model that is learnt by gradients.
  public var batchSize: Int?
  /// Whether NaN stands for a value that is missing, which probabilistic PCA can be fitted to.
  public var allowsMissingValues = false
  public var seed: UInt64 = 0
  public var threads = ProcessInfo.processInfo.activeProcessorCount
  public var precision = ElementType.float32
  /// Told what is being done, and the share of it that is.
  public var progress: @Sendable (String, Double) -> Void = { _, _ in }

  public init() {}

  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  public func validate() throws(PipelineError) {
    for (name, value, range) in [
      ("components", components, 1...100_000), ("latent-dimensions", latentDimensions, 1...65_536),
      ("batch-size", batchSize, 1...65_536),
    ] {
      guard let value, !range.contains(value) else { continue }
      throw PipelineError(.usage, "--\(name) must be 1 to \(range.upperBound), not \(value)")
    }
    try bound.validate()
  }
}

/// A model and how it came about.
public struct FittedRung: Sendable {
  public var model: any WritableModel
  /// By the clock.
  public var seconds = 0.0
  /// The mean log-likelihood of the training rows after each round of EM, nats a row; empty where there was none.
  public var likelihoodCurve: [Double] = []
  /// The training loss by the clock's seconds, of a model that is learnt by gradients.
  public var lossCurve: [(seconds: Double, loss: Double)] = []
  /// What a person should know: choices that were made, regularisation, convergence.
  public var notes: [String] = []
}
