import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// An auto-encoder with a mixture over its codes; see `MixtureAutoEncoder`.
package enum AutoEncoderRung: LadderRung {
  package static let name = MixtureAutoEncoder.name
  package static let choices: Set<LadderChoice> = [
    .components, .covariance, .latentDimensions, .bound, .batchSize,
  ]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try MixtureAutoEncoder(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    var c = AutoEncoder.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: side != nil)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    if let components = options.components { try GaussianMixture.check(components: components, points: x.rows) }
    let autoEncoder = try AutoEncoder(c, seed: options.seed)
    let curve = try GradientRung.train(autoEncoder, x, options, arePictures: side != nil, what: name)
    var mixture = GaussianMixture.Configuration()
    mixture.covariance = options.covariance ?? .full
    // Each full covariance of 64 dimensions wants some hundreds of codes.
    mixture.components = options.components ?? max(1, min(10, x.rows / (4 * c.latentDimensions)))
    var search = GaussianMixture.Options()
    (search.seed, search.threads) = (options.seed, options.threads)
    options.progress("fitting a mixture to the codes", 1)
    let model = try MixtureAutoEncoder(
      autoEncoder, codeModel: GaussianMixture(fitting: autoEncoder.encode(x), mixture, options: search))
    return FittedRung(
      model: model, lossCurve: curve,
      notes: [
        "The code has \(c.latentDimensions) dimensions; the mixture over the codes has \(mixture.components) components."
      ])
  }

  package static let text =
    RungText(
      title: "Auto-encoder with a mixture", idea: "a bent surface instead of a flat one, and bells over its codes",
      answers: """
        Probabilistic PCA can only move along straight lines: halfway between two examples lies their mean, of pictures \
        the cross-fade. Networks with bends in them can follow a curved surface on which the data lie.
        """,
      how: """
        An encoder squeezes an example into a short code and a decoder makes the example from it again; both are learnt \
        together, by nothing but how well examples come back. That alone cannot invent anything, for nobody knows which \
        codes are codes of examples. So a Gaussian mixture is fitted to the codes of all training examples afterwards, and \
        a draw from it is decoded.
        """,
      weakness: """
        The codes were laid out for coming back, not for being drawn: between them are holes that the decoder has never \
        seen. And all that it can make lies on one thin surface, so that nothing else has a probability at all, which is \
        why this rung has no likelihood.
        """,
      equation: "z = f(x), &emsp; x̂ = g(z), &emsp; L = ‖x − x̂‖², &emsp; p(z) = Σ<sub>k</sub> π<sub>k</sub> "
        + "N(z | μ<sub>k</sub>, Σ<sub>k</sub>)",
      source: "Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks")
}
