import ArrayFiles
import Basics
import Checkpoints
import Datasets
import ImageTokenizers
import NN
import Optimization

/// Trains stage 1 on a data set's train split and saves it to a checkpoint.
public struct ImageTokenizerTrainer: StageTrainer {
  public let resources: TrainingResources
  private let architecture: (any TrainableImageTokenizerConfiguration)?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: the shape of a new run's model; that of the settings' preset unless given.
  public init(_ resources: TrainingResources, architecture: (any TrainableImageTokenizerConfiguration)? = nil) {
    self.resources = resources
    self.architecture = architecture
  }

  /// Begins a run, or goes on with the one that was saved last. What the checkpoint held before a new run stays until
  /// the first save, which moves it to the folder `previous`.
  ///
  /// - Parameters:
  ///   - settings: of the run; resuming takes those of its beginning, but for `bound` and `saveEvery`.
  ///   - resume: whether to go on where the last save was.
  /// - Throws: `PipelineError` for settings, data or files that do not do, and where the learning rate diverges.
  public func train(settings: TrainingSettings, resume: Bool) throws(PipelineError) {
    let (state, saved) = try start(.imageTokenizer, settings: settings, resume: resume) {
      () throws(PipelineError) in
      var configuration = CheckpointConfiguration()
      let architecture = if let architecture { architecture } else { try settings.imageTokenizer() }
      configuration.imageTokenizer = AnyConfiguration(architecture)
      configuration.data = .init(dataSet)
      try configuration.validate(of: "the architecture")
      return configuration
    }
    try run(state, saved)
  }

  /// - Parameter saved: the file to go on from.
  private func run(_ start: TrainingState, _ saved: SafeTensors?) throws(PipelineError) {
    guard let description = start.configuration.imageTokenizer else {
      throw PipelineError(.badData, "\(checkpoint.trainingStateFile.path) describes no image tokenizer")
    }
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    let model = try description.trainable().makeModel(seed: start.settings.seed)
    try train(model, .imageTokenizer(of: checkpoint), start, from: saved)
  }
}

extension StageTrainer {
  /// Trains a part of stage 1.
  /// - Parameters:
  ///   - model: with initial weights.
  ///   - part: which one it is.
  ///   - start: where the run begins.
  ///   - saved: the file to go on from.
  func train(
    _ model: any TrainableAutoencoder, _ part: ImageTokenizerTask.Part, _ start: TrainingState, from saved: SafeTensors?
  ) throws(PipelineError) {
    try checkPictureSize(model)
    var state = start
    let plan = state.settings.fill(
      state.settings.chosenPreset.tokenizerDefaults, learningRate: 6e-4,
      augmentation: TrainingSettings.standardAugmentation(of: state.stage))
    let loader = try BatchLoader(
      dataSet: dataSet, indices: dataSet.indices(of: .train), batchSize: plan.batchSize, seed: state.settings.seed,
      augmentation: plan.augmentation, part: resources.part(ofBatch: plan.batchSize))
    var options = AdamW.Options()
    options.weightDecay = 0.01
    let run = try StageRun(resources, state, from: saved, model.learner, options, plan, loader)
    try run.run(ImageTokenizerTask(model, part, run))
  }
}
