import ArrayFiles
import Basics
import Checkpoints
import Foundation
import LatentModels
import LinearAlgebra
import Optimization
import TensorCore

/// What a rung of the ladder is: a model, how it is fitted, and what is said of it. A new one is a file and a line in
/// `Rung.all`.
package protocol LadderRung: Sendable {
  /// On the command line, in model files and in reports.
  static var name: String { get }
  /// Whether it fits any matrix; the others are made of convolutions and fit pictures only.
  static var takesMatrices: Bool { get }
  /// What may be given of what ``LadderOptions`` leave to the rung.
  static var choices: Set<LadderChoice> { get }
  static var text: RungText { get }

  /// - Parameters:
  ///   - x: [N, D]
  ///   - side: S, where the rows are pictures of S × S × 3; nil for a matrix.
  ///   - options: what is nil in them is chosen by the rung.
  /// - Throws: `PipelineError` where the rows or the options do not suit the model.
  static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung
  /// - Parameter path: where the file lies, for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it holds no such model.
  static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel
}

extension LadderRung {
  package static var takesMatrices: Bool { true }
}

/// What ``LadderOptions`` leave to a rung unless it is given.
package enum LadderChoice: String, CaseIterable {
  case components, covariance, latentDimensions, method, klWeight, missingValues, bound, batchSize
}

/// One of the models that lead from one Gaussian to DALL·E, by its name.
public struct Rung: RawRepresentable, CaseIterable, Hashable, Sendable, Codable {
  /// In the order of the lecture that the tutorial names (Park 2021, "Latent Variable Models").
  package static let all: [any LadderRung.Type] = [
    GaussianRung.self,
    GaussianMixtureRung.self,
    PPCARung.self,
    AutoEncoderRung.self,
    VAERung.self,
    GaussianMixtureVAERung.self,
    HierarchicalVAERung.self,
    VQVAERung.self,
    VQVAE2Rung.self,
    DiscreteVAERung.self,
  ]

  public static var allCases: [Rung] { all.map(Rung.init) }

  /// The model's name on the command line, in model files and in reports.
  public let rawValue: String

