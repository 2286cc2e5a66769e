import Basics
import Decoding
import Foundation
import ImageTokenizers
import Imaging
import Ladder
import LadderReport
import LinearAlgebra
import NN
import Priors
import TensorCore

extension LectureFigure {
  /// Held-out pictures, and what comes back from their tokens.
  static func reconstructions(_ context: Context) throws(PipelineError) -> Content {
    let (train, side) = try context.pictures()
    let tokenizer = try SmallTokenizer(train, side: side, share: 1, context.options)
    let shown = try context.shownPictures(32)
    let returned = tokenizer.decode(tokenizer.tokens(of: shown))
    let psnr = psnrInDecibels(shown, returned)
    let grid = tokenizer.model.gridSides[0]
    return Content(
      .panels(
        [
          ("held-out pictures", shown.sheet(side: side, columns: 8)),
          ("from \(grid)×\(grid) tokens", returned.sheet(side: side, columns: 8)),
        ], columns: 2), values: [.init(name: "psnr_in_decibels", value: psnr)],
      caption: String(
        format: "Held-out pictures come back from %d×%d tokens of %d codes with %.1f dB.", grid, grid,
        tokenizer.model.codeCount, psnr))
  }

  /// At least so many training pictures make a class.
  private static let leastOfClass = 8
  /// So many classes are shown.
  private static let mostClasses = 10

  /// A row of draws for each class: those captions that many pictures have.
  static func classConditionalDraws(_ context: Context) throws(PipelineError) -> Content {
    let (all, side) = try context.pictures()
    let captions = context.data.map { data in data.indices(of: .train).map { data.captions[$0] } } ?? []
    let counts = captions.reduce(into: [:]) { $0[$1, default: 0] += 1 }.filter { $0.value >= leastOfClass }
    let frequent = counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }
    let classes = frequent.prefix(mostClasses).map(\.key).sorted()
    guard classes.count > 1 else {
      throw PipelineError(
        .badData,
        "no two captions are those of \(leastOfClass) training pictures each, so that there are no classes to draw; "
          + "dalle-cli prepare digits makes a folder that has them")
    }
    let number = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
    let rows = captions.indices.filter { number[captions[$0]] != nil }
    let labels = rows.map { number[captions[$0]] ?? 0 }
    let train = all.selecting(rows)
    let tokenizer = try SmallTokenizer(train, side: side, share: 0.4, context.options)
    let prior = try tokenizer.classPrior(
      tokenizer.tokens(of: train), labels: labels, classes: classes.count, share: 0.6, context.options)
    let each = 12
    let drawn = tokenizer.decode(
      prior.draw(
        (0..<classes.count * each).map { i in
          var sampling = SamplingOptions()
          (sampling.temperature, sampling.topK, sampling.guidance) = (1, 0, 1)
          return DrawingRequest(text: [Int32(i / each)], sampling: sampling, seed: context.options.seed, number: i)
        }))
    // The class of the nearest training picture, as a judge.
    let (pool, poolLabels) = (train.spread(over: 2000), labels.spread(over: 2000))
    let met = (0..<drawn.rows).count { i in
      let row = drawn.row(i)
      let nearest = (0..<pool.rows).min { a, b in
        squaredDistance(row, pool.row(a)) < squaredDistance(row, pool.row(b))
      }
      return nearest.map { poolLabels[$0] } == i / each
    }
    let share = Double(met) / Double(drawn.rows)
    return Content(
      .panels(
        classes.enumerated().map { i, name in
          (name, drawn.rows(i * each..<(i + 1) * each).sheet(side: side, columns: each))
        }, columns: 2), values: [.init(name: "share_nearest_to_own_class", value: share)],
      caption: String(
        format:
          "A row of draws for each class: %@. Of %.0f%%, the nearest training picture is of the class that was asked for.",
        classes.joined(separator: ", "), 100 * share))
  }

  private static func squaredDistance(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }

  /// Held-out pictures from the tokens of the coarsest level, of the two coarsest, and so on; below them the pictures.
  static func levelByLevel(_ context: Context) throws(PipelineError) -> Content {
    let (train, side) = try context.pictures()
    let fitted = try Rung(VQVAE2Rung.self).fit(train, side: side, options: context.options)
    guard let model = fitted.model as? TwoStageModel else { preconditionFailure("a VQ-VAE-2 is one") }
    let shown = try context.shownPictures(16)
    let grids = model.configuration.priors.map { "\($0.gridSide)×\($0.gridSide)" }
    let decoded = try model.decodedLevelByLevel(shown).cumulative
    var (panels, values): ([(title: String, picture: Picture)], [Content.Value]) = ([], [])
    for (level, rows) in decoded.enumerated() {
      panels.append(("tokens of \(grids[...level].joined(separator: ", "))", rows.sheet(side: side, columns: 4)))
      values.append(.init(name: "psnr_in_decibels_\(level + 1)", value: psnrInDecibels(shown, rows)))
    }
    panels.append(("original", shown.sheet(side: side, columns: 4)))
    // Pictures that are nearly all alike say nothing of which picture they are.
    let isIdle = decoded.count > 1 && decoded[0].spread < 0.2 * shown.spread
    return Content(
      .panels(panels, columns: panels.count), values: values,
      caption: "Level by level held-out pictures come back with "
        + values.map { String(format: "%.1f", $0.value) }.joined(separator: ", ") + " dB."
        + (isIdle
          ? " The coarsest tokens say hardly anything alone: training has left all of it to the finer ones." : ""))
  }
}

