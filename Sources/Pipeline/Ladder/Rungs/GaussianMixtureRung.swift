import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// A mixture of Gaussians; see `GaussianMixture`.
package enum GaussianMixtureRung: LadderRung {
  package static let name = "gaussian-mixture"
  package static let choices: Set<LadderChoice> = [.components, .covariance]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try GaussianMixture(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    var configuration = GaussianMixture.Configuration()
    var search = GaussianMixture.Options()
    (search.seed, search.threads) = (options.seed, options.threads)
    var notes: [String] = []
    let arePictures = side != nil
    if arePictures && options.covariance == nil {
      configuration.covariance = .tied
      configuration.regularization = GaussianRung.pictureFloor
      configuration.relativeRegularization = try GaussianRung.bestShrinkage(x, options)
      // EM moves slowly at the end, and a round takes seconds in thousands of dimensions.
      (search.maximumIterations, search.tolerance) = (12, 0.02)
      notes.append(
        """
        All bells share one covariance, shrunk as the Gaussian's (λ = \(configuration.relativeRegularization)): each of its \
        own would need as many numbers again, from a fraction of the pictures.
        """)
    } else {
      configuration.covariance = options.covariance ?? .full
      let floor = try GaussianRung.matrixFloor(x, threads: options.threads)
      (configuration.regularization, configuration.relativeRegularization) = (floor.absolute, floor.relative)
      search.restarts = x.columns <= 256 ? 5 : 1
    }
    let model: GaussianMixture
    if let components = options.components {
      configuration.components = components
      model = try GaussianMixture(fitting: x, configuration, options: search)
    } else if arePictures {
      configuration.components = min(40, x.rows)
      model = try GaussianMixture(fitting: x, configuration, options: search)
    } else {
      var best: (model: GaussianMixture, criterion: Double)?
      let least = configuration.covariance.leastPoints(dimensions: x.columns)
      let candidates = [1, 2, 3, 4, 6, 8, 12, 16].filter { $0 == 1 || $0 * least <= x.rows }
      for (i, components) in candidates.enumerated() {
        options.progress("choosing the number of components", Double(i) / Double(candidates.count))
        configuration.components = components
        let candidate = try GaussianMixture(fitting: x, configuration, options: search)
        let criterion = try candidate.bayesianInformationCriterion(x)
        if best.map({ criterion < $0.criterion }) ?? true { best = (candidate, criterion) }
      }
      guard let best else { throw PipelineError(.badData, "a mixture needs one point at least") }
      model = best.model
      notes.append(
        "K = \(model.configuration.components), of \(candidates.map(String.init).joined(separator: ", ")), has the lowest "
          + "Bayesian information criterion; another number can be chosen.")
    }
    let rounds = model.logLikelihoodCurve.count
    notes.append(
      "\(model.configuration.components) components; EM "
        + (model.hasConverged ? "converged after \(rounds) rounds." : "was ended after \(rounds) rounds."))
    notes += emptiness(of: model, fittedTo: x)
    return FittedRung(model: model, likelihoodCurve: model.logLikelihoodCurve, notes: notes)
  }

  /// A component with less than this share of the points has none.
  private static let leastWeight = 1e-6

  /// Where there are more components than different points, and which components have no points.
  private static func emptiness(of model: GaussianMixture, fittedTo x: Matrix) -> [String] {
    let count = model.configuration.components
    var distinct: Set<[Double]> = []
    for row in 0..<x.rows where distinct.count < count { distinct.insert(Array(x.row(row))) }
    let empty = model.weights.indices.filter { model.weights[$0] < leastWeight }
    var notes: [String] = []
    if distinct.count < count {
      notes.append("There are \(distinct.count) different points for \(count) components: as many would do.")
    }
    if !empty.isEmpty {
      let list = empty.map(String.init).joined(separator: ", ")
      notes.append(
        "\(empty.count == 1 ? "Component \(list) has" : "Components \(list) have") no weight, counted from 0.")
    }
    return notes
  }

  package static let text =
    RungText(
      title: "Gaussian mixture", idea: "several bells, one for each kind",
      answers: """
        One bell has to stretch over all kinds of examples alike. A mixture takes several, so that each can sit on one \
        kind and need not cover the emptiness between the kinds.
        """,
      how: """
        An example is made in two steps: first one of the bells is chosen, then the example is drawn from it. Which bell \
        a given one came from is not written on it. It is a latent variable, the first one of this ladder. EM guesses \
        it (how likely is each bell for each example?), refits the bells with these guesses as weights, and repeats; the \
        likelihood rises with every round.
        """,
      weakness: """
        Each bell still needs a covariance, of as many numbers as there are pairs of coordinates: of pictures, millions. \
        They are seldom to be learnt from the examples that there are, and a bell that is kept simpler knows less about how \
        the coordinates go together.
        """,
      equation: "p(x) = Σ<sub>k</sub> π<sub>k</sub> N(x | μ<sub>k</sub>, Σ<sub>k</sub>), &emsp; "
        + "γ<sub>nk</sub> = π<sub>k</sub> N(x<sub>n</sub> | μ<sub>k</sub>, Σ<sub>k</sub>) ⁄ "
        + "Σ<sub>j</sub> π<sub>j</sub> N(x<sub>n</sub> | μ<sub>j</sub>, Σ<sub>j</sub>)",
      source: "Bishop, Pattern Recognition and Machine Learning, section 9.2")
}

extension CovarianceKind {
  /// Points that a component has to have for a covariance of its own to be more than the floor that keeps it from collapsing.
  fileprivate func leastPoints(dimensions: Int) -> Int { self == .full ? dimensions + 1 : 2 }
}
