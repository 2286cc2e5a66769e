import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import LinearAlgebra

extension Rung {
  /// What there is to see of a rung besides its draws and reconstructions.
  /// - Parameter features: the plane that points are shown in.
  func figures(
    _ fitted: FittedRung, train: Matrix, side: Int?, features: FeatureSpace, options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    switch fitted.model {
    case let model as Gaussian: side.map { Self.meanFigure(model, side: $0) }.map { [$0] } ?? []
    case let model as GaussianMixture:
      try Self.mixtureFigures(model, fitted, train, side: side, features: features, options: options)
    case let model as PPCA: try Self.componentFigures(model, train, side: side, options: options)
    case let model as VAE: try Self.vaeFigures(model, fitted, train, side: side, options: options)
    case let model as GaussianMixtureVAE:
      try Self.componentDraws(model, fitted, train, side: side, options: options)
    case let model as HierarchicalVAE:
      try Self.hierarchicalFigures(model, fitted, train, side: side ?? 0, options: options)
    case is MixtureAutoEncoder: [Self.lossFigure(fitted, unit: "mean squared error")].compactMap(\.self)
    case let model as TwoStageModel: try Self.levelFigures(model, train, side: side ?? 0)
    default: []
    }
  }

  private static func meanFigure(_ model: Gaussian, side: Int) -> LadderFigure {
    let mean = Matrix(model.mean, rows: 1, columns: model.dimensions)
    return .picture(
      mean.pictures(side: side)[0], scale: max(1, 128 / side), caption: "The mean of all training pictures")
  }

