import Basics
import Foundation
import Imaging
import Ladder
import LatentModels
import LinearAlgebra

/// What was measured of one rung, and what there is to see of it.
public struct RungReport: Encodable, Sendable {
  public var model: Rung
  /// Whether the figures below are the model's own or a bound; nil where the model could not be fitted.
  public var likelihood: LikelihoodKind?
  /// Of held-out rows, in nats a row; more is better.
  public var meanLogLikelihood: Double?
  /// Of held-out pictures; less is better. Nil for a matrix.
  public var bitsPerDimension: Double?
  /// The same for as many training rows, to tell a model that has learnt its rows by heart from one that has learnt little.
  public var trainingMeanLogLikelihood: Double?
  public var trainingBitsPerDimension: Double?
  /// The terms of a bound, its reconstruction first and then each divergence: means over held-out rows, nats a row.
  public var boundTerms: [BoundTerm]?
  /// Of held-out rows, for each number of samples; nil of a rung that has no bound of this kind.
  public var importanceWeighted: [ImportanceWeightedFigure]?
  /// Of a rung that quantises vectors: its loss on held-out rows.
  public var lossTerms: [LossTerm]?
  /// Of a number of held-out rows that come back from the latent variable, or of the mean without one: a mean of squares.
  public var reconstructionError: Double?
  /// Between draws and held-out rows; see `FrechetDistance`.
  public var frechetDistance: Double?
  /// Between draws and training rows.
  public var trainingFrechetDistance: Double?
  /// Of draws and held-out rows; nil where there are too few.
  public var precisionAndRecall: PrecisionAndRecall?
  /// Of draws and training rows.
  public var trainingPrecisionAndRecall: PrecisionAndRecall?
  public var parameters = 0
  /// Of fitting, by the clock.
  public var seconds = 0.0
  /// What else is to be said: choices that were made, or why it could not be fitted.
  public var notes: [String] = []

  /// Draws, and held-out pictures through the latent variable and back.
  var samples: [Picture] = []
  var reconstructions: [Picture] = []
  /// Draws as points, for a matrix.
  var samplePoints: [(x: Double, y: Double)] = []
  var figures: [LadderFigure] = []

  enum CodingKeys: String, CodingKey {
    case model, likelihood, meanLogLikelihood, boundTerms, importanceWeighted, bitsPerDimension
    case trainingMeanLogLikelihood, trainingBitsPerDimension, lossTerms, reconstructionError
    case frechetDistance, trainingFrechetDistance, precisionAndRecall, trainingPrecisionAndRecall, parameters, seconds
    case notes
  }

  init(_ model: Rung) { self.model = model }
}

/// A term of an evidence lower bound.
public struct BoundTerm: Encodable, Sendable, Equatable {
  public var name: String
  /// Nats a row.
  public var mean: Double
}

/// A term of the loss of a rung that quantises vectors (van den Oord et al. 2017, equation 3).
public struct LossTerm: Encodable, Sendable, Equatable {
  public var name: String
  public var mean: Double

  /// - Parameters:
  ///   - model: fitted.
  ///   - x: rows, of which some hundreds are looked at where there are more.
  /// - Returns: nil of a model with another loss.
  /// - Throws: `PipelineError` of kind `.badData` where rows do not fit the model.
  public static func terms(of model: any GenerativeModel, _ x: Matrix) throws(PipelineError) -> [LossTerm]? {
    guard let model = model as? TwoStageModel,
      let loss = try model.quantizationLoss(x.spread(over: ImportanceWeightedFigure.mostRows))
    else { return nil }
    return [
      LossTerm(name: "reconstruction (x − x̂)²", mean: loss.reconstruction),
      LossTerm(name: "codebook ‖sg(z) − e‖²", mean: loss.codebook),
      LossTerm(name: "commitment β/16 ‖z − sg(e)‖²", mean: loss.commitment),
    ]
  }
}

/// Something to look at on the page.
enum LadderFigure: Sendable {
  case picture(Picture, scale: Int, caption: String)
  case drawing(SVG, caption: String)
}

/// What was measured of a text-to-image checkpoint beside the ladder.
public struct DalleReport: Encodable, Sendable {
  public var checkpoint: String
  public var frechetDistance: Double?
  public var trainingFrechetDistance: Double?
  /// Of draws and held-out pictures.
  public var precisionAndRecall: PrecisionAndRecall?
  public var parameters: Int
  /// Of both stages' training, as their summaries say.
  public var trainingSeconds: Double?
  /// Of held-out pictures' tokens given their captions.
  public var natsPerImageToken: Double?
  public var tokensPerPicture: Int
  public var heldOutCaptions: Int

  /// Pairs of caption, drawn picture, held-out picture.
  var drawings: [(caption: String, drawn: Picture, original: Picture)] = []
  var reconstructions: [Picture] = []
  /// Whether the data set's training split has none of the captions that are shown.
  var areCaptionsNew = true

  enum CodingKeys: String, CodingKey {
    case checkpoint, frechetDistance, trainingFrechetDistance, precisionAndRecall, parameters, trainingSeconds
    case natsPerImageToken, tokensPerPicture, heldOutCaptions
  }
}

