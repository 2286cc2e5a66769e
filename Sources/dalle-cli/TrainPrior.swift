import ArgumentParser
import Basics
import Checkpoints
import NN
import Priors
import TensorCore
import Training

struct TrainPrior: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stage 2: learns which image tokens go with a caption; needs a checkpoint with stage 1.")

  @Option(help: "How the next token is predicted.") var kind = PriorKind.standard
  @OptionGroup var training: TrainingOptions
  @OptionGroup var forms: CaptionFormOptions
  @OptionGroup var vocabulary: VocabularyOptions
  @Option(
    parsing: .unconditional, help: "Pieces of the text vocabulary, where the checkpoint has none yet and none is named."
  )
  var vocabularySize = TrainingSettings().vocabularySize
  @Option(
    parsing: .unconditional,
    help: "Text tokens that the model sees (context length); enough for nearly all captions unless given.")
  var textLength: Int?
  @Option(parsing: .unconditional, help: "The probability of dropping an activation in training.") var dropout: Float?
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

  func run() throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .prior))
    settings.priorKind = kind
    settings.vocabularySize = vocabularySize
    settings.vocabulary = vocabulary.name
    settings.textLength = textLength
    settings.dropout = dropout
    settings.attention = try attention.map { list throws(PipelineError) in
      try [AttentionKind](list: list, setting: "--attention")
    }
    settings.captionForms = try forms.kinds()
    settings.captionDropout = captionDropout
    settings.mergeDropout = mergeDropout
    settings.imageCorruption = imageCorruption
    settings.refinementCorruption = refinementCorruption
    settings.compositions = compositions
    settings.isWarmStart = warmStart
    settings.averageDecay = averageDecay
    try settings.validate()
    let named = try vocabulary.read()
    let checkpoint = training.checkpoint.forTraining()
    let resources = try training.resources(checkpoint) {
      var prior = try kind.preset(settings.chosenPreset)
      try prior.learn($0)
    }
    try PriorTrainer(resources, vocabulary: named).train(settings: settings, resume: training.resume)
    try training.printResult(checkpoint, file: checkpoint.priorFile, checkpoint.readConfiguration().priorTraining)
  }
}
