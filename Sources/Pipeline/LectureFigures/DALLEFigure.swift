import Basics
import Generation
import Imaging

extension LectureFigure {
  /// The captions below the lecture's last figure, after Ramesh et al. 2021, figure 2.
  static let dalleCaptions = [
    "a tapir made of accordion", "an illustration of a baby hedgehog in a christmas sweater walking a dog",
    "a neon sign that reads \"backprop\"", "the exact same cat on the top as a sketch on the bottom",
  ]

  /// The four captions, four drawings each, the best of more where the checkpoint has a ranker.
  static func dalle(_ context: Context) throws(PipelineError) -> Content {
    guard let model = context.model else {
      throw PipelineError(.usage, "this figure is drawn by a text-to-image checkpoint")
    }
    var panels: [(title: String, picture: Picture)] = []
    var unseen: [String] = []
    let hasRanker = (try? model.ranker()) != nil
    for (letter, caption) in zip(["a", "b", "c", "d"], dalleCaptions) {
      context.options.progress("drawing (\(letter))", Double(panels.count) / 4)
      let pictures = try model.generate(
        caption, count: 4, candidates: hasRanker ? 16 : nil, options: .init(seed: context.options.seed))
      let scale = max(1, 128 / pictures[0].width)
      panels.append(
        ("(\(letter)) \(caption)", Picture.grid(pictures.map { $0.enlarged(by: scale) }, columns: 2, spacing: 2)))
      unseen += model.unseenWords(in: caption).filter { !unseen.contains($0) }
    }
    return Content(
      .panels(panels, columns: 4), values: [.init(name: "unseen_words", value: Double(unseen.count))],
      caption: unseen.isEmpty
        ? "All words of the four captions were met in training."
        : "In training the model has never met: \(unseen.joined(separator: ", ")).")
  }
}
