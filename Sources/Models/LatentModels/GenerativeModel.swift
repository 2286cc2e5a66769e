import Basics
import Foundation
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

extension GenerativeModel {
  /// The mean squared error of an element of rows that come back from the latent variable, or of the mean for a model without one.
  /// - Throws: as ``reconstruct(_:)``.
  public func reconstructionError(_ x: Matrix) throws(PipelineError) -> Double {
    let back = try reconstruct(x)
    return zip(x.elements, back.elements).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(x.elements.count)
  }
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

/// A rung that can say how likely it holds a row together with latent variables that its posterior has drawn.
public protocol ImportanceWeightedModel: BoundedModel {
  /// Draws z ~ q(z | x) once for each of the samples.
  /// - Parameters:
  ///   - x: [B, D].
  ///   - rows: the numbers of the rows, which their random numbers follow.
  ///   - samples: how many draws of each row.
  ///   - seed: names the random numbers.
  /// - Returns: log p(x, z) - log q(z | x), nats: for each sample a number for each row.
  func logImportanceWeights(_ x: Tensor, rows: Range<Int>, samples: Int, seed: UInt64) -> [[Double]]
}

extension ImportanceWeightedModel {
  /// The logarithms of the importance weights, p(x, z)/q(z | x) of z ~ q(z | x).
  /// - Parameters:
  ///   - x: [N, D].
  ///   - samples: k, the draws of each row.
  ///   - seed: names the random numbers.
  ///   - threads: how many are used; results do not depend on it.
  /// - Returns: [N, k], nats.
  /// - Throws: as ``BoundedModel/bounds(_:seed:)``, and `.usage` where k is not in 1 ... 2¹⁶.
  public func logImportanceWeights(
    _ x: Matrix, samples: Int, seed: UInt64, threads: Int = 1
  ) throws(PipelineError) -> Matrix {
    try x.checkData(dimensions: dimensions)
    guard (1...1 << 16).contains(samples) else {
      throw PipelineError(.usage, "the number of importance samples must be 1 to \(1 << 16), not \(samples)")
    }
    let size = 32
    let batches = try ThreadTeam(count: threads).map((x.rows + size - 1) / size) { batch in
      let rows = batch * size..<min(x.rows, (batch + 1) * size)
      let weights = logImportanceWeights(x.tensor(rows), rows: rows, samples: samples, seed: seed)
      return (0..<rows.count).flatMap { row in weights.map { $0[row] } }
    }
    return Matrix(batches.flatMap(\.self), rows: x.rows, columns: samples)
  }

  /// The importance-weighted bound (Burda et al. 2016, equation 8), which rises to log p(x) with the number of samples:
  ///
  ///     log 1/k Σ_i p(x, z_i) / q(z_i | x),     z_i ~ q(z | x)
  ///
  /// - Parameters:
  ///   - x: [N, D].
  ///   - samples: k.
  ///   - seed: names the random numbers.
  /// - Throws: as ``logImportanceWeights(_:samples:seed:threads:)``.
  public func importanceWeightedLogLikelihood(
    _ x: Matrix, samples: Int, seed: UInt64
  ) throws(PipelineError) -> [Double] {
    importanceWeightedBounds(try logImportanceWeights(x, samples: samples, seed: seed), samples: samples)
  }
}

/// The importance-weighted bound of each row by k samples at a time, the mean over all the times that the weights last for. Of the
/// same weights it never falls where k grows to a multiple of itself, as the logarithm of a mean is no less than the mean of logarithms.
/// - Parameters:
///   - logWeights: [N, K], see ``ImportanceWeightedModel/logImportanceWeights(_:samples:seed:threads:)``.
///   - k: samples.
/// - Precondition: K is a multiple of k.
public func importanceWeightedBounds(_ logWeights: Matrix, samples k: Int) -> [Double] {
  precondition(k > 0 && logWeights.columns % k == 0, "\(logWeights.columns) weights, \(k) at a time")
  return (0..<logWeights.rows).map { n in
    let row = Array(logWeights.row(n))
    let groups = stride(from: 0, to: row.count, by: k).map { logSumExp(Array(row[$0..<$0 + k])) - log(Double(k)) }
    return groups.mean
  }
}
