import Basics
import Generation
import Imaging
import Ladder
import LadderReport
import LinearAlgebra

/// A figure of the lecture that the ladder follows (Park 2021, "Latent Variable Models"), made anew from a model of one's own.
package struct LectureFigure: Sendable {
  /// What a figure is made from.
  package enum Source: String, Sendable, Codable {
    /// Points in a plane: its own where no data are given.
    case points
    /// Pictures of digits, or one's own.
    case digits
    /// Any pictures: emoji, or one's own.
    case pictures
    /// A text-to-image checkpoint.
    case checkpoint
  }

  /// On the command line.
  package let name: String
  /// The lecture's section.
  package let section: String
  /// One line for the list.
  package let shows: String
  package let source: Source
  let make: @Sendable (Context) throws(PipelineError) -> Content

  init(
    _ name: String, _ section: String, _ shows: String, _ source: Source,
    _ make: @escaping @Sendable (Context) throws(PipelineError) -> Content
  ) {
    (self.name, self.section, self.shows, self.source, self.make) = (name, section, shows, source, make)
  }

  /// In the order of the lecture. A new one is a function and a line.
  package static let all: [LectureFigure] = [
    .init(
      "gaussian", "Gaussian model", "a Gaussian that is fitted in steps: first its mean, then its covariance", .points,
      gaussianInSteps),
    .init(
      "mixture", "Gaussian mixture models", "a mixture's EM, frame by frame from its first guess", .points,
      mixtureFrames),
    .init(
      "complete-data", "Gaussian mixture models",
      "complete data, incomplete data, and the same in colors of the responsibilities (PRML, figure 9.5)", .points,
      completeData),
    .init(
      "ppca", "Probabilistic PCA", "the closed form, and EM on its way to it", .points, closedFormAndEM),
    .init(
      "auto-encoder", "Auto-encoder", "pictures through the code and back, and what random codes decode to", .digits,
      autoEncoder),
    .init(
      "em-bound", "General EM", "log-likelihood = bound + KL, at every half step of EM", .points, boundOfEM),
    .init(
      "variational-em", "General EM", "the same where q(z | x) is of a family that does not hold the posterior",
      .points,
      variationalEM),
    .init(
      "vae-manifold", "Variational auto-encoders",
      "the manifold of two latent dimensions (Kingma and Welling, figure 4)",
      .digits, manifold),
    .init(
      "vae-latent-sizes", "Variational auto-encoders",
      "draws for 2, 5, 10 and 20 latent dimensions (Kingma and Welling, figure 5)", .digits, latentSizes),
    .init(
      "hierarchical-levels", "Hierarchical VAE", "draws that are told level by level (Child, Very Deep VAEs)", .digits,
      hierarchicalLevels),
    .init(
      "hierarchical-temperatures", "Hierarchical VAE", "draws at several temperatures (Vahdat and Kautz, NVAE)",
      .digits,
      temperatures),
    .init(
      "vqvae-reconstructions", "VQ-VAE",
      "pictures and their reconstructions from tokens (van den Oord et al. 2017, figure 2)", .pictures, reconstructions),
    .init(
      "pixelcnn-classes", "VQ-VAE", "draws of a PixelCNN for each class (van den Oord et al. 2017, figure 3)", .digits,
      classConditionalDraws),
    .init(
      "vqvae2-levels", "VQ-VAE-2", "pictures decoded from the coarsest tokens, from the two coarsest, from all",
      .pictures,
      levelByLevel),
    .init(
      "dalle", "DALL·E", "the captions (a) to (d) of the lecture's last figure", .checkpoint, dalle),
  ]

  /// Nil where there is none of that name.
  package init?(named name: String) {
    guard let figure = Self.all.first(where: { $0.name == name }) else { return nil }
    self = figure
  }

  /// What a figure is drawn from.
  package struct Context {
    /// A matrix or pictures, where there are any.
    package var data: LadderData?
    package var model: TextToImageModel?
    /// Bounds, seeds, threads, and what is not left to the figure.
    package var options: LadderOptions

    package init(data: LadderData? = nil, model: TextToImageModel? = nil, options: LadderOptions = .init()) {
      (self.data, self.model, self.options) = (data, model, options)
    }

    /// The pictures' training rows and their side.
    func pictures() throws(PipelineError) -> (train: Matrix, side: Int) {
      guard let data, let side = data.side else {
        throw PipelineError(.usage, "this figure is made of pictures; name a folder of them")
      }
      return (try data.matrix(of: .train), side)
    }

    /// Some held-out pictures, or training ones where none are held out.
    func shownPictures(_ count: Int) throws(PipelineError) -> Matrix {
      guard let data else { throw PipelineError(.usage, "this figure is made of pictures; name a folder of them") }
      let part: LadderData.Part = data.indices(of: .heldOut).isEmpty ? .train : .heldOut
      return try data.matrix(of: part).spread(over: count)
    }
  }

  /// What is drawn.
  package struct Content: Sendable {
    enum Drawing: Sendable {
      case drawings([SVG], columns: Int)
      /// Pictures with titles; as a PNG they stand beside each other without them.
      case panels([(title: String, picture: Picture)], columns: Int)
    }

    let drawing: Drawing
    /// What the figure says in numbers.
    package let values: [Value]
    /// A sentence on what is to be seen, by what was measured.
    package let caption: String

    init(_ drawing: Drawing, values: [Value] = [], caption: String) {
      (self.drawing, self.values, self.caption) = (drawing, values, caption)
    }

    /// A number of a figure.
    package struct Value: Sendable, Encodable {
      package var name: String
      package var value: Double
    }

    /// Whether it can be written as a PNG; curves and ellipses cannot.
    package var isPicture: Bool {
      if case .panels = drawing { true } else { false }
    }

    /// Nil where it is no picture.
    package func picture() -> Picture? {
      guard case .panels(let panels, let columns) = drawing else { return nil }
      return .grid(panels.map(\.picture), columns: columns, spacing: 16)
    }

    /// The content of an SVG file.
    /// - Throws: `PipelineError` where a picture in it cannot be written.
    package func svg(title: String) throws(PipelineError) -> String {
      let title = title.prefix(1).uppercased() + title.dropFirst()
      switch drawing {
      case .drawings(let drawings, let columns): return SVG.grid(drawings, columns: columns, title: title).file
      case .panels(let panels, let columns):
        var drawings: [SVG] = []
        for panel in panels { drawings.append(try SVG.framed(panel.picture, title: panel.title)) }
        return SVG.grid(drawings, columns: columns, title: title).file
      }
    }
  }

  /// - Throws: `PipelineError` where the data do not suit the figure.
  package func content(_ context: Context) throws(PipelineError) -> Content {
    try context.options.validate()
    return try make(context)
  }
}

extension [LectureFigure.Content.Value] {
  /// The number of a name.
  package subscript(_ name: String) -> Double? { first { $0.name == name }?.value }
}
