import Basics
import Captions
import Checkpoints
import Datasets
import Foundation
import TensorCore

/// A checkpoint's `README.md`: what the model is, how it was trained and what it scores (Mitchell et al. 2019).
public struct ModelCard {
  private let configuration: CheckpointConfiguration
  private let evaluations: [Evaluation]
  private let wording: Wording
  private let checkpoint: Checkpoint
  private let showsGallery: Bool

  /// - Parameters:
  ///   - checkpoint: whose folder the card is for.
  ///   - configuration: what `config.json` says.
  ///   - evaluations: what was measured, a split each; empty while nothing was.
  ///   - wording: what was measured of captions in other words.
  ///   - showsGallery: whether the checkpoint's gallery, where there is one, is what this model draws.
  public init(
    _ checkpoint: Checkpoint, _ configuration: CheckpointConfiguration, evaluations: [Evaluation] = [],
    wording: Wording = .init(), showsGallery: Bool = true
  ) {
    self.showsGallery = showsGallery
    self.checkpoint = checkpoint
    self.configuration = configuration
    self.evaluations = evaluations
    self.wording = wording
  }

  /// Writes the card to the checkpoint's folder, or to a file of one that is being saved.
  public func write(to file: URL? = nil) throws(PipelineError) {
    try AtomicFile.write(Data(markdown.utf8), to: file ?? checkpoint.modelCardFile)
  }

  private static let figuresHeading = "## Figures"

  /// Whether a card says what was measured.
  package static func hasFigures(_ file: URL) -> Bool {
    guard let card = try? String(contentsOf: file, encoding: .utf8) else { return false }
    return card.split(separator: "\n").contains { $0 == figuresHeading }
  }

