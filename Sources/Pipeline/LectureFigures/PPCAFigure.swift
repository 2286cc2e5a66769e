import Basics
import Foundation
import Imaging
import LatentModels
import LinearAlgebra

extension LectureFigure {
  /// p(x) = N(μ, W·Wᵀ + σ²I) of the closed form and of EM, which goes from a random W to the same.
  static func closedFormAndEM(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.oneCluster, count: 200)
    // `PPCA` divides the scatter by N - 1, the maximum of the likelihood by N. Of points that lie nearer to their mean by
    // √((N-1)/N) it finds the latter, so that no round of EM lowers the likelihood of the points, in the last digits either.
    let (N, mean) = (Double(plane.x.rows), plane.x.mean())
    var fitted = plane.x
    for i in fitted.elements.indices {
      fitted.elements[i] = mean[i % 2] + (fitted.elements[i] - mean[i % 2]) * ((N - 1) / N).squareRoot()
    }
    let closed = try PPCA(fitting: fitted, latentDimensions: 1)
    let best = try closed.logLikelihood(plane.x).mean
    var search = PPCA.Options()
    search.seed = context.options.seed
    var count = 0
    let converged = try PPCA(expectationMaximization: fitted, latentDimensions: 1, options: search) { rounds, _ in
      count = rounds + 1
      return true
    }
    func model(after rounds: Int) throws(PipelineError) -> PPCA {
      search.maximumIterations = rounds
      return try PPCA(expectationMaximization: fitted, latentDimensions: 1, options: search)
    }
    var curve: [(x: Double, y: Double)] = []
    for rounds in 0...min(30, count) {
      curve.append((Double(rounds), try model(after: rounds).logLikelihood(plane.x).mean))
    }
    var drawings: [SVG] = []
    for rounds in [0, 1, 4] {
      let title = [0: "where EM begins", 1: "after one round of EM"][rounds] ?? "after \(rounds) rounds of EM"
      drawings.append(plot(plane, closed, try model(after: rounds), title))
    }
    drawings.append(plot(plane, closed, converged, "EM has converged, after \(count) rounds"))
    drawings.append(
      LineChart(
        title: "EM's climb to the closed form", xLabel: "round", yLabel: "nats a point",
        series: [
          .init(name: "EM", points: curve),
          .init(name: "closed form", points: [(0, best), (Double(curve.count - 1), best)]),
        ]
      ).drawing())
    let difference = zip(closed.covariance.elements, converged.covariance.elements).reduce(0) {
      max($0, abs($1.0 - $1.1))
    }
    let size = closed.covariance.elements.reduce(0) { max($0, abs($1)) }
    let reached = try converged.logLikelihood(plane.x).mean
    return Content(
      .drawings(drawings, columns: 3),
      values: [
        .init(name: "closed_form_log_likelihood", value: best), .init(name: "em_log_likelihood", value: reached),
        .init(name: "relative_difference_of_covariances", value: difference / size),
      ] + curve.enumerated().map { .init(name: "round_\($0)", value: $1.y) },
      caption: String(
        format:
          "Closed form %.6f, EM %.6f nats a point; their covariances W·Wᵀ + σ²I differ by %.1g of their largest element.",
        best, reached, difference / size))
  }

  private static func plot(_ plane: PlanePoints, _ closed: PPCA, _ model: PPCA, _ title: String) -> SVG {
    plane.plainPlot(
      "\(title) (orange); blue: the closed form",
      ellipses: [closed, model].map { model in
        let covariance = model.covariance
        return .init(
          mean: (model.mean[0], model.mean[1]), covariance: (covariance[0, 0], covariance[0, 1], covariance[1, 1]),
          weight: 0.1)
      })
  }
}

extension PPCA {
  /// C = W·Wᵀ + σ²I
  fileprivate var covariance: Matrix {
    var covariance = Matrix.product(weights, weights, transposing: .right)
    for j in 0..<dimensions { covariance[j, j] += noiseVariance }
    return covariance
  }
}
