import ArgumentParser
import Basics
import Checkpoints
import CommandSupport
import Foundation
import ImageTokenizers
import MPIExchange
import NN
import Optimization
import Priors
import TensorCore
import TextTokenizer
import Training

/// A command that runs alone or as one of several processes.
protocol JointCommand: ParsableCommand {
  /// How the processes exchange what they learn.
  var exchangeOptions: ExchangeOptions { get throws }

  /// - Parameter processes: that work together.
  func run(with processes: any TrainingProcesses) throws
}

extension JointCommand {
  func run() throws {
    let processes = try Launcher.start(ProcessInfo.processInfo.environment, options: exchangeOptions) {
      Console.line("error: \(FlagNames.spelled($0.message))")
    }
    if !processes.isFirst { Console.leaveTalking() }
    if processes.count == 1, try exchangeOptions != ExchangeOptions() {
      Console.note("--exchange and --local-steps are for several processes, which mpirun starts; alone they do nothing")
    }
    do {
      if processes.count > 1 { try processes.agree(on: [("the program", Self.programFingerprint)]) }
      try run(with: processes)
    } catch {
      guard processes.count > 1 else { throw error }
      let failure = error as? PipelineError ?? PipelineError(.inputOutput, "\(error)")
      processes.end { Console.line("error: \(FlagNames.spelled(failure.message))") }
      _exit(failure.exitCode)
    }
    processes.finish()
    // So that `train-tokenizer && train-prior` goes no further where a signal has ended the run.
    if let code = StopSignal.exitCode { throw ExitCode(code) }
  }

  /// Of the file that this process runs.
  private static var programFingerprint: String {
    var hash = FNV1a()
    hash.combine(FileManager.default.contents(atPath: "/proc/self/exe") ?? Data())
    return "\(programVersion) \(hash.hexadecimal)"
  }
}

/// A command that trains.
protocol TrainingCommand: JointCommand {
  var training: TrainingOptions { get }
}

extension TrainingCommand {
  var exchangeOptions: ExchangeOptions { get throws { try training.exchange.options() } }
}

struct TrainTokenizer: TrainingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stage 1: learns to turn pictures into tokens and back.")

  @Option(help: "How tokens are learnt (the codebook).") var kind = ImageTokenizerKind.standard
  @Option(
    parsing: .unconditional,
    help: "Pixels a side of the pictures (resolution), a multiple of 32 up to 512; the preset's unless given."
  )
  var pictureSize: Int?
  @Option(
    parsing: .unconditional,
    help: """
      The share of the run, at its end, in which a patch discriminator (adversarial loss, as in VQGAN) makes reconstructions \
      sharp; 0 leaves it out.
      """)
  var adversarial = TrainingSettings().adversarial
  @OptionGroup var training: TrainingOptions

  func run(with processes: any TrainingProcesses) throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .imageTokenizer))
    settings.imageTokenizerKind = kind
    settings.pictureSize = pictureSize
    settings.adversarial = adversarial
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    let resumed = training.resume ? try checkpoint.readConfigurationOfImageTokenizerTraining() : nil
    let size = try resumed?.imageTokenizer?.layout.pictureSize ?? settings.imageTokenizer().layout.pictureSize
    let resources = try training.resources(processes, checkpoint, pictureSize: size, fit: resumed?.data?.fit)
    try ImageTokenizerTrainer(resources).train(settings: settings, resume: training.resume)
    try training.printResult(processes, checkpoint, file: checkpoint.imageTokenizerFile, \.tokenizerTraining)
  }
}

