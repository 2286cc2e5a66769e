import Basics
import Datasets
import Foundation
import Generation
import Imaging
import Pages
import Priors

/// An evaluation to look at, a contact sheet: what a checkpoint draws beside what it was to draw, and beside what it may
/// have copied it from. One HTML file that needs no other.
public struct EvaluationPage {
  private let checkpoint: String
  private let data: String
  private let options: GenerationOptions
  private let evaluations: [Evaluation]
  private let wording: Wording
  private let prompts: [Evaluator.Prompt]

  /// - Parameters:
  ///   - checkpoint: what the page calls the checkpoint.
  ///   - data: what it calls the data set.
  ///   - options: of all drawings.
  ///   - evaluations: what was measured and drawn, a split each.
  ///   - wording: what was measured of captions in other words.
  ///   - prompts: what was drawn for other captions; see ``Evaluator/draw(_:count:options:progress:)``.
  public init(
    checkpoint: String, data: String, options: GenerationOptions, evaluations: [Evaluation],
    wording: Wording = .init(), prompts: [Evaluator.Prompt] = []
  ) {
    (self.checkpoint, self.data, self.options) = (checkpoint, data, options)
    (self.evaluations, self.wording, self.prompts) = (evaluations, wording, prompts)
  }

  /// Writes the page, whole or not at all.
  /// - Throws: `PipelineError` of kind `.cannotCreate` or `.inputOutput`.
  public func write(to url: URL) throws(PipelineError) {
    try AtomicFile.write(Data(html().utf8), to: url)
  }

  func html() throws(PipelineError) -> String {
    var body = [header, figures]
    for evaluation in evaluations { body.append(try section(evaluation)) }
    if let forms = wording.forms { body.append(try section(forms)) }
    if let everyday = wording.prompts { body.append(try section(everyday)) }
    if !prompts.isEmpty { body.append(try promptSection()) }
    body.append(.element("footer", [:], .paragraph("Made by dalle-cli evaluate.")))
    return HTML.page(title: "What \(checkpoint) draws", body)
  }

  /// Whether there is a prior to draw with.
  private var hasDrawings: Bool { evaluations.contains { $0.retrieval != nil } }

  /// What everything was drawn with.
  private var settings: String {
    options.sampling == SamplingOptions() ? "the default settings" : "\(options.sampling)"
  }

  // MARK: - The top

  private var header: HTML {
    let what =
      hasDrawings
      ? "One picture for each caption, drawn with seed \(options.seed) and \(settings); none was picked."
      : "The checkpoint has no prior yet: there is what stage 1 keeps of the pictures."
    var links = evaluations.map { HTML.element("a", ["href": "#\($0.split.rawValue)"], .text($0.split.rawValue)) }
    if wording.forms != nil { links.append(.element("a", ["href": "#forms"], "other forms")) }
    if wording.prompts != nil { links.append(.element("a", ["href": "#everyday"], "everyday prompts")) }
    if !prompts.isEmpty { links.append(.element("a", ["href": "#prompts"], "captions from outside")) }
    return .joined([
      .element("h1", [:], .text("What \(checkpoint) draws")),
      .element("p", ["class": "lead"], .text("Data: \(data). \(what)")), .paragraph(.joined(links, by: " · ")),
    ])
  }

  private var figures: HTML {
    let rows = Evaluation.figures(evaluations).map { row in row.map(HTML.text) }
    let words: HTML =
      wording.figures.isEmpty
      ? .empty
      : .table(header: ["as people write", "captions", "right"], rows: wording.figures.map { $0.map(HTML.text) })
        + .paragraph(.text(Wording.explanation))
    return .element(
      "section", ["class": "figures"], .element("h2", [:], "Figures"),
      .table(header: [""] + evaluations.map { .text($0.split.rawValue) }, rows: rows), words,
      .paragraph(.text(Evaluation.retrievalExplanation(evaluations, settings: settings))),
      .paragraph(
        .text(
          "Below, each caption has these two hits and their ceilings. The numbers under the pictures are differences at "
            + "32×32 pixels, the root of the mean square in [0, 1]: of the reconstruction and the picture drawn from the "
            + "real one, and of the nearest picture from the one drawn.")))
  }

  // MARK: - A split

  private func section(_ evaluation: Evaluation) throws(PipelineError) -> HTML {
    let drawings = evaluation.drawings
    var parts: [HTML] = [
      .element("h2", [:], .text("\(evaluation.split.rawValue): \(drawings.count) of \(evaluation.pictures) captions")),
      .paragraph(.text(Self.guide(evaluation.split, hasDrawings: evaluation.retrieval != nil))),
    ]
    for drawing in drawings { parts.append(try row(drawing)) }
    return .element("section", ["id": evaluation.split.rawValue], .joined(parts))
  }

  /// How to read a split's rows.
  private static func guide(_ split: Split, hasDrawings: Bool) -> String {
    guard hasDrawings else { return "The pictures, and what stage 1 makes of their tokens." }
    let start = "The last picture of a row is that of the training split which is nearest to the picture drawn. "
    return split == .train
      ? start + "Where it is the caption's own, the caption was learnt; otherwise it was confused with that one's."
      : start + "No picture of this split was trained on: what a drawing shares with the real picture and not with the "
        + "last one was composed, what it shares with the last one and not with the real one may be copied."
  }

