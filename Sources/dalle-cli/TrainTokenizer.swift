import ArgumentParser
import Checkpoints
import ImageTokenizers
import Training

struct TrainTokenizer: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stage 1: learns to turn pictures into tokens and back.")

  @Option(help: "How tokens are learnt.") var kind = ImageTokenizerKind.standard
  @OptionGroup var training: TrainingOptions

  func run() throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .imageTokenizer))
    settings.imageTokenizerKind = kind
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    let resumed = training.resume ? try checkpoint.readConfigurationOfImageTokenizerTraining() : nil
    let size = try (resumed?.imageTokenizer?.base ?? kind.preset(settings.chosenPreset)).layout.pictureSize
    let resources = try training.resources(checkpoint, pictureSize: size, fit: resumed?.data?.fit)
    try ImageTokenizerTrainer(resources).train(settings: settings, resume: training.resume)
    try training.printResult(
      checkpoint, file: checkpoint.imageTokenizerFile, checkpoint.readConfiguration().tokenizerTraining)
  }
}
