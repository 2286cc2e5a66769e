import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra
import Optimization

/// Probabilistic PCA; see `PPCA`.
package enum PPCARung: LadderRung {
  package static let name = "ppca"
  package static let choices: Set<LadderChoice> = [.latentDimensions, .method, .missingValues, .bound]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try PPCA(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    let latentDimensions = options.latentDimensions ?? max(1, min(64, x.columns - 1, x.rows - 1))
    let note = "The code has \(latentDimensions) dimensions."
    let missing = options.allowsMissingValues ? x.elements.count { $0.isNaN } : 0
    if missing > 0 {
      guard options.method != .closedForm else {
        throw PipelineError(.usage, "values are missing, which EM alone can do without: leave `method` out")
      }
      return try fitByEM(options, notes: [note, "\(missing) of \(x.elements.count) values are missing."]) {
        (search, goesOn) throws(PipelineError) in
        try PPCA(missingValues: x, latentDimensions: latentDimensions, options: search, goesOn: goesOn)
      }
    }
    if options.method == .expectationMaximization {
      return try fitByEM(options, notes: [note]) { (search, goesOn) throws(PipelineError) in
        try PPCA(expectationMaximization: x, latentDimensions: latentDimensions, options: search, goesOn: goesOn)
      }
    }
    let model = try PPCA(fitting: x, latentDimensions: latentDimensions, threads: options.threads)
    return FittedRung(model: model, notes: [note])
  }

  /// - Parameter search: by EM, as long as it is told to go on.
  private static func fitByEM(
    _ options: LadderOptions, notes: [String],
    _ search: (PPCA.Options, (_ rounds: Int, _ meanLogLikelihood: Double) -> Bool) throws(PipelineError) -> PPCA
  ) throws(PipelineError) -> FittedRung {
    var how = PPCA.Options()
    (how.seed, how.threads) = (options.seed, options.threads)
    let start = ContinuousClock.now
    var curve: [Double] = []
    var isOver = false
    let model = try search(how) {
      curve.append($1)
      let share = options.chosenBound.progress(step: $0, stepsPerEpoch: 1, seconds: start.duration(to: .now).inSeconds)
      options.progress("fitting \(name) by EM", min(1, share))
      isOver = share >= 1
      return !isOver
    }
    // The first is that of the beginning, before any round.
    let rounds = isOver ? curve.count - 1 : curve.count
    let hasConverged = !isOver && rounds < how.maximumIterations
    return FittedRung(
      model: model, likelihoodCurve: Array(curve.dropFirst()),
      notes: notes + ["EM \(hasConverged ? "converged" : "was ended") after \(rounds) rounds."])
  }

  package static let text =
    RungText(
      title: "Probabilistic PCA", idea: "a few directions in which the data vary, and noise",
      answers: """
        A covariance has a number for every pair of coordinates; of pictures, far more than they can teach. But data \
        seldom vary in every way: a few directions carry most of what differs between examples.
        """,
      how: """
        A short code z is drawn from a standard bell, a matrix W turns it into an example, and noise of the same strength \
        everywhere is added. Everything is linear and Gaussian, so the best W and σ² can be written down (the leading \
        principal components and the mean of the variance that they leave over), the code of a given example has a \
        closed form, and EM, which needs no eigenvectors, ends in the same place. From here on, every rung has a code and a decoder.
        """,
      weakness: """
        The decoder is a matrix: every example is a weighted sum of the same few directions. A curve cannot be expressed \
        so, nor a shape that moves, and what the sum does not reach is left to noise that is equally strong everywhere.
        """,
      equation: "z ~ N(0, I), &emsp; x | z ~ N(W z + μ, σ² I), &emsp; p(x) = N(x | μ, W Wᵀ + σ² I)",
      source: "Tipping and Bishop 1999, Probabilistic Principal Component Analysis")
}
