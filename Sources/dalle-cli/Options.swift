import ArgumentParser
import Basics
import Captions
import Checkpoints
import CommandSupport
import Datasets
import Decoding
import EmojiData
import Foundation
import Generation
import Imaging
import MPIExchange
import NN
import Optimization
import Priors
import Synchronization
import TensorCore
import TextTokenizer
import Training

extension Preset: ExpressibleByArgument {}
/// Of the kinds that can be trained; others have nothing to choose.
extension Kind: ExpressibleByArgument {
  public init?(argument: String) {
    guard let kind = Self.trainable.first(where: { $0.rawValue == argument }) else { return nil }
    self = kind
  }

  public static var allValueStrings: [String] { trainable.map(\.rawValue) }
}
extension Split: ExpressibleByArgument {}
/// Which text vocabulary a command takes.
struct VocabularyOptions: ParsableArguments {
  @Option(
    name: .customLong("vocabulary"),
    help: "The text vocabulary to take in place of the checkpoint's: the name of one in vocab/, or a file.",
    completion: .shellCommand("ls vocab 2>/dev/null | sed 's/[.]json$//'"))
  var name: String?

  /// Where the vocabulary of a name is kept.
  static func file(named name: String) -> URL {
    URL(fileURLWithPath: "vocab").appendingPathComponent("\(name).json")
  }

  /// - Returns: the one named; nil where none is.
  /// - Throws: `PipelineError` where it is missing or damaged.
  func read() throws(PipelineError) -> BytePairEncoding? {
    try name.map { name throws(PipelineError) in try Self.read(name) }
  }

  /// - Parameter name: that of a vocabulary in vocab/, or a path.
  /// - Throws: `PipelineError` where it is missing or damaged.
  static func read(_ name: String) throws(PipelineError) -> BytePairEncoding {
    if let path = NamedFile.path(name) { return try BytePairEncoding(contentsOf: path) }
    let named = Self.file(named: name)
    let file = URL(fileURLWithPath: name)
    let found = [named, file].first(where: NamedFile.exists)
    return try BytePairEncoding(
      contentsOf: found ?? NamedFile.besideTheProgram("\(name).json", in: "vocab") ?? named)
  }
}

/// Which pictures a command works on.
struct DataOptions: ParsableArguments {
  @Argument(
    help: """
      A folder of captioned pictures: pictures and metadata.jsonl or metadata.csv, pictures with a .txt beside each, or \
      WebDataset .tar shards. Left out, it is data/emoji, which is prepared when missing.
      """, completion: .directory)
  var data: String?

  @Option(help: "How pictures become square: pad (white) or crop (centre).")
  var fit: Picture.Fit?

  @OptionGroup var captionColumn: CaptionColumnOptions

  @Flag(help: "A bad picture or caption ends the command instead of being skipped.")
  var strict = false

  static let standardFolder = "data/emoji"

  func validate() throws {
    if data?.isEmpty ?? false { throw ValidationError("the data set's folder is named by nothing") }
  }

  /// Refuses a folder that is not there before anything is made for it.
  func requireFolder() throws(PipelineError) {
    guard let data, !FileManager.default.fileExists(atPath: data) else { return }
    throw PipelineError(.noInput, "there is no \(data)")
  }

  func open(pictureSize: Int, fit standardFit: Picture.Fit = .pad) throws(PipelineError) -> PictureDataSet {
    let url = URL(fileURLWithPath: data ?? Self.standardFolder)
    if data == nil && !FileManager.default.fileExists(atPath: url.path) {
      Console.note("preparing \(Self.standardFolder), the default data set")
      _ = try EmojiDataSet.prepare(to: url, report: { Console.note($0) })
    }
    // What is found on opening, all processes find; a picture that turns out to be damaged later may be known to one alone.
    let isOpen = Atomic(false)
    let dataSet = try PictureDataSet(
      contentsOf: url, pictureSize: pictureSize, fit: fit ?? standardFit, captionColumn: captionColumn.name,
      strict: strict,
      report: { if isOpen.load(ordering: .relaxed) { Console.line("note: \($0)") } else { Console.note($0) } })
    isOpen.store(true, ordering: .relaxed)
    return dataSet
  }
}