/// All rungs on the same data.
public struct LadderReport: Encodable, Sendable {
  /// The data's name.
  public var data: String
  public var trainingRows: Int
  public var heldOutRows: Int
  public var dimensions: Int
  /// Pixels a side; nil for a matrix.
  public var pictureSize: Int?
  /// Of the feature space, and the draws from each model.
  public var frechetComponents: Int
  public var frechetSamples: Int
  /// Between training rows, as many as there are draws and half of all at most, and held-out rows.
  public var frechetDistanceOfTrainingRows: Double
  /// Between the same and all training rows: what having finitely many draws costs.
  public var trainingFrechetDistanceOfTrainingRows: Double
  /// Training rows in place of draws: as many as those, and half of all at most.
  var yardstickRows: Int { min(frechetSamples, trainingRows / 2) }
  /// Whether held-out rows are much further from the training rows than as few training rows are: a split that holds out other things
  /// than it trains on.
  public var isShifted = false
  /// Of training rows in place of draws and held-out rows.
  public var precisionAndRecallOfTrainingRows: PrecisionAndRecall?
  /// Of training rows in place of draws and other training rows.
  public var trainingPrecisionAndRecallOfTrainingRows: PrecisionAndRecall?
  public var models: [RungReport]
  public var dalle: DalleReport?

  var originals: [Picture] = []
  /// Pixels a side of pictures that are shown, which a matrix may hold, too.
  var shownSize: Int?
  /// Held-out rows as points, for a matrix.
  var heldOutPoints: [(x: Double, y: Double)] = []

  enum CodingKeys: String, CodingKey {
    case data, trainingRows, heldOutRows, dimensions, pictureSize, frechetComponents, frechetSamples
    case frechetDistanceOfTrainingRows, trainingFrechetDistanceOfTrainingRows, isShifted
    case precisionAndRecallOfTrainingRows, trainingPrecisionAndRecallOfTrainingRows, models, dalle
  }

  /// What theory expects of two rungs, and what the figures say.
  public struct Expectation: Sendable, Equatable {
    public var earlier: Rung
    public var later: Rung
    public var isMet: Bool
    /// A sentence or two for the page.
    public var explanation: String
  }

  /// Pairs of which the second contains the first as a special case or has a tighter description of the data.
  static let expected: [(earlier: Rung, later: Rung)] =
    ([
      (GaussianRung.self, GaussianMixtureRung.self), (PPCARung.self, VAERung.self),
      (VAERung.self, GaussianMixtureVAERung.self), (VAERung.self, HierarchicalVAERung.self),
    ] as [(any LadderRung.Type, any LadderRung.Type)]).map { (Rung($0), Rung($1)) }

  /// The pairs of which both were measured.
  public var expectations: [Expectation] {
    Self.expected.compactMap { pair in
      guard let earlier = models.first(where: { $0.model == pair.earlier }),
        let later = models.first(where: { $0.model == pair.later }), let before = earlier.cost, let after = later.cost
      else { return nil }
      let (first, second) = (pair.earlier.text.title, pair.later.text.title)
      let figures = "\(first) \(number(before)), \(second) \(number(after)) \(unit)"
      if after < before {
        return Expectation(
          earlier: pair.earlier, later: pair.later, isMet: true,
          explanation: "\(figures): lower by \(number(before - after)), as theory says.")
      }
      return Expectation(
        earlier: pair.earlier, later: pair.later, isMet: false,
        explanation: "\(figures): higher by \(number(after - before)), against theory. \(why(earlier, later))")
    }
  }

  /// What likelihoods are shown in: cost, so that less is better.
  var unit: String { pictureSize == nil ? "nats a row (negative log-likelihood)" : "bits a dimension" }

  func number(_ value: Double) -> String { String(format: pictureSize == nil ? "%.3f" : "%.2f", value) }

  /// Why a rung that should be better is not, as far as the figures tell.
  private func why(_ earlier: RungReport, _ later: RungReport) -> String {
    var reasons: [String] = []
    if let heldOut = later.cost, let training = later.trainingCost, let before = earlier.trainingCost {
      let gap = heldOut - training
      let title = later.model.text.title
      if training < before && gap > 0 {
        reasons.append(
          "On training rows the \(title) reaches \(number(training)), better than \(number(before)) of the rung before it, and "
            + "loses \(number(gap)) of that on held-out ones: it has more freedom than \(trainingRows) rows can pin down, and "
            + "has learnt some of them by heart\(isShifted ? ", or suits what is held out, which is of other things, less" : "")."
        )
      } else {
        reasons.append(
          "On training rows it reaches \(number(training)), no better than \(number(before)) of the rung before it, so this is not "
            + "over-fitting: it has learnt too little in its \(String(format: "%.0f", later.seconds)) seconds, or its form "
            + "fits these data less well.")
      }
    }
    if later.likelihood == .lowerBound && earlier.likelihood == .exact {
      reasons.append("Its figure is also a bound: the true one is lower by an unknown amount; the other is exact.")
    }
    return reasons.joined(separator: " ")
  }
}

extension RungReport {
  /// Bits a dimension, or nats a row for a matrix; less is better.
  var cost: Double? { bitsPerDimension ?? meanLogLikelihood.map { -$0 } }
  var trainingCost: Double? { trainingBitsPerDimension ?? trainingMeanLogLikelihood.map { -$0 } }
}
