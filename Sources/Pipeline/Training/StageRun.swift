import ArrayFiles
import Basics
import Checkpoints
import Datasets
import Evaluation
import Foundation
import NN
import Optimization
import TensorCore

/// What a stage makes of a training run: its steps, what it measures, and what it saves. All else is ``StageRun``'s.
protocol StageTask: AnyObject {
  /// Makes one optimizer step.
  func step(_ batch: Batch, _ place: StageRun.Place) throws(PipelineError) -> DescentLoop.Result

  /// Measures on held-out pictures, leaves pictures to look at in the log's folder, and returns numbers for the log.
  func validate(_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)]

  /// Says in `config.json` how far the run has come.
  func describe(_ run: StageRun, in configuration: inout CheckpointConfiguration)

  /// The file of the model that others read, and what it holds.
  var file: KeyPath<Checkpoint, URL> { get }
  func tensors() -> [NamedTensor]

  /// What a new run takes the place of, besides the stage's own file and the training state, and what a note calls all that.
  var replaced: [URL] { get }
  var replacedName: String { get }

  /// Writes what else belongs to the stage.
  func writeRest(to save: Checkpoint, isFirst: Bool) throws(PipelineError)
}

extension StageTask {
  var replaced: [URL] { [] }
  func writeRest(to save: Checkpoint, isFirst: Bool) {}
}

/// A training run of any stage: from what was saved or anew, through the descent with its reports, measurements and saves.
final class StageRun {
  let resources: TrainingResources
  private(set) var state: TrainingState
  let plan: TrainingSettings.Plan
  let team: ThreadTeam
  let optimizer: AdamW
  let replicas: ReplicaTrainer
  /// The stage's model, then its companions.
  private var trained: [TrainingState.Trained]
  /// What is gone on from.
  private let saved: SafeTensors?
  private let loader: BatchLoader
  private let batches: PrefetchingLoader
  private let log: TrainingLog
  private let lock: CheckpointLock
  /// Whether nothing of a new run is saved yet.
  private var isFirstSave: Bool
  /// Whether the run has come to its end.
  private var isComplete = false

  /// Where a step stands in the run.
  struct Place {
    /// Steps made before it.
    var step: Int
    var learningRate: Float
    /// The share of the run that is done.
    var progress: Double
  }

  /// Seconds until the first save and between the others where no number of steps is given, and between validations.
  private static let firstSave = 10.0
  private static let saveInterval = 90.0
  private static let validationInterval = 60.0

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - start: where it begins, with all settings chosen.
  ///   - saved: the file to go on from; nil for a new run.
  ///   - model: with initial weights.
  ///   - options: of the optimizer.
  ///   - plan: what the settings come to.
  ///   - loader: of batches.
  /// - Throws: `PipelineError` where what is saved does not do, or the folder takes no files.
  init(
    _ resources: TrainingResources, _ start: TrainingState, from saved: SafeTensors?, _ model: some Module,
    _ options: AdamW.Options, _ plan: TrainingSettings.Plan, _ loader: BatchLoader
  ) throws(PipelineError) {
    (self.resources, state, self.plan, self.loader) = (resources, start, plan, loader)
    team = try ThreadTeam(count: min(resources.threads, plan.batchSize))
    optimizer = AdamW(ParameterStore(model, precision: resources.precision), options: options)
    trained = [TrainingState.Trained(model, optimizer)]
    self.saved = saved
    if let saved { try start.restore(trained[0], from: saved) }
    lock = try resources.checkpoint.create()
    replicas = ReplicaTrainer(optimizer, team: team)
    batches = PrefetchingLoader(loader, startingAt: start.step)
    log = TrainingLog(
      folder: resources.checkpoint.logFolder, stage: start.stage, resumingAt: saved.map { _ in start.step })
    isFirstSave = saved == nil
  }

  /// Has a further model saved with the stage's own, and puts back what was saved of it.
  /// - Parameters:
  ///   - companion: trained beside the stage's model, and of no use without it.
  ///   - optimizer: of the companion.
  ///   - name: stands before the names of its tensors.
  /// - Throws: `PipelineError` where what is saved does not do.
  func adopt(_ companion: some Module, _ optimizer: AdamW, named name: String) throws(PipelineError) {
    let new = TrainingState.Trained(companion, optimizer, prefix: name + ".")
    if let saved { try state.restore(new, from: saved) }
    trained.append(new)
  }

  var settings: TrainingSettings { state.settings }
  var observer: TrainingObserver { resources.observer }