/// How tokens are drawn.
struct DrawingOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: """
      The sampling temperature: below 1 the likely becomes likelier; 0 takes the likeliest (greedy). \
      \(standard(\.temperature))
      """)
  var temperature: Float?
  @Option(
    parsing: .unconditional,
    help: "Draw among this many likeliest tokens; 0 sets no number. \(standard(\.topK))")
  var topK: Int?
  @Option(
    parsing: .unconditional,
    help: "Draw among the likeliest tokens that make up this probability (nucleus sampling). \(standard(\.topP))")
  var topP: Float?
  @Option(
    parsing: .unconditional,
    help: """
      The scale of classifier-free guidance (CFG): how strongly the caption is followed; 1 is not at all strengthened. \
      Above 1, tokens that the caption makes less than a tenth as likely as the likeliest one are never drawn, but by an \
      imported model. \
      \(standard(\.guidance))
      """)
  var guidance: Float?
  @Flag(help: "Give the model prompts as they are typed, with nouns that it has never seen.") var literal = false

  private static func standard<Value>(_ value: KeyPath<SamplingOptions, Value>) -> String {
    "(default: as the checkpoint wants it; \(SamplingOptions()[keyPath: value]) where it was trained here)"
  }

  /// - Throws: `PipelineError` of kind `.usage` for a value that makes no sense.
  func generationOptions(seed: UInt64) throws(PipelineError) -> GenerationOptions {
    let sampling = try sampling(over: SamplingOptions())
    return GenerationOptions(
      seed: seed, sampling: sampling == SamplingOptions() ? nil : sampling, replacesUnseenNouns: !literal)
  }

  /// What was asked for, the rest as a model wants it.
  func sampling(over own: SamplingOptions) throws(PipelineError) -> SamplingOptions {
    var options = own
    if let temperature { options.temperature = temperature }
    if let topK { options.topK = topK }
    if let topP { options.topP = topP }
    if let guidance { options.guidance = guidance }
    try options.validate()
    return options
  }
}

/// In what forms captions are read in training.
struct CaptionFormOptions: ParsableArguments {
  @Option(
    name: .customLong("caption-forms"),
    help: ArgumentHelp(
      """
      In what forms captions are read in training: all, none, or a list with commas of \
      \(CaptionForms.Kind.allCases.list).
      """, valueName: "forms"))
  var list = "all"

  func kinds() throws(PipelineError) -> [CaptionForms.Kind] {
    switch list {
    case "all": CaptionForms.Kind.allCases
    case "none": []
    default: try [CaptionForms.Kind](list: list, setting: "--caption-forms")
    }
  }
}

/// How several processes that `mpirun` has started exchange what they learn.
struct ExchangeOptionGroup: ParsableArguments {
  @Option(help: "Under mpirun: what gradients travel as between machines (gradient compression).")
  var exchange = ElementType.float32
  @Option(
    parsing: .unconditional,
    help: """
      Under mpirun: steps that each machine makes on its own between two exchanges with the others (local SGD, DiLoCo), for \
      slow networks.
      """)
  var localSteps = 1

  func options() throws(PipelineError) -> ExchangeOptions {
    guard localSteps > 0 else { throw PipelineError(.usage, "--local-steps must be 1 or more, not \(localSteps)") }
    var options = ExchangeOptions()
    (options.type, options.localSteps) = (exchange, localSteps)
    return options
  }
}

/// What the training commands take.
struct TrainingOptions: ParsableArguments {
  @OptionGroup var length: BoundOptions
  @Option(
    help: "How fine the tokens and how large the model are; base, or as stage 1 was trained, unless given.")
  var preset: Preset?
  @Option(parsing: .unconditional, help: "Pictures a step.") var batchSize: Int?
  @Option(parsing: .unconditional, help: "The learning rate at its peak.") var learningRate: Float?
  @Option(parsing: .unconditional, help: "Names all random numbers of the run.") var seed: UInt64 = 0
  @Option(parsing: .unconditional, help: "Steps between two saves (checkpointing); every ninety seconds unless given.")
  var saveEvery: Int?
  @Option(help: "Operands of matrix products (mixed precision); bfloat16 where the CPU is fast at it.")
  var precision: ElementType?
  @Option(parsing: .unconditional, help: "Largest shift of a picture in training, as a share of its side.")
  var maximumShift: Float?
  @Option(parsing: .unconditional, help: "Largest change of a picture's scale in training, as a share.")
  var maximumScaling: Float?
  @Flag(help: "Mirror pictures in training (augmentation); not where left and right matter.") var horizontalFlip = false
  @Flag(help: "Go on where the last save was (the checkpoint holds the optimizer, too).") var resume = false
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var exchange: ExchangeOptionGroup
  @OptionGroup var data: DataOptions

  private struct Report: Encodable {
    var checkpoint: String
    var file: String
    var training: CheckpointConfiguration.TrainingSummary
  }