  var markdown: String {
    let name = checkpoint.url.lastPathComponent
    var parts = ["# \(name)", "A text-to-image model. Draw with it: `dalle-cli generate \"…\" --checkpoint \(place)`."]
    if showsGallery, checkpoint.exists(checkpoint.galleryFile) {
      parts.append("![Pictures drawn by this model](\(checkpoint.galleryFile.lastPathComponent))")
    }
    parts += ["## Models", models, "## Data", data, "## Training", training]
    if !evaluations.isEmpty { parts += [Self.figuresHeading, figures] }
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// What `--checkpoint` takes: a name alone is looked for in a folder `checkpoints`.
  private var place: String {
    let folder = checkpoint.url.standardizedFileURL
    if folder.deletingLastPathComponent().lastPathComponent == "checkpoints" { return folder.lastPathComponent }
    let here = FileManager.default.currentDirectoryPath + "/"
    return folder.path.hasPrefix(here) ? "./" + folder.path.dropFirst(here.count) : folder.path
  }

  private static func table(_ header: [String], _ rows: [[String]]) -> String {
    ([header, header.map { _ in "---" }] + rows).map { "| \($0.joined(separator: " | ")) |" }.joined(separator: "\n")
  }

  private var models: String {
    var rows: [[String]] = []
    if let c = configuration.imageTokenizer { rows.append(["image tokenizer", c.kind.title, c.summary]) }
    if let c = configuration.upsampler { rows.append(["upsampler", "super-resolution", c.summary]) }
    if let c = configuration.prior {
      rows.append([
        "prior", c.kind.title,
        "\(c.summary); \(c.textLength) text tokens of \(c.textVocabulary) pieces, \(c.imageLength) image tokens",
      ])
    }
    if let c = configuration.ranker {
      rows.append([
        "ranker", "contrastive",
        "\(c.summary); \(c.textLength) text tokens, \(c.pictureSize)×\(c.pictureSize) pixels",
      ])
    }
    return Self.table(["stage", "kind", "shape"], rows)
  }

  private var data: String {
    guard let data = configuration.data else { return "Unknown." }
    return
      "`\(data.name)`: \(data.trainPictures) pictures for training, \(data.validationPictures) for validation, "
      + "\(data.testPictures) for testing (fingerprint \(data.fingerprint))."
  }

  private var training: String {
    var text: [String] = []
    let priorRuns = configuration.priorRuns
    var tokenizerRuns = [configuration.tokenizerTraining].compactMap(\.self)
    // Presets have had other sizes.
    for run in tokenizerRuns.indices {
      tokenizerRuns[run].settings.pictureSize = configuration.imageTokenizer?.layout.pictureSize
    }
    let others = [("train-ranker", configuration.rankerTraining), ("train-upsampler", configuration.upsamplerTraining)]
    for (command, summary) in tokenizerRuns.map({ ("train-tokenizer", $0) }) + priorRuns.map({ ("train-prior", $0) })
      + others.compactMap({ command, summary in summary.map { (command, $0) } })
    {
      text.append(
        """
        `dalle-cli \(command)\(Self.options(summary.settings, of: command))`: \(summary.steps) steps, \(summary.epochs) epochs, \
        \(summary.minutes) minutes on \(summary.threads) threads in \(summary.precision.rawValue) by \(summary.engine).
        """)
    }
    if let minutes = minutesToHalf(priorRuns) {
      let tokenizer = configuration.tokenizerTraining.map { ", with a tokenizer of \($0.minutes) minutes" } ?? ""
      text.append(
        "For half of the validation captions the drawn picture's nearest neighbour was the caption's own after "
          + "at most \(minutes) minutes of `train-prior`\(tokenizer).")
    }
    return text.joined(separator: "\n\n")
  }

  /// Minutes from an untrained prior until validation retrieval@1 reached one half, over runs that went on with each
  /// other's weights.
  private func minutesToHalf(_ runs: [CheckpointConfiguration.TrainingSummary]) -> Double? {
    var before = 0.0
    for run in runs {
      // What was not measured may have been there already.
      guard let retrieval = run.retrieval else { return nil }
      if let minutes = retrieval.minutesToHalf { return ((before + minutes) * 10).rounded() / 10 }
      before += run.minutes
    }
    return nil
  }

  /// The options of the command line that give these settings.
  private static func options(_ s: TrainingSettings, of command: String) -> String {
    let standard = TrainingSettings.standardAugmentation(of: command == "train-prior" ? .prior : .imageTokenizer)
    var options = [("preset", s.chosenPreset.rawValue)]
    if let kind = s.imageTokenizerKind, kind != .standard { options.insert(("kind", kind.rawValue), at: 0) }
    if let kind = s.priorKind, kind != .standard { options.insert(("kind", kind.rawValue), at: 0) }
    switch s.bound {
    case .steps(let count): options.append(("steps", "\(count)"))
    case .epochs(let count): options.append(("epochs", Self.number(count)))
    case .minutes(let count): options.append(("minutes", Self.number(count)))
    case nil: break
    }
    options.append(("seed", "\(s.seed)"))
    if let batchSize = s.batchSize { options.append(("batch-size", "\(batchSize)")) }
    if let learningRate = s.learningRate { options.append(("learning-rate", "\(learningRate)")) }
    if let augmentation = s.augmentation, augmentation != standard {
      options.append(("maximum-shift", "\(augmentation.maximumShift)"))
      options.append(("maximum-scaling", "\(augmentation.maximumScaling)"))
      if augmentation.horizontalFlip { options.append(("horizontal-flip", "")) }
    }
    if command == "train-tokenizer" {
      if let size = s.pictureSize, size != s.chosenPreset.pictureSize { options.append(("picture-size", "\(size)")) }
      if s.adversarial != TrainingSettings().adversarial { options.append(("adversarial", "\(s.adversarial)")) }
    }
    if command == "train-upsampler" {
      if let size = s.pictureSize { options.append(("picture-size", "\(size)")) }
      options.append(("adversarial", "\(s.adversarial)"))
      return Self.commandLine(options)
    }
    if command != "train-tokenizer", s.captionForms != CaptionForms.Kind.allCases {
      options.append(("caption-forms", s.captionForms.map { $0.isEmpty ? "none" : $0.list } ?? "none"))
    }
    if let length = s.textLength { options.append(("text-length", "\(length)")) }
    if let dropout = s.dropout { options.append(("dropout", "\(dropout)")) }
    if let vocabulary = s.vocabulary { options.append(("vocabulary", vocabulary)) }
    guard command == "train-prior" else {
      if let share = s.compositions { options.append(("compositions", "\(share)")) }
      return Self.commandLine(options)
    }
    if s.vocabularySize != TrainingSettings().vocabularySize {
      options.append(("vocabulary-size", "\(s.vocabularySize)"))
    }
    if let layers = s.layers { options.append(("layers", "\(layers)")) }
    if let attention = s.attention { options.append(("attention", attention.list)) }
    if s.isWarmStart { options.append(("warm-start", "")) }
    if s.imageCorruption != TrainingSettings().imageCorruption {
      options.append(("image-corruption", "\(s.imageCorruption)"))
    }
    if let share = s.refinementCorruption, share != TrainingSettings.standardRefinementCorruption {
      options.append(("refinement-corruption", "\(share)"))
    }
    if s.mergeDropout != TrainingSettings().mergeDropout { options.append(("merge-dropout", "\(s.mergeDropout)")) }
    if s.captionDropout != TrainingSettings().captionDropout {
      options.append(("caption-dropout", "\(s.captionDropout)"))
    }
    if let share = s.compositions { options.append(("compositions", "\(share)")) }
    if s.averageDecay > 0 { options.append(("average-decay", "\(s.averageDecay)")) }
    return Self.commandLine(options)
  }

  /// As a command line takes it: no separators, no fraction where there is none.
  private static func number(_ value: Double) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  private static func commandLine(_ options: [(String, String)]) -> String {
    options.map { $1.isEmpty ? " --\($0)" : " --\($0) \($1)" }.joined()
  }

  private var figures: String {
    let table = Self.table([""] + evaluations.map(\.split.rawValue), Evaluation.figures(evaluations))
    let candidates = evaluations.candidates.map { " --candidates \($0)" } ?? ""
    let prompts = wording.prompts == nil ? "" : " --prompts FILE"
    let pairs = wording.compositions.map { " --compositions \($0.all.retrieval.captions)" } ?? ""
    let nouns = wording.unseenNouns.map { " --unseen-nouns \($0.all.nouns)" } ?? ""
    let words =
      wording.figures.isEmpty
      ? [] : [Self.table(["as people write", "captions", "right"], wording.figures), Wording.explanation]
    let end =
      "\(Evaluation.retrievalExplanation(evaluations, settings: "the default settings")) "
      + "`dalle-cli evaluate DATA --checkpoint \(place) --card\(candidates)\(prompts)\(pairs)\(nouns)` measures all this anew, and "
      + "writes the card anew; DATA is the folder of `\(configuration.data?.name ?? "the pictures")`."
    return ([table] + words + [end]).joined(separator: "\n\n")
  }
}
