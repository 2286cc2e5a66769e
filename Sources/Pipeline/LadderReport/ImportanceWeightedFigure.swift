import Basics
import LatentModels
import LinearAlgebra

/// How probable a rung with a bound holds held-out rows, by the importance-weighted bound (Burda et al. 2016): the figure that papers
/// compare such models by.
public struct ImportanceWeightedFigure: Encodable, Sendable, Equatable {
  /// K of a figure: 1 is an evidence lower bound by one draw, that of a Gaussian-mixture VAE with y summed out, which is above the
  /// bound that it is trained on; the others are as in the paper's tables, as far as time allows.
  public static let standardSamples = [1, 10, 100]
  /// Rows that it is measured on, evenly spread where there are more: each of them is decoded a hundred times.
  public static let mostRows = 256

  /// K, the draws of the latent variables for each row.
  public var samples: Int
  public var rows: Int
  /// Nats a row; more is better.
  public var meanLogLikelihood: Double
  /// Of pictures; less is better. Nil for a matrix.
  public var bitsPerDimension: Double?

  /// The figure for each K. The same draws serve all of them, so it never falls with K.
  /// - Parameters:
  ///   - model: fitted.
  ///   - x: [N, D].
  ///   - arePictures: whether bits a dimension mean something.
  ///   - seed: names the random numbers.
  ///   - threads: how many are used; results do not depend on it.
  /// - Returns: nil for a model whose latent variables cannot be weighed.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  public static func figures(
    of model: any GenerativeModel, _ x: Matrix, arePictures: Bool, seed: UInt64, threads: Int
  ) throws(PipelineError) -> [ImportanceWeightedFigure]? {
    guard let model = model as? any ImportanceWeightedModel else { return nil }
    let x = x.spread(over: mostRows)
    let weights = try model.logImportanceWeights(
      x, samples: standardSamples.max() ?? 1, seed: seed, threads: threads)
    return standardSamples.map { samples in
      let mean = importanceWeightedBounds(weights, samples: samples).mean
      return ImportanceWeightedFigure(
        samples: samples, rows: x.rows, meanLogLikelihood: mean,
        bitsPerDimension: arePictures
          ? LadderData.bitsPerDimension(meanLogLikelihood: mean, dimensions: x.columns) : nil)
    }
  }
}
