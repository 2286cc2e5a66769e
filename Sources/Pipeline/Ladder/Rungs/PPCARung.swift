import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra
import Optimization

/// Probabilistic PCA; see `PPCA`.
package enum PPCARung: LadderRung {
  package static let name = "ppca"
  package static let takesMissingValues = true
  package static let methods = FittingMethod.allCases

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try PPCA(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    let latentDimensions = options.latentDimensions ?? max(1, min(64, x.columns - 1, x.rows - 1))
    if options.allowsMissingValues && x.elements.contains(where: \.isNaN) {
      var search = PPCA.Options()
      (search.seed, search.threads) = (options.seed, options.threads)
      let model = try PPCA(missingValues: x, latentDimensions: latentDimensions, options: search)
      let missing = x.elements.count { $0.isNaN }
      return FittedRung(model: model, notes: ["\(missing) of \(x.elements.count) values are missing; fitted by EM."])
    }
    let note = "The code has \(latentDimensions) dimensions."
    if options.method == .expectationMaximization { return try fitByEM(x, latentDimensions, options, note: note) }
    let model = try PPCA(fitting: x, latentDimensions: latentDimensions, threads: options.threads)
    return FittedRung(model: model, notes: [note])
  }

  private static func fitByEM(
    _ x: Matrix, _ latentDimensions: Int, _ options: LadderOptions, note: String
  ) throws(PipelineError) -> FittedRung {
    var search = PPCA.Options()
    (search.seed, search.threads) = (options.seed, options.threads)
    let start = ContinuousClock.now
    var curve: [Double] = []
    var isOver = false
    let model = try PPCA(expectationMaximization: x, latentDimensions: latentDimensions, options: search) {
      curve.append($1)
      let share = options.bound.progress(step: $0, stepsPerEpoch: 1, seconds: start.duration(to: .now).inSeconds)
      options.progress("fitting \(name) by EM", min(1, share))
      isOver = share >= 1
      return !isOver
    }
    // The first is that of the beginning, before any round.
    let rounds = isOver ? curve.count - 1 : curve.count
    let hasConverged = !isOver && rounds < search.maximumIterations
    return FittedRung(
      model: model, likelihoodCurve: Array(curve.dropFirst()),
      notes: [note, "EM \(hasConverged ? "converged" : "was ended") after \(rounds) rounds."])
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
