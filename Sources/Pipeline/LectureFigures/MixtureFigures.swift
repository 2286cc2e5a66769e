import Basics
import Foundation
import Imaging
import LatentModels
import LinearAlgebra

extension LectureFigure {
  /// A bell that is moved onto the points and then takes their shape: each step is a part of the way from a guess to the maximum of
  /// the likelihood, first of μ, then of Σ. Along both ways the likelihood rises: it is concave in μ, and from any Σ to the
  /// points' own S its slope is tr((Σ⁻¹S - I)²)/2.
  static func gaussianInSteps(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.oneCluster, count: 200)
    let (mean, covariance) = (plane.x.mean(), plane.covariance)
    let deviations = (covariance[0, 0].squareRoot(), covariance[1, 1].squareRoot())
    // Well beside the points, and round.
    let guess = [mean[0] - 1.8 * deviations.0, mean[1] + 1.2 * deviations.1]
    let variance = covariance.trace / 6
    let round = PlanePoints.covariance(variance, 0, variance)
    let steps: [(title: String, ofMean: Double, ofCovariance: Double)] = [
      ("a guess", 0, 0), ("μ half way", 0.5, 0), ("μ is the points' mean", 1, 0), ("Σ a third of the way", 1, 1.0 / 3),
      ("Σ two thirds of the way", 1, 2.0 / 3), ("Σ is the points' covariance", 1, 1),
    ]
    let shares = Matrix(repeating: 1, rows: plane.x.rows, columns: 1)
    var (drawings, likelihoods): ([SVG], [Double]) = ([], [])
    for step in steps {
      let mu = zip(guess, mean).map { $0 + step.ofMean * ($1 - $0) }
      let sigma = zip(round.elements, covariance.elements).map { $0 + step.ofCovariance * ($1 - $0) }
      let gaussian = try GaussianMixture(
        weights: [1], means: Matrix(mu, rows: 1, columns: 2), covariances: [Matrix(sigma, rows: 2, columns: 2)])
      likelihoods.append(try gaussian.logLikelihood(plane.x).mean)
      drawings.append(
        plane.plot(
          String(format: "%@: %.3f nats a point", step.title, likelihoods[likelihoods.count - 1]), shares: shares,
          gaussian))
    }
    return Content(
      .drawings(drawings, columns: 3), values: likelihoods.enumerated().map { .init(name: "step_\($0)", value: $1) },
      caption: String(
        format: "The log-likelihood rises from %.3f to %.3f nats a point; no other μ and Σ reach more.", likelihoods[0],
        likelihoods[likelihoods.count - 1]))
  }

  /// The mixture that is fitted in figures of EM: maximum likelihood, but for rounding.
  static let maximumLikelihood = {
    var c = GaussianMixture.Configuration()
    (c.regularization, c.relativeRegularization) = (0, 1e-12)
    return c
  }()

  /// K of figures in a plane, where no other is asked for.
  static func components(_ context: Context, standard: Int) -> Int { context.options.components ?? standard }

  /// The first guess, the first E step, and the mixture after some of the rounds.
  static func mixtureFrames(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.twoClusters, count: 272)
    let K = components(context, standard: 2)
    var mixture = try plane.firstGuess(components: K, seed: context.options.seed)
    var curve = [try mixture.logLikelihood(plane.x).mean]
    let title = String(format: "first guess: %.3f nats a point", curve[0])
    var drawings = [plane.plainPlot(title, ellipses: mixture.ellipses)]
    var q = try mixture.responsibilities(plane.x)
    drawings.append(plane.plot("E step: each point's responsibilities", shares: q, mixture))
    for round in 1...20 {
      mixture = try GaussianMixture(maximizing: plane.x, under: q, maximumLikelihood)
      q = try mixture.responsibilities(plane.x)
      curve.append(try mixture.logLikelihood(plane.x).mean)
      guard [1, 2, 5, 20].contains(round) else { continue }
      let title = round == 1 ? "M step: after one round" : "after \(round) rounds"
      drawings.append(plane.plot(String(format: "%@: %.3f nats a point", title, curve[round]), shares: q, mixture))
    }
    return Content(
      .drawings(drawings, columns: 3), values: curve.enumerated().map { .init(name: "round_\($0)", value: $1) },
      caption: String(
        format: "In 20 rounds the log-likelihood rises from %.3f to %.3f nats a point, and falls in none.", curve[0],
        curve[20]))
  }

  /// Draws from p(z)·p(x | z) with their z, points without it, and what the posterior makes of them.
  static func completeData(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.threeClusters, count: 500)
    let mixture: GaussianMixture
    let complete: (plane: PlanePoints, z: [Int])
    if let truth = plane.truth {
      (mixture, complete) = (truth.mixture, (plane, truth.components))
    } else {
      var configuration = GaussianMixture.Configuration()
      configuration.components = components(context, standard: 3)
      var search = GaussianMixture.Options()
      (search.restarts, search.seed, search.threads) = (5, context.options.seed, context.options.threads)
      let fitted = try GaussianMixture(fitting: plane.x, configuration, options: search)
      var drawnFrom = context
      drawnFrom.data = nil
      let drawn = try PlanePoints(drawnFrom, orDrawnFrom: { fitted }, count: min(1000, plane.x.rows))
      (mixture, complete) = (fitted, (drawn, drawn.truth?.components ?? []))
    }
    let K = mixture.components
    let hard = Matrix(
      complete.z.flatMap { z in (0..<K).map { $0 == z ? 1 : 0 } }, rows: complete.z.count, columns: K)
    let q = try mixture.responsibilities(plane.x)
    // How sure the posterior is of the component that a point did come from.
    let known = try mixture.responsibilities(complete.plane.x)
    let agreement = zip(complete.z.indices, complete.z).map { known[$0, $1] }.mean
    return Content(
      .drawings(
        [
          complete.plane.plot("(a) complete data: x and z", shares: hard, nil),
          plane.plainPlot("(b) incomplete data: x alone"),
          plane.plot("(c) responsibilities: p(z | x)", shares: q, nil),
        ], columns: 3),
      values: [.init(name: "mean_responsibility_of_true_component", value: agreement)],
      caption: String(
        format:
          "On average the posterior gives %.0f%% to the component that a point came from: where clusters overlap, it "
          + "cannot know.", 100 * agreement))
  }
}
