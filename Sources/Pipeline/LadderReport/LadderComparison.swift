import Basics
import Datasets
import Evaluation
import Foundation
import Generation
import Imaging
import Ladder
import LatentModels
import LinearAlgebra
import Priors

/// Puts the same data through one rung after the other and keeps what is measured.
public struct LadderComparison {
  public private(set) var report: LadderReport
  private let data: LadderData
  private let options: LadderOptions
  private let train: Matrix
  private let heldOut: Matrix
  /// Training rows for the likelihood that held-out ones are compared with.
  private let trainShown: Matrix
  private let features: FeatureSpace
  private let heldOutStatistics: GaussianStatistics
  private let trainStatistics: GaussianStatistics
  /// For precision and recall; nil where there are too few.
  private let heldOutReal: RealRows?
  private let trainReal: RealRows?

  /// Pictures in a row of the page, and draws shown.
  private static let shownOriginals = 12
  private static let shownSamples = 36

  /// Splits the data and finds the feature space of the Fréchet distance.
  /// - Parameters:
  ///   - data: what all rungs are fitted to and measured on.
  ///   - draws: how many rows are drawn from each model for that distance.
  ///   - options: how each rung is fitted.
  /// - Throws: `PipelineError` of kind `.badData` where either part is too small to be measured.
  public init(_ data: LadderData, draws: Int, options: LadderOptions) throws(PipelineError) {
    self.data = data
    self.options = options
    train = try data.matrix(of: .train)
    heldOut = try data.matrix(of: .heldOut)
    guard train.rows >= 4, heldOut.rows >= 2 else {
      throw PipelineError(
        .badData,
        "\(data.name) has \(train.rows) rows for fitting and \(heldOut.rows) held out; a comparison needs at least 4 and 2"
      )
    }
    trainShown = train.spread(over: heldOut.rows)
    options.progress("finding the principal components", 0)
    features = try FeatureSpace(train, components: FeatureSpace.standardComponents, threads: options.threads)
    heldOutStatistics = GaussianStatistics(features.project(heldOut))
    trainStatistics = GaussianStatistics(features.project(train))
    // Half of them at most: all rows are at no distance from all rows.
    let yardstickRows = features.project(train.spread(over: min(draws, train.rows / 2)))
    let yardstick = GaussianStatistics(yardstickRows)
    heldOutReal = RealRows(features: features.project(heldOut.spread(over: draws)))
    // Every other one of the rows is real, and those between them are their yardstick.
    let shared = features.project(train.spread(over: 2 * draws))
    let half = shared.rows / 2
    trainReal = RealRows(features: shared.selecting((0..<half).map { 2 * $0 }))
    report = LadderReport(
      data: data.name, trainingRows: train.rows, heldOutRows: heldOut.rows, dimensions: data.dimensions,
      pictureSize: data.side, frechetComponents: features.count, frechetSamples: draws,
      frechetDistanceOfTrainingRows: try FrechetDistance.between(yardstick, heldOutStatistics),
      trainingFrechetDistanceOfTrainingRows: try FrechetDistance.between(yardstick, trainStatistics), models: [])
    // Otherwise rows are held out at random.
    if data.areSplitsGiven {
      let distance = try FrechetDistance.between(heldOutStatistics, trainStatistics)
      report.isShifted = distance > 2 * (try largestDistanceByChance(features.project(train), heldOut.rows))
    }
    report.precisionAndRecallOfTrainingRows = heldOutReal.flatMap {
      $0.precisionAndRecall(ofDraws: yardstickRows.spread(over: $0.count))
    }
    report.trainingPrecisionAndRecallOfTrainingRows = trainReal?.precisionAndRecall(
      ofDraws: shared.selecting((0..<half).map { 2 * $0 + 1 }))
    if let pictures = data.pictures {
      (report.shownSize, report.originals) = (pictures.side, pictures(shownOriginals))
    }
    if data.side == nil {
      report.heldOutPoints = points(heldOut.spread(over: 1000))
    }
  }

  private var shownOriginals: Matrix { heldOut.spread(over: Self.shownOriginals) }

