import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import LinearAlgebra

extension VAE: IllustratedModel {
  /// Draws without the noise of single pixels, and the plane of codes of a further model that has two of them.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    var figures = [context.fitted.lossFigure(warmUp: configuration.warmUp)].compactMap(\.self)
    guard let pictures = context.pictures else { return figures }
    var random = Philox(seed: context.options.seed, stream: RandomStream.ladderFigures())
    let latents = configuration.latentDimensions
    let codes = Matrix((0..<24 * latents).map { _ in random.normal() }, rows: 24, columns: latents)
    figures.append(
      .picture(
        Picture.grid(pictures(try decode(codes)), columns: 12, spacing: 2), scale: max(1, 64 / pictures.side),
        caption: "Draws without the noise of single pixels: the mean of p(x | z) for random codes"))
    var flat = context.options
    flat.latentDimensions = 2
    flat.bound = context.options.chosenBound.part(0.5)
    context.options.progress("fitting a VAE with two latent dimensions", 0)
    let plane: VAE
    if latents == 2 {
      plane = self
    } else {
      plane = try VAE(
        VAERung.configuration(context.train, flat, arePictures: context.side != nil), seed: context.options.seed)
      _ = try GradientRung.train(
        plane, context.train, flat, arePictures: context.side != nil, what: "a VAE with two latent dimensions")
    }
    let manifold = pictures(try plane.manifold(side: 16))
    figures.append(
      .picture(
        Picture.grid(manifold, columns: 16, spacing: 0), scale: max(1, 40 / pictures.side),
        caption: """
          A VAE whose code has only two numbers, as a map: each picture is decoded from its place in the plane. \
          Neighbours look alike, and every place decodes to something.
          """))
    return figures
  }
}

extension GaussianMixtureVAE: IllustratedModel {
  /// A row for each component: training pictures that it holds most certainly, then draws from it.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    var figures = [context.fitted.lossFigure()].compactMap(\.self)
    guard let pictures = context.pictures else { return figures }
    let shown = context.train.spread(over: 2000)
    let responsibilities = try responsibilities(shown)
    let clusters = try cluster(shown)
    let sizes = (0..<components).map { k in clusters.count { $0 == k } }
    let used = sizes.indices.filter { sizes[$0] > 0 }.sorted { sizes[$0] > sizes[$1] }
    var rows: [Picture] = []
    for k in used {
      let members = clusters.indices.filter { clusters[$0] == k }
        .sorted { responsibilities[$0, k] > responsibilities[$1, k] }
      let originals = pictures(shown.selecting(members.prefix(6)))
      let blank = Picture(width: pictures.side, height: pictures.side, color: .white)
      rows += originals + (originals.count..<7).map { _ in blank }
      rows += pictures(try sample(6, component: k, seed: context.options.seed))
    }
    figures.append(
      .picture(
        Picture.grid(rows, columns: 13, spacing: 2), scale: max(1, 64 / pictures.side),
        caption: """
          A row for each component in use, the most frequent first: on the left training pictures that were sorted into it, \
          on the right draws from it alone. Nobody has told the model what kinds there are.
          """))
    return figures
  }
}

extension HierarchicalVAE: IllustratedModel {
  /// What each level has to say, and draws at lower temperatures.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    let side = context.side ?? 0
    var figures = [context.fitted.lossFigure(warmUp: configuration.warmUp)].compactMap(\.self)
    let sides = configuration.levelSides
    let pictures = try sample(
      24, seed: context.options.seed &+ 1, temperatures: Array(repeating: 0.7, count: sides.count), showsMeans: true)
    figures.append(
      .picture(
        Picture.grid(pictures.pictures(side: side), columns: 12, spacing: 2), scale: max(1, 64 / side),
        caption: "Draws at temperature 0.7, without the noise of single pixels: likelier and less varied"))
    let bounds = try self.bounds(context.train.spread(over: 64), seed: context.options.seed)
    let bits = sides.indices.map { level in
      bounds.map { $0.divergences[level] }.mean / log(2) / Double(dimensions)
    }
    let names = sides.map { "\($0)×\($0) cells" }
    figures.append(
      .drawing(
        BarChart(
          title: "What each level says of a picture, bits a dimension",
          bars: zip(names, bits).map { .init(name: $0, value: max(0, $1), label: String(format: "%.3f", $1)) }
        ).drawing(),
        caption:
          "The divergence of each level's posterior from its prior, of training pictures. \(Self.shares(of: bits, names: names))"
      ))
    return figures
  }

  /// Which levels do the work.
  static func shares(of bits: [Double], names: [String]) -> String {
    let total = bits.reduce(0) { $0 + max(0, $1) }
    guard total > 0 else { return "None says anything: the decoder does without a code." }
    let shares = bits.map { max(0, $0) / total }
    let list = zip(names, shares).map { String(format: "%@ %.0f%%", $0, 100 * $1) }.joined(separator: ", ")
    let idle = zip(names, shares).filter { (100 * $1).rounded() < 2 }.map(\.0)
    return "Of all that is said: \(list)."
      + (idle.isEmpty ? " All levels are used." : " Hardly used: \(idle.joined(separator: ", ")).")
  }
}

