import Basics
import Foundation
import Imaging
import Ladder
import LadderReport
import LatentModels
import LinearAlgebra

extension Matrix {
  /// Pictures of rows in a grid, enlarged to be seen.
  func sheet(side: Int, columns: Int, spacing: Int = 2) -> Picture {
    Picture.grid(pictures(side: side), columns: columns, spacing: spacing).enlarged(by: max(1, 56 / side))
  }

  /// How far rows lie from their mean on average: √(Σ‖x - x̄‖²/(N·D)).
  var spread: Double {
    let centred = subtracting(mean())
    return (centred.elements.reduce(0) { $0 + $1 * $1 } / Double(elements.count)).squareRoot()
  }
}

/// Peak signal-to-noise ratio, dB, of rows in [0, 1).
func psnrInDecibels(_ x: Matrix, _ approximation: Matrix) -> Double {
  -10 * log10(zip(x.elements, approximation.elements).map { ($0 - $1) * ($0 - $1) }.mean)
}

extension LectureFigure {
  /// A standard normal code for each row.
  private static func normalCodes(_ count: Int, dimensions: Int, seed: UInt64) -> Matrix {
    var random = Philox(seed: seed, stream: RandomStream.lectureFigures())
    return Matrix((0..<count * dimensions).map { _ in random.normal() }, rows: count, columns: dimensions)
  }

  /// Held-out pictures through the code and back; what the decoder makes of codes that are drawn from a standard bell, of which it
  /// knows nothing, and from a mixture over the training pictures' codes.
  static func autoEncoder(_ context: Context) throws(PipelineError) -> Content {
    let (train, side) = try context.pictures()
    let fitted = try Rung(AutoEncoderRung.self).fit(train, side: side, options: context.options)
    guard let model = fitted.model as? MixtureAutoEncoder else { preconditionFailure("an auto-encoder is one") }
    let shown = try context.shownPictures(24)
    let returned = try model.reconstruct(shown)
    let codes = normalCodes(24, dimensions: model.autoEncoder.latentDimensions, seed: context.options.seed)
    let psnr = psnrInDecibels(shown, returned)
    return Content(
      .panels(
        [
          ("pictures", shown.sheet(side: side, columns: 6)),
          ("through the code and back", returned.sheet(side: side, columns: 6)),
          ("codes from a standard bell", try model.autoEncoder.decode(codes).sheet(side: side, columns: 6)),
          (
            "codes from a mixture over the codes",
            try model.sample(24, seed: context.options.seed).sheet(side: side, columns: 6)
          ),
        ], columns: 2), values: [.init(name: "psnr_in_decibels", value: psnr)],
      caption: String(
        format:
          "Held-out pictures come back with %.1f dB. Codes of a standard bell are none that the decoder has learnt; a "
          + "mixture over the codes makes it a generative model.", psnr))
  }

  /// A VAE with so many latent dimensions, of the kind that the ladder fits.
  private static func fittedVAE(
    _ context: Context, latentDimensions: Int, share: Double
  ) throws(PipelineError) -> (model: VAE, heldOutBits: Double) {
    let (train, side) = try context.pictures()
    var options = context.options
    (options.latentDimensions, options.bound) = (latentDimensions, context.options.chosenBound.part(share))
    let fitted = try Rung(VAERung.self).fit(train, side: side, options: options)
    guard let model = fitted.model as? VAE else { preconditionFailure("a VAE is one") }
    let shown = try context.shownPictures(256)
    let likelihood = try model.logLikelihood(shown, seed: context.options.seed).mean
    return (model, LadderData.bitsPerDimension(meanLogLikelihood: likelihood, dimensions: shown.columns))
  }

  static func manifold(_ context: Context) throws(PipelineError) -> Content {
    let (_, side) = try context.pictures()
    let (model, bits) = try fittedVAE(context, latentDimensions: 2, share: 1)
    let sheet = try model.manifold(side: 20).sheet(side: side, columns: 20, spacing: 0)
    return Content(
      .panels([("p(x | z) over the plane of z, even in probability", sheet)], columns: 1),
      values: [.init(name: "held_out_bits_per_dimension", value: bits)],
      caption: String(
        format:
          "Each picture is decoded from its place in the plane of two latent numbers; %.3f bits a dimension held out.",
        bits))
  }

