import Basics
import LinearAlgebra
import NN
import TensorCore

/// A fitted rung of the ladder: a distribution p(x) over rows x ∈ ℝ^D. Pictures are rows too, of D = S·S·3 values in
/// [0, 1), row-major [S, S, 3].
///
/// What a rung can do besides is said by ``likelihood``. Fitting differs from rung to rung: classical models have
/// `init(fitting:…)`, those learnt by gradients conform to ``GradientTrainedModel``.
public protocol GenerativeModel: Sendable {
  /// D
  var dimensions: Int { get }
  /// The number of fitted numbers.
  var parameterCount: Int { get }
  /// What ``logLikelihood(_:seed:)`` gives.
  var likelihood: LikelihoodKind { get }

  /// log p(x) of each row or its bound, in nats, as a density over ℝ^D.
  /// - Parameters:
  ///   - x: [N, D].
  ///   - seed: of the noise where the bound is estimated by sampling; exact likelihoods don't use it.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs from ``dimensions`` or an element is not finite;
  ///   `.usage` where there is no likelihood.
  func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double]

  /// Draws from p(x): [count, D]. Row i of a seed is the same whatever the count.
  func sample(_ count: Int, seed: UInt64) throws(PipelineError) -> Matrix

  /// x through the latent variable and back, [N, D]; the mean of p(x) for a model without one.
  /// - Throws: as ``logLikelihood(_:seed:)``.
  func reconstruct(_ x: Matrix) throws(PipelineError) -> Matrix
}

/// How much a model knows of log p(x).
public enum LikelihoodKind: String, Sendable, Codable {
  case exact
  /// Below log p(x), as the evidence lower bound is.
  case lowerBound = "lower_bound"
  /// Nothing: there is no density over ℝ^D, and asking for it is an error of kind `.usage`.
  case none
}

/// A rung that is learnt by gradient descent over batches.
public protocol GradientTrainedModel: GenerativeModel, Module {
  /// The training loss of one shard, its mean over rows, a scalar on the current tape.
  /// - Parameters:
  ///   - x: [B, D].
  ///   - progress: the share of the run that is done, 0 to 1, for schedules.
  ///   - noise: the seed and stream of this step and shard.
  ///   - precision: the type of the operands of products.
  func loss(_ x: Tensor, progress: Double, noise: NoiseStream, precision: ElementType) -> Tensor
}

/// The evidence lower bound of a row, in nats: E_q[log p(x | z)] - Σ KL (Kingma and Welling 2014, equation 3).
public struct EvidenceBound: Sendable, Equatable {
  /// E_q[log p(x | z)], by one sample.
  public var reconstruction: Double
  /// Of each part of the latent variables from its prior, in the order of ``BoundedModel/divergenceNames``.
  public var divergences: [Double]
  public var total: Double { reconstruction - divergences.reduce(0, +) }
}

/// A rung that knows a bound of log p(x) by its terms.
public protocol BoundedModel: GenerativeModel {
  /// What each of the divergences is of.
  var divergenceNames: [String] { get }

  /// The bound of each row, with one sample of the latent variables.
  /// - Parameters:
  ///   - x: [N, D].
  ///   - seed: names the random numbers.
  /// - Throws: `PipelineError` of kind `.badData` where the width differs or an element is not finite.
  func bounds(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [EvidenceBound]
}

extension BoundedModel {
  public var likelihood: LikelihoodKind { .lowerBound }

  /// The evidence lower bound.
  public func logLikelihood(_ x: Matrix, seed: UInt64) throws(PipelineError) -> [Double] {
    try bounds(x, seed: seed).map(\.total)
  }
}
