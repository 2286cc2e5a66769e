import ArrayFiles
import Basics
import Foundation
import LatentModels
import LinearAlgebra

/// The VAE with several levels of codes; see `HierarchicalVAE`.
package enum HierarchicalVAERung: LadderRung {
  package static let name = "hierarchical-vae"
  package static let choices: Set<LadderChoice> = [.latentDimensions, .bound, .batchSize]
  package static let takesMatrices = false

  package static func read(_ file: SafeTensors, path: String) throws(PipelineError) -> any WritableModel {
    try HierarchicalVAE(file, path: path)
  }

  package static func fit(_ x: Matrix, side: Int?, options: LadderOptions) throws(PipelineError) -> FittedRung {
    let model = try HierarchicalVAE(configuration(x, side: side ?? 0, options), seed: options.seed)
    let curve = try GradientRung.train(model, x, options, arePictures: true, what: name)
    let c = model.configuration
    let grids = c.levelSides.dropFirst().map { "\($0)×\($0)" }.joined(separator: ", ")
    return FittedRung(
      model: model, lossCurve: curve,
      notes: ["\(c.levelSides.count) levels: a code of \(c.codeDimensions) dimensions, and grids of \(grids) cells."])
  }

  /// The finest grid has the cells that the plain VAE's networks have.
  package static func configuration(
    _ x: Matrix, side: Int, _ options: LadderOptions
  ) -> HierarchicalVAE.Configuration {
    var c = HierarchicalVAE.Configuration(dimensions: x.columns)
    c.patchSize = CodeShape(x, options, arePictures: true).patchSize ?? 1
    if let latentDimensions = options.latentDimensions { c.codeDimensions = latentDimensions }
    let side = side / c.patchSize
    // The coarser grid has to have at least two cells a side.
    if side % 2 != 0 || side < 4 { (c.channels, c.latentChannels) = ([c.channels[1]], [c.latentChannels[1]]) }
    return c
  }

  package static let text =
    RungText(
      title: "Hierarchical VAE", idea: "codes on several levels, coarse to fine",
      answers: """
        A VAE blurs because its prior treats every number of the code as independent of the others. Here the code is \
        split into levels, and each level is drawn knowing the ones above it.
        """,
      how: """
        The top level is one code for the whole picture, as the VAE has; each further level is a finer grid that adds what \
        the ones above have left open. The same top-down network is used for drawing and for encoding; in \
        encoding it also looks at the picture. It is a VAE many times over, trained as one with the same bound.
        """,
      weakness: """
        The codes are still continuous, and every level pays for being precise. Nothing makes the levels share the work: \
        which of them says what is left to training, and the last figure above tells how it went.
        """,
      equation:
        "p(z) = p(z<sub>0</sub>) p(z<sub>1</sub> | z<sub>0</sub>) … p(z<sub>L</sub> | z<sub>&lt;L</sub>), &emsp; "
        + "q(z | x) = q(z<sub>0</sub> | x) q(z<sub>1</sub> | z<sub>0</sub>, x) …",
      source: "Vahdat and Kautz 2020, NVAE; Child 2020, Very Deep VAEs")
}