  /// The sizes of figure 5.
  static let latentSizes = [2, 5, 10, 20]

  static func latentSizes(_ context: Context) throws(PipelineError) -> Content {
    let (_, side) = try context.pictures()
    var (panels, values): ([(title: String, picture: Picture)], [Content.Value]) = ([], [])
    for size in latentSizes {
      let (model, bits) = try fittedVAE(context, latentDimensions: size, share: 1 / Double(latentSizes.count))
      let codes = normalCodes(64, dimensions: size, seed: context.options.seed)
      let title = String(format: "%d latent dimensions: %.3f bits a dimension", size, bits)
      panels.append((title, try model.decode(codes).sheet(side: side, columns: 8)))
      values.append(.init(name: "held_out_bits_per_dimension_\(size)", value: bits))
    }
    let best = zip(latentSizes, values).min { $0.1.value < $1.1.value }?.0 ?? 0
    return Content(
      .panels(panels, columns: 4), values: values,
      caption:
        "Means of p(x | z) for random z. Of these sizes, \(best) latent dimensions say most of held-out pictures.")
  }

  // MARK: - Several levels

  private static func fittedHierarchy(_ context: Context) throws(PipelineError) -> HierarchicalVAE {
    let (train, side) = try context.pictures()
    let fitted = try Rung(HierarchicalVAERung.self).fit(train, side: side, options: context.options)
    guard let model = fitted.model as? HierarchicalVAE else { preconditionFailure("a hierarchical VAE is one") }
    return model
  }

  /// The same draws with more and more of the levels drawn; the others are at the middle of what is then likely.
  static func hierarchicalLevels(_ context: Context) throws(PipelineError) -> Content {
    let (_, side) = try context.pictures()
    let model = try fittedHierarchy(context)
    let levels = model.configuration.levels
    var (panels, values): ([(title: String, picture: Picture)], [Content.Value]) = ([], [])
    for drawn in 1...levels {
      let draws = try model.sample(
        32, seed: context.options.seed, temperatures: (0..<levels).map { $0 < drawn ? 1 : 0 }, showsMeans: true)
      let title = drawn == 1 ? "the code of the whole picture drawn" : "\(drawn) of \(levels) levels drawn"
      panels.append((title, draws.sheet(side: side, columns: 8)))
      values.append(.init(name: "spread_of_draws_\(drawn)", value: draws.spread))
    }
    return Content(
      .panels(panels, columns: 2), values: values,
      caption:
        "The same draws, level by level: what a panel shows more than the one before is what its level says. They differ "
        + "by " + values.map { String(format: "%.3f", $0.value) }.joined(separator: ", ") + " on average.")
  }

  /// NVAE's, and the plain 1.
  static let shownTemperatures: [Float] = [0.4, 0.6, 0.8, 1]

  static func temperatures(_ context: Context) throws(PipelineError) -> Content {
    let (_, side) = try context.pictures()
    let model = try fittedHierarchy(context)
    var (panels, values): ([(title: String, picture: Picture)], [Content.Value]) = ([], [])
    for temperature in shownTemperatures {
      let draws = try model.sample(
        64, seed: context.options.seed,
        temperatures: Array(repeating: temperature, count: model.configuration.levels), showsMeans: true)
      panels.append((String(format: "t = %.1f", temperature), draws.sheet(side: side, columns: 8)))
      values.append(.init(name: String(format: "spread_of_draws_%.1f", temperature), value: draws.spread))
    }
    return Content(
      .panels(panels, columns: 4), values: values,
      caption: "Narrower priors give likelier and less varied pictures: draws differ by "
        + values.map { String(format: "%.3f", $0.value) }.joined(separator: ", ") + " on average.")
  }
}