  /// Rows in the plane of the first two principal components.
  private func points(_ rows: Matrix) -> [(x: Double, y: Double)] {
    let projected = features.project(rows)
    return (0..<rows.rows).map { (projected[$0, 0], features.count > 1 ? projected[$0, 1] : 0) }
  }

  /// Fits a rung and measures it. What cannot be done with these data is said in its row, beside what could.
  public mutating func add(_ rung: Rung) {
    var row = RungReport(rung)
    var failure = "It could not be fitted"
    do throws(PipelineError) {
      let fitted = try rung.fit(train, side: data.side, options: options.restricted(to: rung))
      row.seconds = fitted.seconds
      row.notes = fitted.notes
      row.parameters = fitted.model.parameterCount
      failure = "It could not be measured"
      try measure(fitted, &row)
      failure = "Its figures could not be drawn"
      if let model = fitted.model as? any IllustratedModel {
        row.figures += try model.figures(
          .init(
            fitted: fitted, train: train, side: data.side, pictures: data.pictures, features: features, options: options
          ))
      }
    } catch {
      row.notes.append("\(failure): \(error.message).")
    }
    report.models.append(row)
  }

  private func measure(_ fitted: FittedRung, _ row: inout RungReport) throws(PipelineError) {
    let model = fitted.model
    options.progress("measuring \(row.model.rawValue)", 0)
    row.likelihood = model.likelihood
    if model.likelihood != .none { try measureLikelihood(model, &row) }
    row.lossTerms = try LossTerm.terms(of: model, heldOut)
    options.progress("drawing from \(row.model.rawValue)", 0)
    let draws = try model.sample(report.frechetSamples, seed: options.seed)
    // Pixels of draws are brought into the range of pixels, as they are when they are shown.
    let shown = data.side == nil ? draws : draws.clamped(to: 0...1)
    let drawnFeatures = features.project(shown)
    let drawn = GaussianStatistics(drawnFeatures)
    row.frechetDistance = try FrechetDistance.between(drawn, heldOutStatistics)
    row.trainingFrechetDistance = try FrechetDistance.between(drawn, trainStatistics)
    row.precisionAndRecall = heldOutReal?.precisionAndRecall(ofDraws: drawnFeatures)
    row.trainingPrecisionAndRecall = trainReal?.precisionAndRecall(ofDraws: drawnFeatures)
    let first = draws.selecting(0..<min(Self.shownSamples, draws.rows))
    row.reconstructionError = try model.reconstructionError(heldOut.spread(over: ImportanceWeightedFigure.mostRows))
    if let pictures = data.pictures {
      row.samples = pictures(first)
      row.reconstructions = pictures(try model.reconstruct(shownOriginals))
    }
    if data.side == nil {
      row.samplePoints = points(draws.spread(over: 1000))
    }
  }

  private func measureLikelihood(_ model: any GenerativeModel, _ row: inout RungReport) throws(PipelineError) {
    let heldOutMean: Double
    if let model = model as? any BoundedModel {
      let bounds = try model.bounds(heldOut, seed: options.seed)
      heldOutMean = bounds.map(\.total).mean
      let divergences = model.divergenceNames.enumerated().map { i, name in
        BoundTerm(name: name, mean: bounds.map { $0.divergences[i] }.mean)
      }
      row.boundTerms = [BoundTerm(name: "E[log p(x | z)]", mean: bounds.map(\.reconstruction).mean)] + divergences
      options.progress("measuring \(row.model.rawValue) by many samples", 0)
      row.importanceWeighted = try ImportanceWeightedFigure.figures(
        of: model, heldOut, arePictures: data.side != nil, seed: options.seed, threads: options.threads)
    } else {
      heldOutMean = try model.logLikelihood(heldOut, seed: options.seed).mean
    }
    let trainingMean = try model.logLikelihood(trainShown, seed: options.seed).mean
    (row.meanLogLikelihood, row.trainingMeanLogLikelihood) = (heldOutMean, trainingMean)
    if data.side != nil {
      row.bitsPerDimension = LadderData.bitsPerDimension(
        meanLogLikelihood: heldOutMean, dimensions: data.dimensions)
      row.trainingBitsPerDimension = LadderData.bitsPerDimension(
        meanLogLikelihood: trainingMean, dimensions: data.dimensions)
    }
  }