struct TrainPrior: TrainingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stage 2: learns which image tokens go with a caption; needs a checkpoint with stage 1.")

  @Option(help: "How the next token is predicted.") var kind = PriorKind.standard
  @Option(
    help: """
      A checkpoint whose image tokenizer a new one begins with, in place of train-tokenizer: a name in checkpoints/, or a folder. \
      That of an imported model keeps photographs sharp.
      """, completion: .directory)
  var imageTokenizer: String?
  @Option(
    parsing: .unconditional,
    help: """
      Pixels a side of the pictures (resolution), where the tokenizer that is named leaves the choice, a multiple of 16; 256 with \
      that of a Janus unless given.
      """)
  var pictureSize: Int?
  @OptionGroup var training: TrainingOptions
  @OptionGroup var text: CaptionReaderOptions
  @Option(
    parsing: .unconditional, help: "Pieces of the text vocabulary, where the checkpoint has none yet and none is named."
  )
  var vocabularySize = TrainingSettings().vocabularySize
  @Option(
    parsing: .unconditional,
    help: "The share of captions left out in training (caption dropout), which classifier-free guidance needs.")
  var captionDropout = TrainingSettings().captionDropout
  @Option(parsing: .unconditional, help: "The share of BPE merges left out in training (BPE dropout).")
  var mergeDropout = TrainingSettings().mergeDropout
  @Option(
    parsing: .unconditional,
    help: "The share of places whose tokens the model sees wrongly in training, which makes it listen to the caption.")
  var imageCorruption = TrainingSettings().imageCorruption
  @Option(
    parsing: .unconditional,
    help: """
      Where a place has several codes, as with --preset base: the share of further ones, after right ones, that the \
      model sees wrongly in training; \(TrainingSettings.standardRefinementCorruption) unless given.
      """)
  var refinementCorruption: Float?
  @Option(
    parsing: .unconditional,
    help: """
      Layers of the model; the preset's unless given. With --warm-start those that the checkpoint lacks begin as copies that \
      pass their input on, so that a trained model grows (block expansion).
      """)
  var layers: Int?
  @Option(
    help: """
      What the image tokens of each layer see of each other (sparse attention): full, row, column or conv, a list with \
      commas such as row,column,row,row, repeated to the number of layers; full unless given.
      """)
  var attention: String?
  @Option(
    parsing: .unconditional,
    help: """
      The share of pictures that are compositions: those of the data, and where it has none, some of its things, as \
      compose makes them, made while it trains.
      """)
  var compositions: Float?
  @Flag(help: "Begin a new run with the weights that the checkpoint holds (fine-tuning).") var warmStart = false
  @Option(
    parsing: .unconditional,
    help: "Decay of the weights' exponential moving average (EMA), which is then what is saved; 0 keeps none.")
  var averageDecay: Float = 0

  func run(with processes: any TrainingProcesses) throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .prior))
    settings.priorKind = kind
    settings.vocabularySize = vocabularySize
    settings.layers = layers
    settings.attention = try attention.map { list throws(PipelineError) in
      try [AttentionKind](list: list, setting: "--attention")
    }
    let vocabulary = try text.apply(to: &settings)
    settings.captionDropout = captionDropout
    settings.mergeDropout = mergeDropout
    settings.imageCorruption = imageCorruption
    settings.refinementCorruption = refinementCorruption
    settings.compositions = compositions
    settings.isWarmStart = warmStart
    settings.averageDecay = averageDecay
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    if let imageTokenizer {
      try training.data.requireFolder()
      try adopt(imageTokenizer, for: checkpoint, processes)
    } else if pictureSize != nil {
      throw PipelineError(.usage, "--picture-size goes with --image-tokenizer; otherwise it is train-tokenizer's")
    }
    let resources = try training.resources(processes, checkpoint) {
      var prior = try kind.preset(settings.chosenPreset)
      try prior.learn($0)
    }
    try PriorTrainer(resources, vocabulary: vocabulary).train(settings: settings, resume: training.resume)
    try training.printResult(processes, checkpoint, file: checkpoint.priorFile, \.priorTraining)
  }
}

