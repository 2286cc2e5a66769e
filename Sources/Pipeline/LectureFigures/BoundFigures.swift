import Basics
import Foundation
import Imaging
import LatentModels
import LinearAlgebra

/// Where a q(z | x) and a mixture stand to each other, nats a point (PRML, equations 9.70 to 9.72):
///
///     ln p(X | θ) = L(q, θ) + KL(q ‖ p),     L = Σ q ln(p(x, z)/q),     KL = -Σ q ln(p(z | x)/q)
struct BoundTerms {
  /// ln p(X | θ), by its own way.
  let logLikelihood: Double
  let bound: Double
  let divergence: Double

  init(_ mixture: GaussianMixture, _ x: Matrix, _ q: Matrix) throws(PipelineError) {
    let (joint, posterior) = (try mixture.jointLogDensities(x), try mixture.responsibilities(x))
    let logLikelihoods = try mixture.logLikelihood(x)
    var (bound, divergence) = (0.0, 0.0)
    for i in q.elements.indices where q.elements[i] > 0 {
      let share = q.elements[i]
      bound += share * (joint.elements[i] - log(share))
      let p = posterior.elements[i]
      // What has become 0 in rounding has a logarithm all the same.
      divergence -= share * ((p > 1e-300 ? log(p) : joint.elements[i] - logLikelihoods[i / q.columns]) - log(share))
    }
    logLikelihood = logLikelihoods.mean
    (self.bound, self.divergence) = (bound / Double(x.rows), divergence / Double(x.rows))
  }
}

extension LectureFigure {
  private static func values(_ steps: [BoundTerms]) -> [Content.Value] {
    steps.enumerated().flatMap { i, step in
      [("log_likelihood", step.logLikelihood), ("bound", step.bound), ("kl", step.divergence)].map {
        Content.Value(name: "\($0)_\(i)", value: $1)
      }
    }
  }

  private static func bars(_ steps: [BoundTerms], labels: [String], title: String) -> SVG {
    StackedBarChart(
      title: title, yLabel: "nats a point", parts: ["bound L(q, θ)", "KL(q ‖ p); both together: ln p(X | θ)"],
      bars: zip(labels, steps).map { .init(label: $0, parts: [$1.bound, $1.divergence]) }
    ).drawing()
  }

  /// Every half step of EM: the E step closes the gap, the M step opens it and lifts both.
  static func boundOfEM(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.threeClusters, count: 500)
    let K = components(context, standard: 3)
    var mixture = try plane.firstGuess(components: K, seed: context.options.seed)
    var q = Matrix(repeating: 1 / Double(K), rows: plane.x.rows, columns: K)
    var (steps, labels) = ([try BoundTerms(mixture, plane.x, q)], ["start"])
    for _ in 0..<10 {
      q = try mixture.responsibilities(plane.x)
      steps.append(try BoundTerms(mixture, plane.x, q))
      mixture = try GaussianMixture(maximizing: plane.x, under: q, maximumLikelihood)
      steps.append(try BoundTerms(mixture, plane.x, q))
      labels += ["E", "M"]
    }
    return Content(
      .drawings([bars(steps, labels: labels, title: "EM, half step by half step")], columns: 1), values: values(steps),
      caption: """
        An E step leaves ln p(X | θ) as it is and lifts the bound to it; an M step lifts the bound, and ln p(X | θ) at least as \
        far. Bound and KL add up to ln p(X | θ) in each bar.
        """)
  }

  /// EM with q_φ(z | x) = softmax(A·x + b), a recognition network of one layer: between bells of different shapes the posterior's
  /// borders are curved and its are straight. The E step climbs the bound in φ, the M step maximises it in θ. It begins where exact EM has
  /// ended, so that what is seen is what the family costs.
  static func variationalEM(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.unequalClusters, count: 500)
    var configuration = maximumLikelihood
    configuration.components = components(context, standard: 2)
    var search = GaussianMixture.Options()
    (search.restarts, search.seed, search.threads) = (5, context.options.seed, context.options.threads)
    search.tolerance = 1e-8
    let exact = try GaussianMixture(fitting: plane.x, configuration, options: search)
    var (mixture, recognition) = (exact, LinearRecognition(plane.x, components: configuration.components))
    var steps = [try BoundTerms(mixture, plane.x, recognition.q)]
    for _ in 0..<rounds {
      recognition.climb(try mixture.jointLogDensities(plane.x))
      steps.append(try BoundTerms(mixture, plane.x, recognition.q))
      mixture = try GaussianMixture(maximizing: plane.x, under: recognition.q, maximumLikelihood)
      steps.append(try BoundTerms(mixture, plane.x, recognition.q))
    }
    let best = steps[0].logLikelihood
    let curves = LineChart(
      title: "Variational EM, begun where exact EM ends", xLabel: "round", yLabel: "nats a point",
      // The start, where q knows nothing yet, is far below.
      series: [
        .init(name: "bound L(q, θ)", points: steps.enumerated().dropFirst().map { (Double($0) / 2, $1.bound) }),
        .init(name: "ln p(X | θ)", points: steps.enumerated().map { (Double($0) / 2, $1.logLikelihood) }),
        .init(name: "ln p(X | θ) of exact EM", points: [(0, best), (Double(rounds), best)]),
      ])
    let last = steps[steps.count - 1]
    return Content(
      .drawings(
        [
          curves.drawing(),
          plane.plot("p(z | x) of exact EM", shares: try exact.responsibilities(plane.x), exact),
          plane.plot("q(z | x) of variational EM, of straight borders", shares: recognition.q, mixture),
        ], columns: 3), values: values(steps) + [.init(name: "exact_log_likelihood", value: best)],
      caption: String(
        format:
          "Where exact EM ends, at %.3f nats a point, no q of this family is the posterior: the E step leaves %.3f of KL. "
          + "Variational EM lifts it in every half step, to %.3f, by moving the mixture to where q can follow; there "
          + "ln p(X | θ) is %.3f, and %.3f of KL are left.", best, steps[1].divergence, last.bound, last.logLikelihood,
        last.divergence))
  }

  private static let rounds = 30
}

