import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// The variational auto-encoder; see `VAE`.
package enum VAERung: LadderRung {
  package static let name = "vae"
  package static let choices: Set<LadderChoice> = [.latentDimensions, .klWeight, .bound, .batchSize]

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try VAE(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    let model = try VAE(configuration(x, options, arePictures: side != nil), seed: options.seed)
    let curve = try GradientRung.train(model, x, options, arePictures: side != nil, what: name)
    return FittedRung(
      model: model, lossCurve: curve, notes: ["The code has \(model.configuration.latentDimensions) dimensions."])
  }

  /// Bytes get a likelihood that knows they are bytes; the columns of a matrix a Gaussian each.
  package static func configuration(_ x: Matrix, _ options: LadderOptions, arePictures: Bool) -> VAE.Configuration {
    var c = VAE.Configuration(dimensions: x.columns)
    let shape = CodeShape(x, options, arePictures: arePictures)
    (c.network, c.width, c.latentDimensions) = (shape.network, shape.width, shape.latentDimensions)
    if let patchSize = shape.patchSize { c.patchSize = patchSize }
    if arePictures { c.likelihood = .discretizedLogistic }
    if let klWeight = options.klWeight { c.klWeight = Float(klWeight) }
    return c
  }

  package static let text =
    RungText(
      title: "Variational auto-encoder", idea: "codes that are trained to be drawn at random",
      answers: """
        The auto-encoder has the good decoder, probabilistic PCA has the code that can be drawn at random. The variational \
        auto-encoder has both, because it learns them together.
        """,
      how: """
        The encoder answers with a small bell instead of a point, the decoder sees a draw from it, and a price is paid for \
        how far that bell is from the standard one. What is maximised is a lower bound of the likelihood: how well \
        examples come back, less that price. Since the codes of all examples together must look like the standard bell, a \
        draw from it is a code that the decoder knows.
        """,
      weakness: """
        All of an example has to go through one code whose numbers know nothing of each other. Where the code is not sure, \
        the decoder gives the mean of all possibilities, and a mean of pictures is a blur.
        """,
      equation: "log p(x) ≥ E<sub>q(z|x)</sub>[log p(x | z)] − KL(q(z | x) ‖ N(0, I))",
      source: "Kingma and Welling 2014, Auto-Encoding Variational Bayes")
}
