import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// One Gaussian; see `Gaussian`.
package enum GaussianRung: LadderRung {
  package static let name = "gaussian"
  package static let choices: Set<LadderChoice> = [.covariance]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try Gaussian(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    guard side != nil, options.covariance == nil else {
      let floor = try matrixFloor(x, threads: options.threads)
      let model = try Gaussian(
        fitting: x,
        .init(
          covariance: options.covariance ?? .full, regularization: floor.absolute,
          relativeRegularization: floor.relative), threads: options.threads)
      return FittedRung(model: model)
    }
    let shrinkage = try bestShrinkage(x, options)
    let model = try Gaussian(
      fitting: x, .init(regularization: pictureFloor, relativeRegularization: shrinkage), threads: options.threads)
    let choices = shrinkages.map { "\($0)" }.joined(separator: ", ")
    return FittedRung(
      model: model, notes: [shrinkageNote + " It was λ = \(shrinkage), of \(choices)."])
  }

  /// λ's to choose among; see ``Gaussian/Configuration/relativeRegularization``.
  private static let shrinkages = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
  /// ε for pictures: far below the variance 1/(12·256²) that dequantisation gives the dullest pixel.
  static let pictureFloor = 1e-9

  /// ε and λ of a matrix: a millionth of each column's own variance, whatever unit it is in, and for constant columns next to
  /// nothing of the least variance of the others.
  static func matrixFloor(
    _ x: Matrix, threads: Int
  ) throws(PipelineError) -> (absolute: Double, relative: Double) {
    let mean = x.mean()
    let variances = x.squaredDeviations(about: mean, team: try ThreadTeam(count: threads)).map { $0 / Double(x.rows) }
    // Of equal numbers, rounding leaves some 10⁻¹⁶ of their size. What is no number, the fit refuses.
    let least = zip(variances, mean).filter { $0 > 1e-24 * $1 * $1 }.map(\.0).min()
    return least.map { (1e-9 * $0, 1e-6) } ?? (1e-6, 0)
  }

  /// The λ whose Gaussian, fitted to nine tenths of the rows, gives the others the highest likelihood. Held-out rows
  /// play no part in it.
  static func bestShrinkage(_ x: Matrix, _ options: LadderOptions) throws(PipelineError) -> Double {
    var random = Philox(seed: options.seed, stream: RandomStream.ladderShrinkage())
    let order = random.permutation(x.rows)
    let kept = max(1, x.rows / 10)
    let (judged, fitted) = (x.selecting(order.prefix(kept)), x.selecting(order.dropFirst(kept)))
    guard fitted.rows > 0 else { return 1 }
    var best = (shrinkage: 1.0, likelihood: -Double.infinity)
    for (i, shrinkage) in shrinkages.enumerated() {
      options.progress("choosing how far to shrink the covariance", Double(i) / Double(shrinkages.count))
      let model = try Gaussian(
        fitting: fitted, .init(regularization: pictureFloor, relativeRegularization: shrinkage),
        threads: options.threads)
      let likelihood = try model.logLikelihood(judged).mean
      if likelihood > best.likelihood { best = (shrinkage, likelihood) }
    }
    return best.shrinkage
  }

  package static let text =
    RungText(
      title: "Gaussian", idea: "one bell over everything",
      answers: """
        The simplest thing that can be said about a set of examples: where their average lies, and which of their numbers \
        rise and fall together. It is the first rung because everything about it can be computed exactly, in one step.
        """,
      how: """
        Every example is one point with as many coordinates as it has numbers. The Gaussian puts one bell over the cloud \
        of points: its centre is the mean, its shape the covariance of the numbers. Both are averages over the training \
        examples, and no other choice makes these more likely.
        """,
      weakness: """
        A bell has one summit. Between two kinds of examples lies its mean, which is neither, and there the Gaussian \
        believes the most probable example to be.
        """,
      equation: "p(x) = N(x | μ, Σ), &emsp; μ = <sup>1</sup>⁄<sub>N</sub> Σ<sub>n</sub> x<sub>n</sub>, &emsp; "
        + "Σ = <sup>1</sup>⁄<sub>N</sub> Σ<sub>n</sub> (x<sub>n</sub> − μ)(x<sub>n</sub> − μ)ᵀ",
      source: "Bishop, Pattern Recognition and Machine Learning, section 2.3")
}

/// What is said of a covariance that had to be shrunk.
private let shrinkageNote = """
  A covariance of this many numbers, estimated from this many pictures, fits the training pictures almost perfectly and \
  held-out ones terribly: in the directions in which the training pictures happen not to vary, it believes that nothing \
  can vary. The covariance used here was therefore pulled towards its own diagonal, and how far was chosen by what scores \
  best on a tenth of the training pictures that was kept apart for this choice.
  """