extension TwoStageModel: IllustratedModel {
  /// Pictures decoded from the coarsest level of a hierarchy of tokens, from the two coarsest and so on.
  func figures(_ context: LadderFigure.Context) throws(PipelineError) -> [LadderFigure] {
    let side = context.side ?? 0
    let grids = configuration.priors.map { "\($0.gridSide)×\($0.gridSide)" }
    guard grids.count > 1 else { return [] }
    let measured = context.train.spread(over: 96)
    let explained = try decodedLevelByLevel(measured).cumulative.map(measured.shareExplained)
    let shown = context.train.spread(over: 12)
    let decoded = try decodedLevelByLevel(shown)
    let rows = decoded.cumulative.flatMap { $0.pictures(side: side) } + shown.pictures(side: side)
    let levels = grids.indices.map { grids[...$0].joined(separator: " and ") }.joined(separator: ", then of ")
    return [
      .picture(
        Picture.grid(rows, columns: shown.rows, spacing: 2), scale: max(1, 64 / side),
        caption: "Training pictures decoded level by level: of the tokens of \(levels); in the last row the pictures "
          + "themselves. \(Self.parts(explained, grids: grids))")
    ]
  }

  /// What each level adds.
  /// - Parameter explained: the share of the pictures' variance that comes back from the coarsest level alone, from the two coarsest and
  ///   so on.
  static func parts(_ explained: [Double], grids: [String]) -> String {
    let list = zip(grids, explained).enumerated().map { i, part in
      String(format: "%@%@ tokens %.0f%%", i == 0 ? "the " : "with the ", part.0, 100 * max(0, part.1))
    }
    let sentence = "Of what pictures differ by, \(list.joined(separator: ", ")) come back."
    return explained[0] < 0.1
      ? sentence + " The coarse level has hardly a part in it: nothing forces a tokenizer to put the outline there."
      : sentence + " The coarse level says what and where, the finer ones how it looks in detail."
  }
}

extension MixtureAutoEncoder: IllustratedModel {
  func figures(_ context: LadderFigure.Context) -> [LadderFigure] {
    [context.fitted.lossFigure(unit: "mean squared error")].compactMap(\.self)
  }
}

extension Matrix {
  /// 1 - Σ‖x - x̂‖²/Σ‖x - mean‖², of rows that are approximated by other rows.
  fileprivate func shareExplained(by approximation: Matrix) -> Double {
    let mean = mean()
    var (error, variance) = (0.0, 0.0)
    for n in 0..<rows {
      for (j, value) in row(n).enumerated() {
        error += (value - approximation[n, j]) * (value - approximation[n, j])
        variance += (value - mean[j]) * (value - mean[j])
      }
    }
    return variance > 0 ? 1 - error / variance : 0
  }
}

extension FittedRung {
  /// - Parameter warmUp: the share of the run in which the weight of the divergence rises from 0 to 1.
  fileprivate func lossFigure(unit: String = "nats a dimension", warmUp: Double = 0) -> LadderFigure? {
    if lossCurve.count < 3 { return nil }
    return .drawing(
      LineChart(
        title: "Learning", xLabel: "seconds", yLabel: "training loss",
        series: [.init(name: "training loss, \(unit)", points: lossCurve.map { ($0.seconds, $0.loss) })]
      ).drawing(),
      caption: "The loss over training: where it still falls at the end, more time would help."
        + (warmUp > 0
          ? String(
            format:
              " In the first %.0f%% of the run the price of the code rises from nothing to its full weight, and the "
              + "loss may rise with it.", 100 * warmUp) : ""))
  }
}
