import Basics
import Foundation
import Imaging
import LatentModels
import LinearAlgebra

extension LectureFigure {
  /// p(x) = N(μ, W·Wᵀ + σ²I) of the closed form and of EM, which goes from a random W to the same.
  static func closedFormAndEM(_ context: Context) throws(PipelineError) -> Content {
    let plane = try PlanePoints(context, orDrawnFrom: PlanePoints.oneCluster, count: 200)
    let closed = try PPCA(fitting: plane.x, latentDimensions: 1)
    let best = try closed.logLikelihood(plane.x).mean
    var curve: [(x: Double, y: Double)] = []
    var search = PPCA.Options()
    search.seed = context.options.seed
    let converged = try PPCA(expectationMaximization: plane.x, latentDimensions: 1, options: search) {
      curve.append((Double($0), $1))
      return true
    }
    var drawings: [SVG] = []
    for rounds in [0, 1, 4] {
      search.maximumIterations = rounds
      let model = try PPCA(expectationMaximization: plane.x, latentDimensions: 1, options: search)
      let title = [0: "where EM begins", 1: "after one round of EM"][rounds] ?? "after \(rounds) rounds of EM"
      drawings.append(plot(plane, closed, model, title))
    }
    drawings.append(plot(plane, closed, converged, "EM has converged, after \(curve.count) rounds"))
    drawings.append(
      LineChart(
        title: "EM's climb to the closed form", xLabel: "round", yLabel: "nats a point",
        series: [
          .init(name: "EM", points: Array(curve.prefix(30))),
          .init(name: "closed form", points: [(0, best), (Double(min(curve.count, 30) - 1), best)]),
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
