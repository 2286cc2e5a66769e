import ArrayFiles
import Basics
import Checkpoints
import Datasets
import Evaluation
import Foundation
import ImageTokenizers
import NN
import Optimization
import TensorCore

/// What a training run of any stage works with.
public struct TrainingResources: Sendable {
  public var checkpoint: Checkpoint
  public var dataSet: PictureDataSet
  public var threads: Int
  public var precision: ElementType
  public var observer: TrainingObserver

  /// - Parameters:
  ///   - checkpoint: where the model is saved; stages after the first find there what they build on.
  ///   - dataSet: whose train split is learnt and whose validation split is measured.
  ///   - threads: replicas of the model that share out each batch; there are no more than a batch has pictures.
  ///   - precision: of the operands of products.
  ///   - observer: told of every step, and may end the run.
  public init(
    checkpoint: Checkpoint, dataSet: PictureDataSet, threads: Int, precision: ElementType,
    observer: TrainingObserver = .init()
  ) {
    self.checkpoint = checkpoint
    self.dataSet = dataSet
    self.threads = threads
    self.precision = precision
    self.observer = observer
  }
}

/// What the trainers of the stages have in common.
protocol StageTrainer {
  var resources: TrainingResources { get }
}

extension StageTrainer {
  var checkpoint: Checkpoint { resources.checkpoint }
  var dataSet: PictureDataSet { resources.dataSet }
  var threads: Int { resources.threads }
  var precision: ElementType { resources.precision }
  var observer: TrainingObserver { resources.observer }

  /// Where a run begins: anew, with a preset chosen, or where the last save was, with the file that holds its tensors.
  /// - Parameter configuration: what `config.json` says at the beginning of a new run; what the checkpoint's says unless
  ///   given.
  /// - Throws: `PipelineError` where a setting makes no sense or there is nothing to resume, or what `configuration` throws.
  func start(
    _ stage: Stage, settings: TrainingSettings, resume: Bool,
    configuration: (() throws(PipelineError) -> CheckpointConfiguration)? = nil
  ) throws(PipelineError) -> (state: TrainingState, saved: SafeTensors?) {
    try settings.validate()
    guard resume else {
      let configuration = if let configuration { try configuration() } else { try checkpoint.readConfiguration() }
      var state = TrainingState(
        stage: stage, configuration: configuration, settings: settings, threads: threads, precision: precision)
      state.settings.preset =
        settings.preset ?? configuration.tokenizerTraining?.settings.preset ?? settings.chosenPreset
      if stage != .imageTokenizer {
        state.settings.captionForms = settings.captionForms ?? CaptionForms.Kind.allCases
      }
      return (state, nil)
    }
    var (state, file) = try checkpoint.readTrainingState(of: stage)
    state.resume(settings, threads: threads, precision: precision, dataSet: dataSet, observer: observer)
    return (state, file)
  }

  /// The forms in which a run reads the training captions; nil where it reads them as they stand.
  func captionForms(_ settings: TrainingSettings) -> CaptionForms? { dataSet.forms(settings.captionForms ?? []) }

  /// Saves a run: all files together. What an earlier run has left moves to the folder `previous` at the first save.
  /// - Parameters:
  ///   - tensors: the model's, as others read them from `file`.
  ///   - file: the model's.
  ///   - replaced: what a new run takes the place of, besides the stage's own file and the training state.
  ///   - what: how a note calls that.
  ///   - isFirst: whether nothing of a new run is saved yet; false afterwards.
  ///   - others: writes what else belongs to the stage.
  func save(
    _ state: TrainingState, _ optimizer: AdamW, buffers: [(name: String, buffer: Buffer)] = [],
    tensors: [(name: String, tensor: Tensor)], to file: KeyPath<Checkpoint, URL>, replacing replaced: [URL] = [],
    _ what: String, isFirst: inout Bool, others: (Checkpoint) throws(PipelineError) -> Void = { _ in }
  ) throws(PipelineError) {
    let setsAside =
      isFirst && checkpoint.exists(checkpoint.configurationFile)
      && ([checkpoint[keyPath: file]] + replaced).contains(where: checkpoint.exists)
    try checkpoint.save(settingAside: setsAside, removing: setsAside ? replaced : []) {
      (save) throws(PipelineError) in
      try state.write(optimizer, buffers: buffers, to: save.trainingStateFile)
      try save.write(state.configuration)
      try SafeTensors.write(tensors, as: .bfloat16, to: save[keyPath: file])
      try ModelCard(checkpoint, state.configuration).write(to: save.modelCardFile)
      try others(save)
    }
    if setsAside { observer.report(.note("\(what) is now in \(checkpoint.previousFolder.relativePath)")) }
    isFirst = false
  }

  /// - Throws: `PipelineError` of kind `.badData` where the data set is not opened at the tokenizer's size.
  func checkPictureSize(_ imageTokenizer: any ImageTokenizer) throws(PipelineError) {
    guard imageTokenizer.pictureSize == dataSet.pictureSize else {
      throw PipelineError(
        .badData,
        "the tokenizer's pictures have \(imageTokenizer.pictureSize) pixels a side, the data's \(dataSet.pictureSize)")
    }
  }
}
