import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// A VAE with a mixture over its code; see `GaussianMixtureVAE`.
package enum GaussianMixtureVAERung: LadderRung {
  package static let name = "gaussian-mixture-vae"
  package static let choices: Set<LadderChoice> = [.components, .latentDimensions, .bound, .batchSize]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try GaussianMixtureVAE(file, path: path)
  }

  /// A VAE first, then a mixture over its codes, and from there all together (Jiang et al. 2017, section 3.2).
  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    var c = GaussianMixtureVAE.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: side != nil)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    if side != nil { c.likelihood = .discretizedLogistic }
    c.components = options.components ?? min(10, x.rows)
    try GaussianMixture.check(components: c.components, points: x.rows)
    var model = try GaussianMixtureVAE(c, seed: options.seed)
    var (first, second) = (options, options)
    (first.bound, second.bound) = (options.chosenBound.part(0.3), options.chosenBound.part(0.7))
    second.seed &+= 1
    // The networks of pictures need little weight on the KL to let codes fall apart; rows do so by themselves, and with all of
    // it their codes are few and straight.
    model.klWeight = side == nil ? 1 : 0.1
    let start = ContinuousClock.now
    _ = try GradientRung.train(model, x, first, arePictures: side != nil, what: "\(name): a VAE first")
    var search = GaussianMixture.Options()
    (search.restarts, search.seed, search.threads) = (5, options.seed, options.threads)
    var mixture = GaussianMixture.Configuration()
    mixture.components = c.components
    if side == nil {
      // What varies alike within all kinds, as pitch does within voices, may lie across the code's axes: it shows in a
      // covariance that all components share, whose principal axes become those of the code.
      mixture.covariance = .tied
      let shared = try GaussianMixture(fitting: model.encode(x), mixture, options: search).covarianceMatrix(0)
      try model.turnCodes(by: shared.largestEigenpairs(c.latentDimensions).vectors)
    }
    mixture.covariance = .diagonal
    let clusters = try GaussianMixture(fitting: model.encode(x), mixture, options: search)
    try model.setComponents(
      weights: clusters.weights.map { max($0, 1e-3) }, means: clusters.means,
      variances: Matrix(
        (0..<c.components).flatMap { clusters.covarianceMatrix($0).elements }, rows: c.components,
        columns: c.latentDimensions))
    model.klWeight = 1
    let before = start.duration(to: .now) / .seconds(1)
    let curve = try GradientRung.train(model, x, second, arePictures: side != nil, what: name)
    return FittedRung(
      model: model, lossCurve: curve.map { (before + $0.seconds, $0.loss) },
      notes: [
        "The code has \(c.latentDimensions) dimensions and \(c.components) components, whose places a mixture over the codes "
          + "gave after three tenths of the time."
      ])
  }

  package static let text =
    RungText(
      title: "Gaussian-mixture VAE", idea: "a VAE whose codes fall into kinds",
      answers: """
        The VAE wants the codes of all examples to form one round cloud, although different kinds have nothing to round \
        off between them. The mixture, the second rung of this ladder, comes back here: as the prior of the code.
        """,
      how: """
        First a kind is chosen, then a code from that kind's own bell, then the example. So an example has a discrete \
        attribute, which kind it is, and a continuous one, which of that kind; and one can ask for draws of one kind. Which \
        kind an example is nobody says: it follows from its code by Bayes' rule, as in the mixture. A plain VAE is fitted \
        first, a mixture to its codes, and from there on everything is learnt together.
        """,
      weakness: """
        Within its kind, each number of a code still knows nothing of the others, and all of the example must go through \
        one code: of pictures the blur stays.
        """,
      equation: "p(x, z, y) = p(y) N(z | μ<sub>y</sub>, σ<sub>y</sub>²) p(x | z), &emsp; "
        + "log p(x) ≥ E[log p(x | z)] − Σ<sub>y</sub> q(y | x) KL(q(z | x) ‖ p(z | y)) − KL(q(y | x) ‖ p(y))",
      source: "Jiang et al. 2017, Variational Deep Embedding; Hsu et al. 2018, Hierarchical Generative Modeling for "
        + "Controllable Speech Synthesis")
}