  private func row(_ drawing: Evaluation.Drawing) throws(PipelineError) -> HTML {
    var words: [HTML] = [.element("b", [:], .text(drawing.caption))]
    if let own = drawing.drawn?.own { words.append(Self.hits(own.rank, "drawn")) }
    words.append(Self.hits(drawing.ceiling.rank, "ceiling"))
    var cells: [HTML] = [
      .element("div", [:], .joined(words)), try figure(drawing.original, "real"),
      try figure(drawing.reconstruction, "reconstructed, \(Self.distance(drawing.ceiling.distance))"),
    ]
    if let drawn = drawing.drawn {
      cells.append(try figure(drawn.picture, "drawn" + (drawn.own.map { ", \(Self.distance($0.distance))" } ?? "")))
      if let nearest = drawn.nearest { cells.append(try figure(nearest)) }
    }
    return .element("div", ["class": "sheet"], .joined(cells))
  }

  /// Whether a picture's own one is the nearest to it, and among the five nearest.
  private static func hits(_ rank: Int, _ what: String) -> HTML {
    let marks = [("@1", rank < 1), ("@5", rank < 5)].map { name, isHit in
      let mark = HTML.element("b", [:], .text("\(name) \(isHit ? "✓" : "✗")"))
      return HTML.element("span", ["class": isHit ? "met" : "unmet"], mark)
    }
    return .element("div", ["class": "source"], .text("\(what) "), .joined(marks, by: " "))
  }

  // MARK: - Captions in other words

  /// Of the captions that were drawn in all forms, the page shows so many.
  private static let shownForms = 40

  private func section(_ forms: FormEvaluation) throws(PipelineError) -> HTML {
    var parts: [HTML] = [
      .element("h2", [:], "Training captions in other forms"),
      .paragraph(
        .text(
          "\(min(Self.shownForms, forms.rows.count)) of \(forms.rows.count), evenly spread. Where it is wrong, the caption of "
            + "the nearest picture stands below it.")),
    ]
    for row in forms.rows.spread(over: Self.shownForms) {
      parts.append(.element("h3", [:], .text(row.caption)))
      parts.append(try cards(row.drawings))
    }
    return .element("section", ["id": "forms"], .joined(parts))
  }

  private func section(_ everyday: PromptEvaluation) throws(PipelineError) -> HTML {
    var parts: [HTML] = [
      .element("h2", [:], "Everyday prompts"), .paragraph("One draw each, none picked."), try cards(everyday.drawings),
    ]
    if let candidates = everyday.candidates {
      parts.append(.element("h3", [:], .text("The best of \(candidates)")))
      parts.append(try cards(everyday.rankedDrawings))
    }
    return .element("section", ["id": "everyday"], .joined(parts))
  }

  private func cards(_ drawings: [PromptDrawing]) throws(PipelineError) -> HTML {
    var cards: [HTML] = []
    for drawing in drawings {
      cards.append(
        try figure(
          drawing.picture,
          drawing.isRight ? "✓ \(drawing.prompt)" : "✗ \(drawing.prompt); nearest: \(drawing.nearest)"))
    }
    return .element("div", ["class": "cards"], .joined(cards))
  }

  // MARK: - Captions from outside

  private func promptSection() throws(PipelineError) -> HTML {
    var parts: [HTML] = [
      .element("h2", [:], "Captions from outside of the data"),
      .paragraph("The first drawings of the seed, and below each the picture of the training split nearest to it."),
    ]
    for prompt in prompts {
      parts.append(.element("h3", [:], .text(prompt.caption)))
      for note in Self.notes(prompt) { parts.append(.element("p", ["class": "note"], .text(note))) }
      var cards: [HTML] = []
      for drawn in prompt.drawings {
        let nearest = try drawn.nearest.map { nearest throws(PipelineError) in try figure(nearest) } ?? .empty
        cards.append(.element("div", [:], try figure(drawn.picture, "drawn"), nearest))
      }
      parts.append(.element("div", ["class": "cards"], .joined(cards)))
    }
    return .element("section", ["id": "prompts"], .joined(parts))
  }

  private static func notes(_ prompt: Evaluator.Prompt) -> [String] {
    var notes: [String] = []
    if prompt.isInTraining { notes.append("The training split has this very caption.") }
    if !prompt.unseenWords.isEmpty {
      let words = prompt.unseenWords.map { "“\($0)”" }.joined(separator: ", ")
      notes.append("Never seen in the training captions: \(words).")
    }
    return notes
  }

  // MARK: - Pieces

  private func figure(_ nearest: Evaluation.Nearest) throws(PipelineError) -> HTML {
    try figure(
      nearest.picture,
      "nearest in training, \(Self.distance(nearest.distance)): \(nearest.isOwn ? "its own" : nearest.caption)")
  }

  /// A picture about 128 pixels wide.
  private func figure(_ picture: Picture, _ caption: String) throws(PipelineError) -> HTML {
    try .figure(picture, scale: max(1, 128 / picture.width), caption: caption)
  }

  private static func distance(_ distance: Double) -> String { String(format: "%.3f", distance) }
}