/// A VQ-VAE for pictures as rows, without a prior.
struct SmallTokenizer {
  let model: any TrainableImageTokenizer
  private let team: ThreadTeam

  init(_ x: Matrix, side: Int, share: Double, _ options: LadderOptions) throws(PipelineError) {
    let kind = ImageTokenizerKind(VQVAE.Configuration.self)
    let configuration = try TwoStageModel.standardConfiguration(kind, pictureSize: side).imageTokenizer
    model = try configuration.trainable().makeModel(Initializer(seed: options.seed))
    let fitting = try TokenFitting(rows: x.rows, options)
    team = fitting.team
    try fitting.run(model, pictures: x, bound: options.chosenBound.part(share)) { fraction, _ in
      options.progress("fitting the tokenizer", fraction)
    }
  }

  func tokens(of x: Matrix) -> [[Int32]] {
    let S = model.pictureSize
    return team.map(x.rows) { model.encode(Tensor(x.row($0).map(Float.init), shape: [1, S, S, 3])) }
  }

  func decode(_ tokens: [[Int32]]) -> Matrix {
    let rows = team.map(tokens.count) { model.decode(tokens[$0]).scalars }
    return Matrix(
      rows.flatMap { $0.map { Double($0) } }, rows: tokens.count, columns: model.pictureSize * model.pictureSize * 3)
  }

  /// A PixelCNN over the tokens that is told the class.
  func classPrior(
    _ tokens: [[Int32]], labels: [Int], classes: Int, share: Double, _ options: LadderOptions
  ) throws(PipelineError) -> any ImageTokenDecoder {
    var c = PixelCNN.Configuration()
    (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary) = (
      model.gridSides[0], model.codeCount, 1, classes
    )
    (c.channels, c.reach, c.layers) = (64, 2, max(4, c.gridSide / 2))
    let prior = PixelCNN(c, Initializer(seed: options.seed &+ 1))
    let fitting = try TokenFitting(rows: tokens.count, options)
    try fitting.run(
      prior, level: 0, of: [tokens], texts: labels.map { [Int32($0)] }, bound: options.chosenBound.part(share)
    ) { fraction, _ in options.progress("fitting the PixelCNN", fraction) }
    return prior.makeDecoder(team: team)
  }
}