  /// - Throws: what the task throws, and `PipelineError` of kind `.usage` where the learning rate diverges.
  func run(_ task: some StageTask) throws(PipelineError) {
    let start = (step: state.step, seconds: state.seconds)
    let descent = DescentLoop(
      schedule: LearningRateSchedule(peak: plan.learningRate, warmUpSteps: 100), bound: plan.bound,
      stepsPerEpoch: stepsPerEpoch)
    if descent.fraction(step: start.step, seconds: start.seconds) >= 1 {
      observer.report(.note("the run is complete already; a larger `bound` goes on"))
      return
    }
    let began = ContinuousClock.now
    func seconds() -> Double { start.seconds + began.duration(to: .now).inSeconds }
    var nextSave = start.seconds + (start.step == 0 ? Self.firstSave : Self.saveInterval)
    var lastValidation = start.seconds
    try descent.run(
      from: start, advice: "lower `learningRate`. The last save is untouched",
      step: { (step, learningRate, progress) throws(PipelineError) in
        try task.step(batches.next(), Place(step: step, learningRate: learningRate, progress: progress))
      },
      after: { (descent, result) throws(PipelineError) in
        let (step, now) = (descent.step, descent.seconds)
        let progress = TrainingProgress(
          step: step, seconds: now, fraction: min(1, descent.fraction), loss: result.loss,
          learningRate: descent.learningRate,
          picturesPerSecond: Double(plan.batchSize) / max(descent.stepSeconds, 1e-9),
          secondsLeft: secondsLeft(step: step, from: start, now: now))
        try log.append(
          step: step, seconds: now,
          [
            ("loss", Double(result.loss)), ("learning_rate", Double(descent.learningRate)),
            ("gradient_norm", Double(result.gradientNorm)), ("pictures_per_second", progress.picturesPerSecond),
          ] + result.metrics)
        observer.report(.step(progress))
        let isStopping = !descent.isComplete && observer.shouldStop()
        // Whoever stops a run may not wait for long: it is saved first, and not measured.
        if descent.isComplete || (!isStopping && now - lastValidation >= Self.validationInterval) {
          try log.append(step: step, seconds: now, task.validate(progress))
          lastValidation = seconds()
        }
        let isDue = settings.saveEvery.map { step % $0 == 0 } ?? (now >= nextSave)
        if descent.isComplete || isStopping || isDue {
          (state.step, state.seconds) = (step, seconds())
          isComplete = descent.isComplete
          try save(task)
          try log.write()
          nextSave = seconds() + Self.saveInterval
          observer.report(.saved(step: step))
        }
        if isStopping { observer.report(.note("stopped after a save at step \(step); `resume` goes on from here")) }
        return !isStopping
      })
  }

  private var stepsPerEpoch: Double {
    Double(loader.indices.count) / (Double(plan.batchSize) * (1 - (loader.compositions?.share ?? 0)))
  }

  private func secondsLeft(step: Int, from start: (step: Int, seconds: Double), now: Double) -> Double {
    let perStep = (now - start.seconds) / Double(max(1, step - start.step))
    switch plan.bound {
    case .minutes(let minutes): return max(0, 60 * minutes - now)
    case .steps(let count): return perStep * Double(count - step)
    case .epochs(let count): return perStep * max(0, count * stepsPerEpoch - Double(step))
    }
  }

  /// Saves the run: all files together. What an earlier run has left moves to the folder `previous` at the first save.
  private func save(_ task: some StageTask) throws(PipelineError) {
    let checkpoint = resources.checkpoint
    var configuration = state.configuration
    task.describe(self, in: &configuration)
    state.configuration = configuration
    let setsAside =
      isFirstSave && checkpoint.exists(checkpoint.configurationFile)
      && ([checkpoint[keyPath: task.file]] + task.replaced).contains(where: checkpoint.exists)
    try checkpoint.save(settingAside: setsAside, removing: setsAside ? task.replaced : []) {
      (save) throws(PipelineError) in
      try state.write(trained, to: save.trainingStateFile)
      try save.write(state.configuration)
      try SafeTensors.write(task.tensors(), as: .bfloat16, to: save[keyPath: task.file])
      try ModelCard(checkpoint, state.configuration).write(to: save.modelCardFile)
      try task.writeRest(to: save, isFirst: isFirstSave)
    }
    if setsAside { observer.report(.note("\(task.replacedName) is now in \(checkpoint.previousFolder.relativePath)")) }
    isFirstSave = false
  }

  /// What `config.json` tells of the run, in the course of it.
  func summary(
    validation: Double?, retrieval: CheckpointConfiguration.RetrievalProgress? = nil
  ) -> CheckpointConfiguration.TrainingSummary {
    var summary = state.summary(
      batchSize: plan.batchSize, pictures: loader.indices.count, validation: validation, retrieval: retrieval)
    summary.isComplete = isComplete
    return summary
  }
}