  /// Measures a text-to-image checkpoint on the same held-out pictures, which it draws from their captions.
  /// - Parameters:
  ///   - model: the checkpoint, loaded.
  ///   - name: what the page calls the checkpoint.
  ///   - pictures: the same data set at the checkpoint's picture size.
  /// - Throws: `PipelineError` for a damaged picture if the data set was opened with `strict`, and where the figures cannot be had.
  /// - Precondition: the comparison is of pictures.
  public mutating func add(
    _ model: TextToImageModel, name: String, pictures: PictureDataSet
  ) throws(PipelineError) {
    guard let side = data.side else { preconditionFailure("a matrix has no captions") }
    var (captions, originals): ([String], [Picture]) = ([], [])
    for (index, entry) in pictures.entries.enumerated() where entry.split != .train {
      guard let original = try pictures.pictureIfReadable(at: index) else { continue }
      captions.append(entry.captions[0])
      originals.append(original)
    }
    guard !originals.isEmpty else { return }
    // As many draws as from the others: of captions evenly spread where there are more, and several of each where there are fewer.
    let asked = captions.indices.spread(over: report.frechetSamples)
    let rounds = (report.frechetSamples + asked.count - 1) / asked.count
    var drawn: [Picture] = []
    for round in 0..<rounds {
      let wanted = asked.prefix(report.frechetSamples - drawn.count).map { captions[$0] }
      drawn += try model.generate(captions: wanted, options: .init(seed: options.seed &+ UInt64(round))) {
        options.progress("drawing from DALL·E", (Double(round) + $0) / Double(rounds))
      }
    }
    let drawnFeatures = features.project(Matrix(smallPictures: drawn, side: side))
    let statistics = GaussianStatistics(drawnFeatures)
    let training = ([model.configuration.tokenizerTraining].compactMap(\.self) + model.configuration.priorRuns)
      .map(\.minutes)
    let tokens = model.reconstructor.tokens(of: originals)
    let loss = (model.prior as? any TrainablePrior)?.meanImageLoss(
      texts: captions.map(model.textEncoder.encode), images: tokens, precision: .float32, team: model.threadTeam)
    let shown = asked.indices.spread(over: Self.shownOriginals).map { (caption: captions[asked[$0]], place: $0) }
    let trained = Set(pictures.indices(of: .train).flatMap { pictures.entries[$0].allCaptions })
    report.dalle = DalleReport(
      checkpoint: name,
      frechetDistance: try FrechetDistance.between(statistics, heldOutStatistics),
      trainingFrechetDistance: try FrechetDistance.between(statistics, trainStatistics),
      precisionAndRecall: heldOutReal?.precisionAndRecall(ofDraws: drawnFeatures),
      parameters: model.imageTokenizer.parameterCount + model.prior.parameterCount,
      trainingSeconds: training.isEmpty ? nil : training.reduce(0, +) * 60, natsPerImageToken: loss,
      tokensPerPicture: tokens[0].count, heldOutCaptions: captions.count,
      drawings: shown.map { ($0.caption, drawn[$0.place], originals[asked[$0.place]]) },
      reconstructions: model.reconstruct(shown.map { originals[asked[$0.place]] }),
      areCaptionsNew: shown.allSatisfy { !trained.contains($0.caption) })
  }
}

/// How far so few of the rows are from all of them at most, of eight choices: what being few costs.
private func largestDistanceByChance(_ features: Matrix, _ count: Int) throws(PipelineError) -> Double {
  let all = GaussianStatistics(features)
  var largest = 0.0
  for choice in 0..<8 {
    let chosen = (0..<count).map { (8 * $0 + choice) * features.rows / (8 * count) % features.rows }
    largest = max(largest, try FrechetDistance.between(GaussianStatistics(features.selecting(chosen)), all))
  }
  return largest
}

extension Matrix {
  /// Pictures box-filtered to `side` as rows in [0, 1), each byte in the middle of its interval.
  init(smallPictures pictures: [Picture], side: Int) {
    self.init(
      pictures.flatMap { $0.resized(width: side, height: side).pixels.map { (Double($0) + 0.5) / 256 } },
      rows: pictures.count, columns: side * side * 3)
  }
}