  /// Whether anything was saved by this process: a run that is stopped before leaves what was there.
  private static let hasSaved = Atomic(false)

  /// Prints what a run has made, in the first process.
  func printResult(
    _ processes: any TrainingProcesses, _ checkpoint: Checkpoint, file: URL,
    _ training: KeyPath<CheckpointConfiguration, CheckpointConfiguration.TrainingSummary?>
  ) throws {
    guard processes.isFirst else { return }
    if StopSignal.wasReceived && !Self.hasSaved.load(ordering: .relaxed) { return }
    if json, let training = try checkpoint.readConfiguration()[keyPath: training] {
      try Console.json(
        Report(checkpoint: checkpoint.url.relativePath, file: file.relativePath, training: training))
    } else {
      try Console.result(file.relativePath)
    }
  }

  /// - Parameter augmentation: the stage's, where nothing else is said.
  func settings(augmentation standard: Augmentation) throws(PipelineError) -> TrainingSettings {
    var settings = TrainingSettings()
    settings.bound = try length.bound()
    settings.preset = preset
    settings.batchSize = batchSize
    settings.learningRate = learningRate
    settings.seed = seed
    settings.saveEvery = saveEvery
    if maximumShift != nil || maximumScaling != nil || horizontalFlip {
      settings.augmentation = Augmentation(
        maximumShift: maximumShift ?? standard.maximumShift,
        maximumScaling: maximumScaling ?? standard.maximumScaling, horizontalFlip: horizontalFlip)
    }
    return settings
  }

  /// The precision to train in, said on stderr where it was not asked for.
  private func chosenPrecision() -> ElementType {
    if let precision { return precision }
    Console.note("precision \(Engine.preferredPrecision.rawValue), by \(Engine.name)")
    return Engine.preferredPrecision
  }

  /// What a run works with, given the size and the shape that pictures are brought to.
  func resources(
    _ processes: any TrainingProcesses, _ checkpoint: Checkpoint, pictureSize: Int, fit: Picture.Fit?
  ) throws -> TrainingResources {
    let threads = try threads.count()
    if resume, let given = data.fit, let fit, given != fit {
      throw PipelineError(
        .usage, "the run began with --fit \(fit.rawValue), which a resumed one keeps; leave --fit out")
    }
    // The first process prepares the default data set, where there is none, for all.
    if !processes.isFirst && data.data == nil { _ = processes.first(0) }
    let dataSet = try data.open(pictureSize: pictureSize, fit: fit ?? .pad)
    if processes.isFirst && data.data == nil { _ = processes.first(0) }
    var resources = TrainingResources(
      checkpoint: checkpoint, dataSet: dataSet, threads: threads, precision: chosenPrecision(), observer: observer())
    resources.processes = processes
    return resources
  }

  /// The same for what builds on the image tokenizer that the checkpoint has.
  /// - Parameter check: refuses tokens that will not do before the pictures are read.
  func resources(
    _ processes: any TrainingProcesses, _ checkpoint: Checkpoint, check: (TokenLayout) throws -> Void = { _ in }
  ) throws -> TrainingResources {
    let configuration = try checkpoint.readConfiguration()
    let layout = try layout(of: configuration, checkpoint)
    try check(layout)
    return try resources(processes, checkpoint, pictureSize: layout.pictureSize, fit: configuration.data?.fit)
  }

  /// What the checkpoint's image tokenizer is for.
  /// - Throws: `PipelineError` of kind `.noInput` where there is none.
  func layout(
    of configuration: CheckpointConfiguration, _ checkpoint: Checkpoint
  ) throws(PipelineError) -> TokenLayout {
    guard let tokenizer = configuration.imageTokenizer else {
      throw PipelineError(
        .noInput, "\(checkpoint.url.path) has no image tokenizer yet; train one with: dalle-cli train-tokenizer")
    }
    return tokenizer.layout
  }

  /// Prints a run's events.
  private func observer() -> TrainingObserver {
    StopSignal.install()
    return TrainingObserver(
      report: { event in
        switch event {
        case .step(let p):
          Console.progress(
            String(
              format: "step %d  %3.0f%%  loss %.4f  %.0f pictures/s  %@ left", p.step, 100 * p.fraction, p.loss,
              p.picturesPerSecond, described(seconds: p.secondsLeft)), isLast: p.fraction >= 1)
        case .note(let text): Console.note(FlagNames.spelled(text))
        case .validation(let text): Console.line("      " + text)
        case .saved: Self.hasSaved.store(true, ordering: .relaxed)
        }
      }, shouldStop: { StopSignal.wasReceived })
  }
}
