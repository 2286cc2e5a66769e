import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import LinearAlgebra

/// A model of a rung of which there is more to see than draws and reconstructions.
protocol IllustratedModel {
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure]
}

extension LadderFigure {
  /// What a model's figures are drawn from.
  struct Context {
    var fitted: FittedRung
    var train: Matrix
    /// Pixels; nil for a matrix.
    var side: Int?
    /// How rows are shown; nil for points.
    var pictures: RowPictures?
    /// The plane that points are shown in.
    var features: FeatureSpace
    var options: LadderOptions
  }
}

extension Gaussian: IllustratedModel {
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    guard let pictures = context.pictures else { return [] }
    let row = Matrix(mean, rows: 1, columns: dimensions)
    return [
      .picture(
        pictures(row)[0], scale: max(1, 128 / pictures.side), caption: "The mean of all training pictures")
    ]
  }
}

extension GaussianMixture: IllustratedModel {
  /// How EM climbed, the components' means, and bells over the plane of two principal components.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    var figures: [LadderFigure] = []
    if context.fitted.likelihoodCurve.count > 1 {
      figures.append(
        .drawing(
          LineChart(
            title: "EM's climb", xLabel: "round", yLabel: "nats a row",
            series: [
              .init(
                name: "mean log-likelihood of training rows, penalised",
                points: context.fitted.likelihoodCurve.enumerated().map { (Double($0 + 1), $1) })
            ]
          ).drawing(), caption: "No round of EM lowers the likelihood."))
    }
    if let pictures = context.pictures {
      let order = weights.indices.sorted { weights[$0] > weights[$1] }
      figures.append(
        .picture(
          Picture.grid(pictures(means.selecting(order)), columns: 12, spacing: 2),
          scale: max(1, 64 / pictures.side), caption: "The means of the components, the most frequent first"))
    }
    if context.features.count >= 2 {
      let plane = context.features.project(context.train).columns(0..<2)
      var flat = GaussianMixture.Configuration()
      flat.components = min(context.side == nil ? configuration.components : 8, context.train.rows)
      var search = GaussianMixture.Options()
      (search.restarts, search.seed, search.threads) = (5, context.options.seed, context.options.threads)
      let mixture = try GaussianMixture(fitting: plane, flat, options: search)
      let shown = plane.spread(over: 1500)
      let ellipses = (0..<flat.components).map { k in
        let covariance = mixture.covarianceMatrix(k)
        return ScatterPlot.Ellipse(
          mean: (mixture.means[k, 0], mixture.means[k, 1]),
          covariance: (covariance[0, 0], covariance[0, 1], covariance[1, 1]), weight: mixture.weights[k])
      }
      figures.append(
        .drawing(
          ScatterPlot(
            title: "A mixture of \(flat.components) over two principal components",
            groups: [.init(name: "training rows", points: (0..<shown.rows).map { (shown[$0, 0], shown[$0, 1]) })],
            ellipses: ellipses
          ).drawing(),
          caption: """
            The same model in a plane, where it can be seen: each bell's ellipses hold about 39% and 86% of what is drawn \
            from it. The darker, the more of the data it stands for.
            """))
    }
    return figures
  }
}

extension PPCA: IllustratedModel {
  /// EM's way to the closed form, and what the leading directions do to the mean.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    var figures = [try climb(context)]
    if let shown = context.pictures {
      var rows: [Double] = []
      for k in 0..<min(8, configuration.latentDimensions) {
        for step in [-2.0, -1, 0, 1, 2] {
          rows += zip(mean, directions.row(k)).map { $0 + step * variances[k].squareRoot() * $1 }
        }
      }
      let pictures = shown(Matrix(rows, rows: rows.count / dimensions, columns: dimensions))
      // A column a direction.
      let directions = pictures.count / 5
      let grid = (0..<5).flatMap { step in (0..<directions).map { pictures[$0 * 5 + step] } }
      figures.append(
        .picture(
          Picture.grid(grid, columns: directions, spacing: 2), scale: max(1, 64 / shown.side),
          caption: "The mean (middle row) moved along the leading directions, a column each, by up to two deviations"))
    }
    return figures
  }

  /// EM until it is as good as the closed form to a thousandth of a nat a dimension, or a fourth of a model's time is over.
  private func climb(_ context: LadderFigure.Context) throws(PipelineError) -> LadderFigure {
    let best = try logLikelihood(context.train).mean
    var search = PPCA.Options()
    (search.seed, search.threads) = (context.options.seed, context.options.threads)
    let (limit, start) = (context.options.chosenBound.part(0.25), ContinuousClock.now)
    var points: [(x: Double, y: Double)] = []
    var hasArrived = false
    do throws(PipelineError) {
      _ = try PPCA(
        expectationMaximization: context.train, latentDimensions: configuration.latentDimensions, options: search
      ) { rounds, likelihood in
        points.append((Double(rounds), likelihood))
        hasArrived = best - likelihood < 1e-3 * Double(dimensions)
        // A round looks at all rows, as an epoch does.
        let seconds = start.duration(to: .now).inSeconds
        return !hasArrived && limit.progress(step: rounds, stepsPerEpoch: 1, seconds: seconds) < 1
      }
    } catch {
      // Where the noise comes near to nothing, a matrix may become singular: the climb ends there.
      if points.isEmpty { throw error }
    }
    let (last, gap) = (points.count - 1, best - points[points.count - 1].y)
    let closedForm = [(x: 0, y: best), (x: Double(last), y: best)]
    let end = String(format: "after %d rounds it is %.2g nats a row below it", last, max(0, gap))
    return .drawing(
      LineChart(
        title: "EM's climb to the closed form", xLabel: "rounds of EM", yLabel: "nats a row",
        series: [
          // The first rounds are so far below that nothing else would be seen.
          .init(name: "EM, mean log-likelihood of training rows", points: Array(points.dropFirst(min(2, last)))),
          .init(name: "closed form", points: closedForm),
        ]
      ).drawing(),
      caption: hasArrived
        ? "EM needs no eigen-decomposition, and arrives at the likelihood of the closed form: \(end)."
        : "EM needs no eigen-decomposition, and nears the likelihood of the closed form ever more slowly: \(end).")
  }
}