  /// Nil where there is no such rung.
  public init?(rawValue: String) {
    guard Self.all.contains(where: { $0.name == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  package init(_ type: any LadderRung.Type) { rawValue = type.name }

  package var type: any LadderRung.Type {
    guard let type = Self.all.first(where: { $0.name == rawValue }) else {
      preconditionFailure("there is no rung \(rawValue)")
    }
    return type
  }

  package var text: RungText { type.text }
  /// One line for help.
  public var summary: String { text.idea }
  /// Whether it fits any matrix; the others are made of convolutions and fit pictures only.
  public var takesMatrices: Bool { type.takesMatrices }

  /// Fits the model to rows.
  /// - Parameters:
  ///   - x: [N, D]
  ///   - side: S, where the rows are pictures of S × S × 3; nil for a matrix.
  ///   - options: what is nil in them is chosen by the rung.
  /// - Throws: `PipelineError` where the rows or the options do not suit the model; see ``LadderOptions/restricted(to:)``.
  public func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    try options.validate()
    guard side != nil || takesMatrices else {
      throw PipelineError(.usage, "\(rawValue) works on pictures, and the data are a matrix")
    }
    try options.requireUse(by: [self])
    options.progress("fitting \(rawValue)", 0)
    let start = ContinuousClock.now
    var fitted = try type.fit(x, side: side, options: options)
    fitted.seconds = start.duration(to: .now) / .seconds(1)
    return fitted
  }
}

/// How a model is fitted that can be fitted in several ways.
public enum FittingMethod: String, CaseIterable, Sendable {
  /// At once.
  case closedForm = "closed-form"
  /// Expectation maximisation, round after round.
  case expectationMaximization = "em"
}

/// How the rungs are fitted. What is nil is chosen by the rung.
public struct LadderOptions: Sendable {
  /// K of mixtures.
  public var components: Int?
  public var covariance: CovarianceKind?
  /// Of the code.
  public var latentDimensions: Int?
  /// Of a model that can be fitted in several ways.
  public var method: FittingMethod?
  /// β, what training weighs the divergence of a VAE's code by (Higgins et al. 2017); 1 where nil.
  public var klWeight: Double?
  /// How long a model is trained that is learnt by gradients, and probabilistic PCA by EM, of which a round is an epoch; two
  /// minutes where nil.
  public var bound: TrainingBound?
  /// Rows a step of a model that is learnt by gradients.
  public var batchSize: Int?
  /// Whether NaN stands for a value that is missing, which probabilistic PCA can be fitted to.
  public var allowsMissingValues = false
  public var seed: UInt64 = 0
  public var threads = ProcessInfo.processInfo.activeProcessorCount
  public var precision = ElementType.float32
  /// Told what is being done, and the share of it that is.
  public var progress: @Sendable (String, Double) -> Void = { _, _ in }

  public init() {}

  package var chosenBound: TrainingBound { bound ?? .minutes(2) }

  /// What is not left to the rung.
  package var given: Set<LadderChoice> {
    let all: [(LadderChoice, Bool)] = [
      (.components, components != nil), (.covariance, covariance != nil), (.latentDimensions, latentDimensions != nil),
      (.method, method != nil), (.klWeight, klWeight != nil), (.missingValues, allowsMissingValues),
      (.bound, bound != nil),
      (.batchSize, batchSize != nil),
    ]
    return Set(all.filter(\.1).map(\.0))
  }

  /// Refuses what can be chosen for none of some rungs.
  /// - Throws: `PipelineError` of kind `.usage` that names it.
  public func requireUse(by rungs: [Rung]) throws(PipelineError) {
    for choice in LadderChoice.allCases
    where given.contains(choice) && !rungs.contains(where: { $0.type.choices.contains(choice) }) {
      let able = Rung.allCases.filter { $0.type.choices.contains(choice) }
      func list(_ rungs: [Rung]) -> String { rungs.map(\.rawValue).joined(separator: ", ") }
      throw PipelineError(
        .usage, "`\(choice.rawValue)` can be chosen for \(list(able)) alone, not for \(list(rungs))")
    }
  }

  /// Without what cannot be chosen for a rung, so that the same options do for several.
  public func restricted(to rung: Rung) -> Self {
    var options = self
    for choice in LadderChoice.allCases where !rung.type.choices.contains(choice) { options.leave(choice) }
    return options
  }

  /// Leaves something to the rung.
  package mutating func leave(_ choice: LadderChoice) {
    switch choice {
    case .components: components = nil
    case .covariance: covariance = nil
    case .latentDimensions: latentDimensions = nil
    case .method: method = nil
    case .klWeight: klWeight = nil
    case .missingValues: allowsMissingValues = false
    case .bound: bound = nil
    case .batchSize: batchSize = nil
    }
  }

  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  public func validate() throws(PipelineError) {
    for (name, value, range) in [
      ("components", components, 1...100_000), ("latent-dimensions", latentDimensions, 1...65_536),
      ("batch-size", batchSize, 1...65_536),
    ] {
      guard let value, !range.contains(value) else { continue }
      throw PipelineError(.usage, "--\(name) must be 1 to \(range.upperBound), not \(value)")
    }
    guard klWeight.map({ $0 >= 0 && $0.isFinite }) ?? true else {
      throw PipelineError(.usage, "--kl-weight must be 0 or more, not \(klWeight ?? 0)")
    }
    try bound?.validate()
  }
}

/// A model and how it came about.
public struct FittedRung: Sendable {
  public var model: any WritableModel
  /// By the clock.
  public var seconds = 0.0
  /// Of them, those of the first stage, of a model that has two.
  public var tokenizerSeconds: Double?
  /// The mean log-likelihood of the training rows after each round of EM, nats a row; empty where there was none.
  public var likelihoodCurve: [Double] = []
  /// The training loss by the clock's seconds, of a model that is learnt by gradients.
  public var lossCurve: [(seconds: Double, loss: Double)] = []
  /// What a person should know: choices that were made, regularisation, convergence.
  public var notes: [String] = []
}
