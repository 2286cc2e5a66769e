import ArgumentParser
import Basics
import Captions
import Checkpoints
import CommandSupport
import Compositions
import Datasets
import Decoding
import Evaluation
import Foundation
import Generation
import Lexicon
import Priors

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures a checkpoint: reconstruction, codebook, prior loss, retrieval, and what people may type.")

  @OptionGroup var data: DataOptions
  @Option(help: "Only this split; all unless given.") var split: Split?
  @Option(parsing: .unconditional, help: "Draw for at most this many captions of a split; 0 draws all.")
  var captions = 300
  @Option(
    parsing: .unconditional, help: "Also draw this many pictures for each caption and measure the ranker's choice.")
  var candidates: Int?
  @Option(parsing: .unconditional, help: "Names the random numbers of drawing.") var seed: UInt64 = 0
  @Option(
    name: .customLong("prompts"),
    help: ArgumentHelp(
      """
      Prompts that people may type and the pictures that would do: JSON lines such as {"prompt": "a cup of coffee", \
      "pictures": ["hot beverage"]}, pictures by caption or file name.
      """, valueName: "file"))
  var promptFile: String?
  @Option(
    parsing: .unconditional,
    help: """
      Also draw this many pairs that are held out of compositions of the data's things, and a fifth as many in three relations at \
      once, and look them up among 10000 compositions.
      """)
  var compositions: Int?
  @Option(
    parsing: .unconditional,
    help: """
      Also draw this many nouns that no training caption has, and look of which class in WordNet is what is drawn.
      """)
  var unseenNouns: Int?
  @Option(help: "A contact sheet to write: an HTML page of the captions, their pictures and what is drawn for them.")
  var output: String?
  @Option(
    name: .customLong("caption"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A caption from outside of the data that the contact sheet shows several drawings of; may be repeated.",
      discussion: "Unless given: \(standardPrompts.joined(separator: "; ")).", valueName: "text"))
  var prompts: [String] = []
  @Flag(help: "Write the figures into the checkpoint's model card, README.md.") var card = false
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var sampling: DrawingOptions
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions

  private struct Report: Encodable {
    var checkpoint: String
    var data: String
    var seed: UInt64
    var sampling: SamplingOptions
    var splits: [Evaluation]
    /// Training captions in the forms in which people write them.
    var forms: FormEvaluation?
    var prompts: PromptEvaluation?
    /// Pairs never seen.
    var compositions: CompositionEvaluation?
    var unseenNouns: UnseenNounEvaluation?
    var output: String?
  }

  /// Combinations that the default data set does not have, of words that it has.
  private static let standardPrompts = ["purple heart with a crown", "blue cat", "woman zombie: dark skin tone"]
  /// Of each of them.
  private static let drawingsOfAPrompt = 4

  func run() throws {
    let promptOptions = try checkedOptions()
    // Captions of the data are measured as they stand.
    var options = promptOptions
    options.replacesUnseenNouns = false
    let sheet = try output.map { path throws(PipelineError) in try OutputFile.url(path, from: [promptFile]) }
    let folder = Checkpoint(try checkpoint.forReading(needing: \.isComplete).url)
    guard !card || access(folder.url.path, W_OK) == 0 else {
      throw PipelineError(
        .cannotCreate, "the card of \(folder.url.relativePath) cannot be written: \(String(cString: strerror(errno)))")
    }
    let configuration = try folder.readConfiguration()
    try folder.checkIsOwn(configuration, for: "the pictures that it was trained on are not here to compare with")
    let evaluator = try evaluator(of: folder, configuration)
    // Read now, so that a mistake in it is told before the work.
    let everyday = try promptFile.map { file throws(PipelineError) in
      try EverydayPrompt.read(URL(fileURLWithPath: file), for: evaluator.dataSet)
    }
    let maker = try compositions.map { _ throws(PipelineError) in try self.maker(of: evaluator.dataSet) }
    let nouns: AskedNouns? =
      if let unseenNouns {
        try evaluator.unseenNouns(count: unseenNouns, wordNet: WordNet())
      } else {
        nil
      }
    let evaluations = try splits(evaluator, options)
    let wording = try wording(evaluator, options, everyday, maker, nouns, promptOptions)
    if !json { try print(wording) }
    if card {
      try ModelCard(folder, configuration, evaluations: evaluations, wording: wording).write()
      Console.note("wrote \(folder.modelCardFile.relativePath)")
    }
    if let sheet {
      let drawn = try evaluator.draw(
        prompts.isEmpty ? Self.standardPrompts : prompts, count: Self.drawingsOfAPrompt, options: promptOptions
      ) { Self.report("drawing other captions", $0) }
      try EvaluationPage(
        checkpoint: folder.url.lastPathComponent, data: evaluator.dataSet.url.lastPathComponent, options: options,
        evaluations: evaluations, wording: wording, prompts: drawn
      ).write(to: sheet)
      if !json { try Console.result(sheet.relativePath) }
    }
    if json {
      try Console.json(
        Report(
          checkpoint: folder.url.relativePath, data: evaluator.dataSet.url.relativePath, seed: seed,
          sampling: options.sampling ?? SamplingOptions(), splits: evaluations, forms: wording.forms,
          prompts: wording.prompts, compositions: wording.compositions, unseenNouns: wording.unseenNouns,
          output: output))
    }
  }

  /// - Returns: how what people type is drawn.
  /// - Throws: where the command's options make no sense.
  private func checkedOptions() throws(PipelineError) -> GenerationOptions {
    guard captions >= 0 else { throw PipelineError(.usage, "--captions must be 0 or more, not \(captions)") }
    guard output != nil || prompts.isEmpty else {
      throw PipelineError(.usage, "--caption is drawn for the contact sheet: name it with --output FILE")
    }
    for (flag, count) in [
      ("--candidates", candidates), ("--compositions", compositions), ("--unseen-nouns", unseenNouns),
    ] {
      guard let count, !(1...10_000).contains(count) else { continue }
      throw PipelineError(.usage, "\(flag) must be 1 to 10000, not \(count)")
    }
    let options = try sampling.generationOptions(seed: seed)
    guard !card || options.sampling == nil else {
      throw PipelineError(.usage, "--card is for what the default settings of drawing give")
    }
    return options
  }

  /// Of both stages, or of stage 1 where there is no other.
  private func evaluator(
    of folder: Checkpoint, _ configuration: CheckpointConfiguration
  ) throws(PipelineError) -> Evaluator {
    let threads = try threads.count()
    guard configuration.prior != nil else {
      // What is asked of drawings is refused where there are none.
      let asksForDrawings = candidates != nil || promptFile != nil || compositions != nil || unseenNouns != nil
      if asksForDrawings || !prompts.isEmpty { _ = try folder.readPrior(configuration) }
      Console.note("\(folder.url.relativePath) has no prior: what stage 1 gives is measured")
      let tokenizer = try StandaloneImageTokenizer(folder, threads: threads)
      return try Evaluator(tokenizer, openData(configuration, pictureSize: tokenizer.pictureSize))
    }
    let model = try TextToImageModel(contentsOf: folder.url, threads: threads)
    if candidates != nil { _ = try model.ranker() }
    return try Evaluator(model, openData(configuration, pictureSize: model.imageTokenizer.pictureSize))
  }

  private func splits(_ evaluator: Evaluator, _ options: GenerationOptions) throws -> [Evaluation] {
    var evaluations: [Evaluation] = []
    for split in split.map({ [$0] }) ?? Split.allCases {
      let evaluation = try evaluator.evaluate(
        split, options: options, captionLimit: captionLimit, candidates: candidates, progress: Self.report)
      guard let evaluation else {
        Console.note("the split \(split.rawValue) has no pictures")
        continue
      }
      evaluations.append(evaluation)
      if !json { try print(evaluation) }
    }
    guard !evaluations.isEmpty else {
      throw PipelineError(.badData, "there is nothing to evaluate in \(evaluator.dataSet.url.relativePath)")
    }
    return evaluations
  }

  /// - Parameters:
  ///   - everyday: prompts that people may type; nil where none are asked for.
  ///   - maker: of compositions; nil where none are asked for.
  ///   - nouns: never seen; nil where none are asked for.
  ///   - promptOptions: of prompts and nouns.
  private func wording(
    _ evaluator: Evaluator, _ options: GenerationOptions, _ everyday: [EverydayPrompt]?, _ maker: CompositionMaker?,
    _ nouns: AskedNouns?, _ promptOptions: GenerationOptions
  ) throws(PipelineError) -> Wording {
    let forms =
      split ?? .train == .train
      ? try evaluator.evaluateForms(options: options, captionLimit: captionLimit, progress: Self.report) : nil
    let answers = try everyday.flatMap { prompts throws(PipelineError) in
      try evaluator.evaluate(prompts, candidates: candidates, options: promptOptions, progress: Self.report)
    }
    let composed = try maker.flatMap { maker throws(PipelineError) in
      try evaluator.evaluate(
        maker, count: compositions ?? 0, candidates: candidates, options: options, progress: Self.report)
    }
    let unseen = try nouns.flatMap { nouns throws(PipelineError) in
      try evaluator.evaluate(nouns, options: promptOptions, progress: Self.report)
    }
    return Wording(forms: forms, prompts: answers, compositions: composed, unseenNouns: unseen)
  }

  private var captionLimit: Int? { captions == 0 ? nil : captions }

  private static func report(_ what: String, _ share: Double) {
    Console.progress(String(format: "%@ %3.0f%%", what, 100 * share))
  }

  private func openData(
    _ configuration: CheckpointConfiguration, pictureSize: Int
  ) throws(PipelineError) -> PictureDataSet {
    let dataSet = try data.open(pictureSize: pictureSize, fit: configuration.data?.fit ?? .pad)
    if let trained = configuration.data, trained.fingerprint != dataSet.fingerprint {
      Console.note("the checkpoint was trained on another data set or another version of it")
    }
    return dataSet
  }

  /// What makes the compositions that the data set's things have.
  private func maker(of dataSet: PictureDataSet) throws(PipelineError) -> CompositionMaker {
    var settings = CompositionMaker.Settings()
    // Larger ones show nothing more of a composition, and are not made.
    settings.pictureSize = min(dataSet.pictureSize, CompositionMaker.pictureSizes.upperBound)
    return try CompositionMaker(
      dataSet, settings: settings, team: ThreadTeam(count: threads.count()), report: { Console.note($0) })
  }

  private func print(_ wording: Wording) throws {
    for row in wording.figures {
      try Console.result("\(row[0]): \(row[2]) of \(row[1])")
    }
  }

  private func print(_ e: Evaluation) throws {
    func percent(_ share: Double) -> String { String(format: "%.1f%%", 100 * share) }
    try Console.result("\(e.split.rawValue), \(e.pictures) pictures")
    try Console.result(String(format: "  reconstruction PSNR   %.2f dB", e.reconstructionPsnrInDecibels))
    if let distance = e.reconstructionPatchDistance {
      try Console.result(String(format: "  patch distance        %.3f (of reconstructions; 0 is as sharp)", distance))
    }
    try Console.result(
      String(
        format: "  codebook perplexity   %.0f (%@ of the codes in use)", e.codebookPerplexity, percent(e.codebookUse)))
    if let loss = e.priorLoss {
      try Console.result(String(format: "  prior loss            %.3f nats an image token", loss))
    }
    for (name, value, ceiling) in [
      ("@1", e.retrieval?.at1, e.retrievalCeiling.at1), ("@5", e.retrieval?.at5, e.retrievalCeiling.at5),
    ] {
      let drawn = value.map { "\(percent($0)) of \(e.retrievalCeiling.captions) captions " } ?? ""
      try Console.result("  retrieval\(name)           \(drawn)(ceiling \(percent(ceiling)))")
    }
    if let ranked = e.rankedRetrieval, let candidates = e.candidates {
      for (name, value) in [("@1", ranked.at1), ("@5", ranked.at5)] {
        try Console.result(
          "    best of \(candidates), \(name)".padding(toLength: 24, withPad: " ", startingAt: 0) + percent(value))
      }
    }
  }
}
