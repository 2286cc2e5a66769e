import ArgumentParser
import Checkpoints
import Training

struct TrainRanker: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Learns how well a picture goes with a caption (CLIP), to choose among drawn ones; needs both tokenizers.")

  @OptionGroup var training: TrainingOptions
  @OptionGroup var forms: CaptionFormOptions
  @OptionGroup var vocabulary: VocabularyOptions
  @Option(
    parsing: .unconditional,
    help: "Text tokens that the model sees (context length); enough for nearly all captions unless given.")
  var textLength: Int?
  @Option(parsing: .unconditional, help: "The probability of dropping an activation in training.") var dropout: Float?

  @Option(
    parsing: .unconditional,
    help: "The share of pictures that are compositions, where the data has some; as many as it has unless given.")
  var compositions: Float?

  func run() throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .ranker))
    settings.captionForms = try forms.kinds()
    settings.textLength = textLength
    settings.dropout = dropout
    settings.vocabulary = vocabulary.name
    settings.compositions = compositions
    try settings.validate()
    let named = try vocabulary.read()
    let checkpoint = training.checkpoint.forTraining()
    try RankerTrainer(training.resources(checkpoint), vocabulary: named).train(
      settings: settings, resume: training.resume)
    try training.printResult(checkpoint, file: checkpoint.rankerFile, checkpoint.readConfiguration().rankerTraining)
  }
}