  /// How EM climbed, the components' means, and bells over the plane of two principal components.
  private static func mixtureFigures(
    _ model: GaussianMixture, _ fitted: FittedRung, _ train: Matrix, side: Int?, features: FeatureSpace,
    options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    var figures: [LadderFigure] = []
    if fitted.likelihoodCurve.count > 1 {
      figures.append(
        .drawing(
          LineChart(
            title: "EM's climb", xLabel: "round", yLabel: "nats a row",
            series: [
              .init(
                name: "mean log-likelihood of training rows, penalised",
                points: fitted.likelihoodCurve.enumerated().map { (Double($0 + 1), $1) })
            ]
          ).drawing(), caption: "No round of EM lowers the likelihood."))
    }
    if let side {
      let order = model.weights.indices.sorted { model.weights[$0] > model.weights[$1] }
      figures.append(
        .picture(
          Picture.grid(model.means.selecting(order).pictures(side: side), columns: 12, spacing: 2),
          scale: max(1, 64 / side), caption: "The means of the components, the most frequent first"))
    }
    if features.count >= 2 {
      let plane = features.project(train).columns(0..<2)
      var configuration = GaussianMixture.Configuration()
      configuration.components = min(side == nil ? model.configuration.components : 8, train.rows)
      var search = GaussianMixture.Options()
      (search.restarts, search.seed, search.threads) = (5, options.seed, options.threads)
      let flat = try GaussianMixture(fitting: plane, configuration, options: search)
      let shown = plane.spread(over: 1500)
      let ellipses = (0..<configuration.components).map { k in
        let covariance = flat.covarianceMatrix(k)
        return ScatterPlot.Ellipse(
          mean: (flat.means[k, 0], flat.means[k, 1]),
          covariance: (covariance[0, 0], covariance[0, 1], covariance[1, 1]), weight: flat.weights[k])
      }
      figures.append(
        .drawing(
          ScatterPlot(
            title: "A mixture of \(configuration.components) over two principal components",
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

  /// EM's way to the closed form, and what the leading directions do to the mean.
  private static func componentFigures(
    _ model: PPCA, _ train: Matrix, side: Int?, options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    var points: [(x: Double, y: Double)] = []
    // Every run begins anew from the same start, so that the points lie on one path.
    for rounds in [1, 2, 3, 5, 8, 12, 20, 32] {
      var search = PPCA.Options()
      (search.maximumIterations, search.seed, search.threads) = (rounds, options.seed, options.threads)
      let partly = try PPCA(
        expectationMaximization: train, latentDimensions: model.configuration.latentDimensions, options: search)
      points.append((Double(rounds), try partly.logLikelihood(train).mean))
    }
    let best = try model.logLikelihood(train).mean
    var figures = [
      LadderFigure.drawing(
        LineChart(
          title: "EM's climb to the closed form", xLabel: "rounds of EM", yLabel: "nats a row",
          series: [
            .init(name: "EM, mean log-likelihood of training rows", points: points),
            .init(name: "closed form", points: [(1, best), (32, best)]),
          ]
        ).drawing(), caption: "EM needs no eigen-decomposition, and arrives at the same likelihood.")
    ]
    if let side {
      var rows: [Double] = []
      for k in 0..<min(8, model.configuration.latentDimensions) {
        for step in [-2.0, -1, 0, 1, 2] {
          rows += zip(model.mean, model.directions.row(k)).map { $0 + step * model.variances[k].squareRoot() * $1 }
        }
      }
      let pictures = Matrix(rows, rows: rows.count / model.dimensions, columns: model.dimensions).pictures(side: side)
      // A column a direction.
      let directions = pictures.count / 5
      let grid = (0..<5).flatMap { step in (0..<directions).map { pictures[$0 * 5 + step] } }
      figures.append(
        .picture(
          Picture.grid(grid, columns: directions, spacing: 2), scale: max(1, 64 / side),
          caption: "The mean (middle row) moved along the leading directions, a column each, by up to two deviations"))
    }
    return figures
  }
}

extension Rung {
  private static func lossFigure(_ fitted: FittedRung, unit: String = "nats a dimension") -> LadderFigure? {
    if fitted.lossCurve.count < 3 { return nil }
    return .drawing(
      LineChart(
        title: "Learning", xLabel: "seconds", yLabel: "training loss",
        series: [.init(name: "training loss, \(unit)", points: fitted.lossCurve.map { ($0.seconds, $0.loss) })]
      ).drawing(),
      caption: "The loss over training: where it still falls at the end, more time would help.")
  }

  /// Draws without the noise of single pixels, and the plane of codes of a further model that has two of them.
  private static func vaeFigures(
    _ model: VAE, _ fitted: FittedRung, _ train: Matrix, side: Int?, options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    var figures = [lossFigure(fitted)].compactMap(\.self)
    guard let side else { return figures }
    var random = Philox(seed: options.seed, stream: RandomStream.ladderFigures())
    let latents = model.configuration.latentDimensions
    let codes = Matrix((0..<24 * latents).map { _ in random.normal() }, rows: 24, columns: latents)
    figures.append(
      .picture(
        Picture.grid(try model.decode(codes).pictures(side: side), columns: 12, spacing: 2), scale: max(1, 64 / side),
        caption: "Draws without the noise of single pixels: the mean of p(x | z) for random codes"))
    var flat = options
    flat.latentDimensions = 2
    flat.bound = options.bound.part(0.5)
    options.progress("fitting a VAE with two latent dimensions", 0)
    let plane: VAE
    if latents == 2 {
      plane = model
    } else {
      plane = try VAE(VAERung.configuration(train, flat, arePictures: true), seed: options.seed)
      _ = try GradientRung.train(plane, train, flat, arePictures: true, what: "a VAE with two latent dimensions")
    }
    let manifold = try plane.manifold(side: 16).pictures(side: side)
    figures.append(
      .picture(
        Picture.grid(manifold, columns: 16, spacing: 0), scale: max(1, 40 / side),
        caption: """
          A VAE whose code has only two numbers, as a map: each picture is decoded from its place in the plane. \
          Neighbours look alike, and every place decodes to something.
          """))
    return figures
  }

  /// A row for each component: training pictures that it holds most certainly, then draws from it.
  private static func componentDraws(
    _ model: GaussianMixtureVAE, _ fitted: FittedRung, _ train: Matrix, side: Int?, options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    var figures = [lossFigure(fitted)].compactMap(\.self)
    guard let side else { return figures }
    let shown = train.spread(over: 2000)
    let responsibilities = try model.responsibilities(shown)
    let clusters = try model.cluster(shown)
    let sizes = (0..<model.components).map { k in clusters.count { $0 == k } }
    let used = sizes.indices.filter { sizes[$0] > 0 }.sorted { sizes[$0] > sizes[$1] }
    var rows: [Picture] = []
    for k in used {
      let members = clusters.indices.filter { clusters[$0] == k }
        .sorted { responsibilities[$0, k] > responsibilities[$1, k] }
      let pictures = shown.selecting(members.prefix(6)).pictures(side: side)
      rows += pictures + (pictures.count..<7).map { _ in Picture(width: side, height: side, color: .white) }
      rows += try model.sample(6, component: k, seed: options.seed).pictures(side: side)
    }
    figures.append(
      .picture(
        Picture.grid(rows, columns: 13, spacing: 2), scale: max(1, 64 / side),
        caption: """
          A row for each component in use, the most frequent first: on the left training pictures that were sorted into it, \
          on the right draws from it alone. Nobody has told the model what kinds there are.
          """))
    return figures
  }

  /// What each level has to say, and draws at lower temperatures.
  private static func hierarchicalFigures(
    _ model: HierarchicalVAE, _ fitted: FittedRung, _ train: Matrix, side: Int, options: LadderOptions
  ) throws(PipelineError) -> [LadderFigure] {
    var figures = [lossFigure(fitted)].compactMap(\.self)
    let levels = model.configuration.levels
    let pictures = try model.sample(
      24, seed: options.seed &+ 1, temperatures: Array(repeating: 0.7, count: levels), showsMeans: true)
    figures.append(
      .picture(
        Picture.grid(pictures.pictures(side: side), columns: 12, spacing: 2), scale: max(1, 64 / side),
        caption: "Draws at temperature 0.7, without the noise of single pixels: likelier and less varied"))
    let bounds = try model.bounds(train.spread(over: 64), seed: options.seed)
    let bits = (0..<levels).map { level in
      bounds.map { $0.kl[level] }.mean / log(2) / Double(model.dimensions)
    }
    let coarsest = (side / model.configuration.patchSize) >> (levels - 1)
    figures.append(
      .drawing(
        BarChart(
          title: "What each level says of a picture, bits a dimension",
          bars: bits.enumerated().map {
            let cells = coarsest << $0
            return .init(name: "\(cells)×\(cells) cells", value: max(0, $1), label: String(format: "%.3f", $1))
          }
        ).drawing(), caption: "The divergence of each level's posterior from its prior. A level with none is not used.")
    )
    return figures
  }

  /// Pictures decoded from the coarsest level of a hierarchy of tokens, from the two coarsest and so on.
  private static func levelFigures(
    _ model: TwoStageModel, _ train: Matrix, side: Int
  ) throws(PipelineError) -> [LadderFigure] {
    let grids = model.configuration.priors.map { "\($0.gridSide)×\($0.gridSide)" }
    guard grids.count > 1 else { return [] }
    let shown = train.spread(over: 12)
    let decoded = try model.decodedLevelByLevel(shown)
    let rows = decoded.cumulative.flatMap { $0.pictures(side: side) } + shown.pictures(side: side)
    let levels = grids.indices.map { grids[...$0].joined(separator: " and ") }.joined(separator: ", then of ")
    return [
      .picture(
        Picture.grid(rows, columns: shown.rows, spacing: 2), scale: max(1, 64 / side),
        caption: "Training pictures decoded level by level: of the tokens of \(levels); in the last row the pictures "
          + "themselves. The coarse level says what and where, the finer ones how it looks in detail.")
    ]
  }
}