/// Of models that read captions.
struct CaptionReaderOptions: ParsableArguments {
  @OptionGroup var forms: CaptionFormOptions
  @OptionGroup var vocabulary: VocabularyOptions
  @Option(
    parsing: .unconditional,
    help: "Text tokens that the model sees (context length); enough for nearly all captions unless given.")
  var textLength: Int?
  @Option(parsing: .unconditional, help: "The probability of dropping an activation in training.") var dropout: Float?

  /// - Returns: the vocabulary that is named.
  func apply(to settings: inout TrainingSettings) throws(PipelineError) -> BytePairEncoding? {
    settings.captionForms = try forms.kinds()
    (settings.textLength, settings.dropout, settings.vocabulary) = (textLength, dropout, vocabulary.name)
    return try vocabulary.read()
  }
}

extension TrainPrior {
  /// Of several processes the first one does it, and the others wait.
  private func adopt(
    _ name: String, for checkpoint: Checkpoint, _ processes: any TrainingProcesses
  ) throws(PipelineError) {
    guard let source = CheckpointOptions.existing(named: name) else {
      throw PipelineError(.noInput, "there is no checkpoint \(name) whose image tokenizer could be taken")
    }
    if processes.isFirst { try checkpoint.adoptImageTokenizer(of: source, pictureSize: pictureSize) }
    if processes.count > 1 { try processes.agree(on: [("the image tokenizer", source.url.path)]) }
  }
}

struct TrainRanker: TrainingCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Learns how well a picture goes with a caption (CLIP), to choose among drawn ones; needs both tokenizers.")

  @OptionGroup var training: TrainingOptions
  @OptionGroup var text: CaptionReaderOptions
  @Option(
    parsing: .unconditional,
    help: "The share of pictures that are compositions, where the data has some; as many as it has unless given.")
  var compositions: Float?

  func run(with processes: any TrainingProcesses) throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .ranker))
    let vocabulary = try text.apply(to: &settings)
    settings.compositions = compositions
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    try RankerTrainer(training.resources(processes, checkpoint), vocabulary: vocabulary).train(
      settings: settings, resume: training.resume)
    try training.printResult(processes, checkpoint, file: checkpoint.rankerFile, \.rankerTraining)
  }
}

struct TrainUpsampler: TrainingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Learns to make pictures larger than their tokens were trained for (super-resolution); needs stage 1.",
    discussion:
      "Tokens and prior stay what they are, and cost no more: what is drawn is then brought to the larger size.")

  private static let standardAdversarial: Float = 0.5
  @Option(
    parsing: .unconditional,
    help: "Pixels a side of the pictures (resolution), a multiple of the tokenizer's; twice as many unless given."
  )
  var pictureSize: Int?
  @Option(
    parsing: .unconditional,
    help: """
      The share of the run, at its end, in which a patch discriminator (adversarial loss) makes pictures sharp; 0 leaves it \
      out, and it is \(Self.standardAdversarial) unless given.
      """)
  var adversarial: Float?
  @OptionGroup var training: TrainingOptions

  func run(with processes: any TrainingProcesses) throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .upsampler))
    settings.pictureSize = pictureSize
    let checkpoint = training.checkpoint.forTraining()
    let resumed = training.resume ? try checkpoint.readConfigurationOfUpsamplerTraining() : nil
    settings.adversarial =
      adversarial ?? resumed?.upsamplerTraining?.settings.adversarial ?? Self.standardAdversarial
    try settings.validate()
    let configuration = try resumed ?? checkpoint.readConfiguration()
    let inputSize = try training.layout(of: configuration, checkpoint).pictureSize
    let size = try resumed?.upsampler?.pictureSize ?? UpsamplerTrainer.shape(settings, from: inputSize).pictureSize
    let resources = try training.resources(processes, checkpoint, pictureSize: size, fit: configuration.data?.fit)
    try UpsamplerTrainer(resources).train(settings: settings, resume: training.resume)
    try training.printResult(processes, checkpoint, file: checkpoint.upsamplerFile, \.upsamplerTraining)
  }
}
