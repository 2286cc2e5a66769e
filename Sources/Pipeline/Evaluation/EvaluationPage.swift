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
    let settings = options.sampling.map { "\($0)" } ?? "the default settings"
    let words = wording.figures
    let content = Content(
      heading: "What \(checkpoint) draws", data: data, hasDrawings: evaluations.contains { $0.retrieval != nil },
      seed: options.seed, settings: settings, links: links,
      figures: Table(header: [""] + evaluations.map(\.split.rawValue), rows: Evaluation.figures(evaluations)),
      words: words.isEmpty ? nil : Table(header: ["as people write", "captions", "right"], rows: words),
      wordsExplanation: Wording.explanation,
      retrievalExplanation: Evaluation.retrievalExplanation(evaluations, settings: settings),
      splits: try evaluations.map { (evaluation) throws(PipelineError) in try Self.section(evaluation) },
      forms: try wording.forms.map { (forms) throws(PipelineError) in try Self.section(forms) },
      everyday: try wording.prompts.map { (everyday) throws(PipelineError) in try Self.section(everyday) },
      compositions: try wording.compositions.map { (compositions) throws(PipelineError) in
        try Self.section(compositions)
      },
      unseenNouns: try wording.unseenNouns.map { (nouns) throws(PipelineError) in
        UnseenNounSection(
          classes: try nouns.drawings.map { (part) throws(PipelineError) in
            Cards(caption: part.category, cards: try Self.cards(part.drawings))
          })
      },
      outside: prompts.isEmpty
        ? nil
        : Outside(prompts: try prompts.map { (prompt) throws(PipelineError) in try Self.section(prompt) }))
    return Self.template.page(title: content.heading, content)
  }

  private var links: [Link] {
    var links = evaluations.map { Link(id: $0.split.rawValue, name: $0.split.rawValue) }
    if wording.forms != nil { links.append(Link(id: "forms", name: "other forms")) }
    if wording.prompts != nil { links.append(Link(id: "everyday", name: "everyday prompts")) }
    if wording.compositions != nil { links.append(Link(id: "compositions", name: "pairs never seen")) }
    if wording.unseenNouns != nil { links.append(Link(id: "unseen", name: "nouns never seen")) }
    if !prompts.isEmpty { links.append(Link(id: "prompts", name: "captions from outside")) }
    return links
  }

  // MARK: - What the template names

  /// The whole page. Names of one level are not those of another: a template looks for what a level lacks in those above it.
  private struct Content {
    let heading: String
    let data: String
    /// Whether there is a prior to draw with.
    let hasDrawings: Bool
    let seed: UInt64
    /// What everything was drawn with.
    let settings: String
    let links: [Link]
    let figures: Table
    let words: Table?
    let wordsExplanation: String
    let retrievalExplanation: String
    let splits: [SplitSection]
    let forms: FormSection?
    let everyday: EverydaySection?
    let compositions: CompositionSection?
    let unseenNouns: UnseenNounSection?
    let outside: Outside?
  }

  private struct Link {
    let id: String
    let name: String
  }

  private struct SplitSection {
    let split: String
    let shown: Int
    let pictures: Int
    let isDrawn: Bool
    let isTrained: Bool
    let rows: [Row]
  }

  /// A caption, how near its pictures come to it, and the pictures.
  private struct Row {
    let caption: String
    let places: [Place]
    let pictures: [Figure]
  }

  private struct Place {
    let of: String
    let marks: [Mark]
  }

  private struct Mark {
    let name: String
    let isHit: Bool
  }

  /// Pictures side by side.
  private struct Cards {
    let caption: String
    let cards: [Figure]
  }

  private struct FormSection {
    let shown: Int
    let all: Int
    let rows: [Cards]
  }

  private struct EverydaySection {
    let cards: [Figure]
    let best: Best?
  }

  private struct Best {
    let candidates: Int
    let cards: [Figure]
  }

  private struct CompositionSection {
    let pool: Int
    let relations: [RelationSection]
  }

  private struct UnseenNounSection { let classes: [Cards] }

  private struct RelationSection {
    let relation: String
    /// The true pictures, and below each what was drawn.
    let pairs: [PromptDrawings]
  }

  private struct Outside { let prompts: [PromptSection] }

  private struct PromptSection {
    let caption: String
    let notes: [String]
    let drawings: [PromptDrawings]
  }

  /// What was drawn, and its nearest picture where there is one.
  private struct PromptDrawings { let pictures: [Figure] }

  // MARK: - A split

  private static func section(_ evaluation: Evaluation) throws(PipelineError) -> SplitSection {
    SplitSection(
      split: evaluation.split.rawValue, shown: evaluation.drawings.count, pictures: evaluation.pictures,
      isDrawn: evaluation.retrieval != nil, isTrained: evaluation.split == .train,
      rows: try evaluation.drawings.map { (drawing) throws(PipelineError) in try row(drawing) })
  }

  private static func row(_ drawing: Evaluation.Drawing) throws(PipelineError) -> Row {
    var places = [place(drawing.ceiling, of: "ceiling")]
    var pictures = [
      try figure(drawing.original, "real"),
      try figure(drawing.reconstruction, "reconstructed, \(distance(drawing.ceiling.distance))"),
    ]
    if let drawn = drawing.drawn {
      if let own = drawn.own { places.insert(place(own, of: "drawn"), at: 0) }
      pictures.append(try figure(drawn.picture, "drawn" + (drawn.own.map { ", \(distance($0.distance))" } ?? "")))
      if let nearest = drawn.nearest { pictures.append(try figure(nearest)) }
    }
    return Row(caption: drawing.caption, places: places, pictures: pictures)
  }

  /// Whether a picture's own one is the nearest to it, and among the five nearest.
  private static func place(_ place: Evaluation.Place, of what: String) -> Place {
    Place(of: what, marks: [Mark(name: "@1", isHit: place.rank < 1), Mark(name: "@5", isHit: place.rank < 5)])
  }

  // MARK: - Captions in other words

  /// Of the captions that were drawn in all forms, the page shows so many.
  private static let shownForms = 40

  private static func section(_ forms: FormEvaluation) throws(PipelineError) -> FormSection {
    FormSection(
      shown: min(shownForms, forms.rows.count), all: forms.rows.count,
      rows: try forms.rows.spread(over: shownForms).map { (row) throws(PipelineError) in
        Cards(caption: row.caption, cards: try cards(row.drawings))
      })
  }

  private static func section(_ everyday: PromptEvaluation) throws(PipelineError) -> EverydaySection {
    EverydaySection(
      cards: try cards(everyday.drawings),
      best: try everyday.candidates.map { (candidates) throws(PipelineError) in
        Best(candidates: candidates, cards: try cards(everyday.rankedDrawings))
      })
  }

  private static func cards(_ drawings: [PromptDrawing]) throws(PipelineError) -> [Figure] {
    try drawings.map { (drawing) throws(PipelineError) in
      try figure(
        drawing.picture, drawing.isRight ? "✓ \(drawing.prompt)" : "✗ \(drawing.prompt); nearest: \(drawing.nearest)")
    }
  }

  /// Of each relation, the page shows so many pairs, the first ones.
  private static let shownPairs = 8

  private static func section(_ compositions: CompositionEvaluation) throws(PipelineError) -> CompositionSection {
    CompositionSection(
      pool: compositions.pool,
      relations: try compositions.relations.map { (part) throws(PipelineError) in
        let drawings = compositions.drawings.filter { $0.pair.relation == part.relation }.prefix(shownPairs)
        return RelationSection(
          relation: part.relation,
          pairs: try drawings.map { (drawing) throws(PipelineError) in
            PromptDrawings(pictures: [try figure(drawing.truth, "true")] + (try cards([drawing.drawn])))
          })
      })
  }

  // MARK: - Captions from outside

  private static func section(_ prompt: Evaluator.Prompt) throws(PipelineError) -> PromptSection {
    var notes: [String] = []
    if prompt.isInTraining { notes.append("The training split has this very caption.") }
    if !prompt.unseenWords.isEmpty {
      let words = prompt.unseenWords.map { "“\($0)”" }.joined(separator: ", ")
      notes.append("Never seen in the training captions: \(words).")
    }
    let drawings = try prompt.drawings.map { (drawn) throws(PipelineError) in
      let nearest = try drawn.nearest.map { (nearest) throws(PipelineError) in try figure(nearest) }
      return PromptDrawings(pictures: [try figure(drawn.picture, "drawn")] + [nearest].compactMap(\.self))
    }
    return PromptSection(caption: prompt.caption, notes: notes, drawings: drawings)
  }

  // MARK: - Pieces

  private static func figure(_ nearest: Evaluation.Nearest) throws(PipelineError) -> Figure {
    try figure(
      nearest.picture,
      "nearest in training, \(distance(nearest.distance)): \(nearest.isOwn ? "its own" : nearest.caption)")
  }

  /// A picture about 128 pixels wide.
  private static func figure(_ picture: Picture, _ caption: String) throws(PipelineError) -> Figure {
    try Figure(picture, scale: max(1, 128 / picture.width), caption: caption)
  }

  private static func distance(_ distance: Double) -> String { String(format: "%.3f", distance) }
}
