import Basics
import Checkpoints
import ImageTokenizers
import NN

/// Trains an upsampler behind a checkpoint's image tokenizer, and saves it beside that: what the prior draws becomes larger.
public struct UpsamplerTrainer: StageTrainer {
  public let resources: TrainingResources
  private let architecture: Upsampler.Configuration?

  /// - Parameters:
  ///   - resources: what the run works with; the data set is opened at the size that pictures are to have.
  ///   - architecture: the grid, width and depth of a new run's model; the preset's unless given.
  public init(_ resources: TrainingResources, architecture: Upsampler.Configuration? = nil) {
    self.resources = resources
    self.architecture = architecture
  }

  /// The shape of a new run's model.
  /// - Parameters:
  ///   - settings: its preset, and its picture size where that is not twice the tokenizer's.
  ///   - inputSize: pixels a side of the tokenizer's pictures.
  /// - Throws: `PipelineError` of kind `.usage` for a size that is no multiple of the tokenizer's.
  public static func shape(
    _ settings: TrainingSettings, from inputSize: Int
  ) throws(PipelineError) -> Upsampler.Configuration {
    let size = settings.pictureSize ?? 2 * inputSize
    guard size > inputSize && size % inputSize == 0 else {
      throw PipelineError(
        .usage, "`pictureSize` must be a multiple of the tokenizer's \(inputSize), and larger than that, not \(size)")
    }
    return .preset(settings.chosenPreset, from: inputSize, to: size)
  }

  /// Begins a run, or goes on with the one that was saved last. An upsampler that is there stays until the first save of a
  /// new run, which moves it to the folder `previous`.
  ///
  /// - Parameters:
  ///   - settings: of the run; resuming takes those of its beginning, but for `bound` and `saveEvery`.
  ///   - resume: whether to go on where the last save was.
  /// - Throws: `PipelineError` for settings, data or files that do not do, and where the learning rate diverges.
  public func train(settings: TrainingSettings, resume: Bool) throws(PipelineError) {
    var (state, saved) = try start(.upsampler, settings: settings, resume: resume)
    let imageTokenizer = try checkpoint.readImageTokenizer(state.configuration)
    try build(&state, resume: resume)
    if !resume {
      state.configuration.upsampler =
        if let architecture { architecture } else {
          try Self.shape(state.settings, from: imageTokenizer.pictureSize)
        }
      state.configuration.upsamplerTraining = nil
    }
    guard let description = state.configuration.upsampler else {
      throw PipelineError(.badData, "\(checkpoint.trainingStateFile.path) describes no upsampler")
    }
    try state.configuration.validate(of: "the architecture")
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    let model = UpsampledImageTokenizer(imageTokenizer, Upsampler(description, seed: state.settings.seed))
    try train(model, .upsampler(of: checkpoint), state, from: saved)
  }
}