/// q_φ(z | x) = softmax(A·x + b) with φ = (A, b), for all points at once.
struct LinearRecognition {
  /// Points in units of their deviations with a one after them, [N, D + 1].
  private let inputs: Matrix
  /// φ, [K, D + 1].
  private var phi: Matrix
  /// The step that was taken last.
  private var rate = 1.0
  /// [N, K]
  private(set) var q: Matrix

  /// Begins with all components alike.
  init(_ x: Matrix, components K: Int) {
    let centred = x.subtracting(x.mean())
    let deviations = (0..<x.columns).map { j in
      max((0..<x.rows).map { centred[$0, j] * centred[$0, j] }.mean.squareRoot(), 1e-300)
    }
    inputs = Matrix(
      (0..<x.rows).flatMap { n in zip(centred.row(n), deviations).map { $0 / $1 } + [1] }, rows: x.rows,
      columns: x.columns + 1)
    phi = Matrix(rows: K, columns: x.columns + 1)
    q = Matrix(repeating: 1 / Double(K), rows: x.rows, columns: K)
  }

  /// The E step: gradient ascent of the bound in φ, each step halved until the bound rises.
  ///
  ///     ∂L/∂a_nk = q_nk (f_nk - Σ_j q_nj f_nj),     f = ln p(x, z) - ln q
  /// - Parameter joint: ln p(x, z), [N, K].
  mutating func climb(_ joint: Matrix) {
    var bound = bound(q, joint)
    for _ in 0..<100 {
      var slope = Matrix(rows: q.rows, columns: q.columns)
      for n in 0..<q.rows {
        let f = zip(joint.row(n), q.row(n)).map { $0 - log(max($1, 1e-300)) }
        let mean = zip(f, q.row(n)).reduce(0) { $0 + $1.0 * $1.1 }
        for k in 0..<q.columns { slope[n, k] = q[n, k] * (f[k] - mean) / Double(q.rows) }
      }
      let gradient = Matrix.product(slope, inputs, transposing: .left)
      rate *= 2
      var gain = 0.0
      while rate > 1e-9 {
        var next = phi
        for i in next.elements.indices { next.elements[i] += rate * gradient.elements[i] }
        let nextQ = Self.softmax(.product(inputs, next, transposing: .right))
        gain = self.bound(nextQ, joint) - bound
        if gain >= 0 {
          (phi, q, bound) = (next, nextQ, bound + gain)
          break
        }
        rate /= 2
      }
      if gain < 1e-10 { break }
    }
  }

  private func bound(_ q: Matrix, _ joint: Matrix) -> Double {
    zip(q.elements, joint.elements).reduce(0) { $1.0 > 0 ? $0 + $1.0 * ($1.1 - log($1.0)) : $0 } / Double(q.rows)
  }

  private static func softmax(_ logits: Matrix) -> Matrix {
    var result = logits
    for n in 0..<logits.rows {
      let row = logits.row(n)
      let largest = row.max() ?? 0
      let exponentials = row.map { exp($0 - largest) }
      let sum = exponentials.reduce(0, +)
      for k in exponentials.indices { result[n, k] = exponentials[k] / sum }
    }
    return result
  }
}
