import ArgumentParser
import Checkpoints
import ImageTokenizers
import Training

struct TrainTokenizer: ParsableCommand {
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

  func run() throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .imageTokenizer))
    settings.imageTokenizerKind = kind
    settings.pictureSize = pictureSize
    settings.adversarial = adversarial
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    let resumed = training.resume ? try checkpoint.readConfigurationOfImageTokenizerTraining() : nil
    let size = try resumed?.imageTokenizer?.layout.pictureSize ?? settings.imageTokenizer().layout.pictureSize
    let resources = try training.resources(checkpoint, pictureSize: size, fit: resumed?.data?.fit)
    try ImageTokenizerTrainer(resources).train(settings: settings, resume: training.resume)
    try training.printResult(
      checkpoint, file: checkpoint.imageTokenizerFile, checkpoint.readConfiguration().tokenizerTraining)
  }
}

struct TrainUpsampler: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Learns to make pictures larger than their tokens were trained for (super-resolution); needs stage 1.",
    discussion:
      "Tokens and prior stay what they are, and cost no more: what is drawn is then brought to the larger size.")

  @Option(
    parsing: .unconditional,
    help: "Pixels a side of the pictures (resolution), a multiple of the tokenizer's; twice as many unless given."
  )
  var pictureSize: Int?
  @Option(
    parsing: .unconditional,
    help: """
      The share of the run, at its end, in which a patch discriminator (adversarial loss) makes pictures sharp; 0 leaves it \
      out.
      """)
  var adversarial: Float = 0.5
  @OptionGroup var training: TrainingOptions

  func run() throws {
    var settings = try training.settings(augmentation: TrainingSettings.standardAugmentation(of: .upsampler))
    settings.pictureSize = pictureSize
    settings.adversarial = adversarial
    try settings.validate()
    let checkpoint = training.checkpoint.forTraining()
    let resumed = training.resume ? try checkpoint.readConfigurationOfUpsamplerTraining() : nil
    let configuration = try resumed ?? checkpoint.readConfiguration()
    let inputSize = try training.layout(of: configuration, checkpoint).pictureSize
    let size = try resumed?.upsampler?.pictureSize ?? UpsamplerTrainer.shape(settings, from: inputSize).pictureSize
    let resources = try training.resources(checkpoint, pictureSize: size, fit: configuration.data?.fit)
    try UpsamplerTrainer(resources).train(settings: settings, resume: training.resume)
    try training.printResult(
      checkpoint, file: checkpoint.upsamplerFile, checkpoint.readConfiguration().upsamplerTraining)
  }
}
