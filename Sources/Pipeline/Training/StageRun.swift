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
  let processes: any TrainingProcesses
  let team: ThreadTeam
  let replicas: ReplicaTrainer
  /// The stage's model, then its companions.
  private var trained: [TrainingState.Trained]
  private var companions: [ReplicaTrainer] = []
  /// What is gone on from.
  private let saved: SafeTensors?
  private let loader: BatchLoader
  private let batches: PrefetchingLoader
  /// Of the first process.
  private let log: TrainingLog?
  private let lock: CheckpointLock?
  /// Whether nothing of a new run is saved yet.
  private var isFirstSave: Bool
  /// Whether the run has come to its end.
  private var isComplete = false
  /// What failed, and was said.
  private var failures: Set<String> = []

  /// Where a step stands in the run.
  struct Place {
    /// Steps made before it.
    var step: Int
    var learningRate: Float
    /// The share of the run that is done.
    var progress: Double
  }

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
    processes = resources.processes
    let threads = resources.replicas(batchSize: plan.batchSize)
    state.threads = threads * processes.count
    guard plan.batchSize >= processes.count else {
      throw PipelineError(
        .usage, "a batch of \(plan.batchSize) pictures is too small for \(processes.count) processes; raise `batchSize`"
      )
    }
    team = try ThreadTeam(count: threads)
    if saved != nil && state.threads != start.threads {
      resources.observer.report(
        .note(
          "the run began with `threads` \(start.threads) and goes on with \(state.threads); its weights will differ in the last bits"
        ))
    }
    try processes.agree(on: [
      ("the stage", start.stage.rawValue), ("its settings", try start.settings.json()),
      ("the step to go on from", "\(start.step)"),
      ("`threads`", "\(team.count)"), ("`precision`", resources.precision.rawValue),
      ("the data set's fingerprint", resources.dataSet.fingerprint),
      ("the vocabulary", start.foundation?.vocabulary ?? ""),
      ("the image tokenizer", start.foundation?.imageTokenizer ?? ""),
    ])
    replicas = ReplicaTrainer(
      model, precision: resources.precision, options: options, team: team, processes: processes)
    trained = [TrainingState.Trained(model, replicas.optimizer)]
    self.saved = saved
    if let saved { try start.restore(trained[0], from: saved) }
    if processes.count > 1 {
      var weights = FNV1a()
      for (name, tensor) in model.namedTensors() {
        weights.combine(name.utf8)
        tensor.scalars.withUnsafeBytes { weights.combine($0) }
      }
      try processes.agree(on: [("the weights to begin with", weights.hexadecimal)])
    }
    if processes.isFirst {
      lock = try resources.checkpoint.create()
      log = TrainingLog(
        folder: resources.checkpoint.logFolder, stage: start.stage, resumingAt: saved.map { _ in start.step })
    } else {
      (lock, log) = (nil, nil)
    }
    batches = PrefetchingLoader(
      loader, startingAt: start.step, depth: 4,
      threads: Self.spareThreads(beside: team.count, processes: processes.count))
    isFirstSave = saved == nil
  }

  /// Cores that train nothing prepare batches; there is always one thread that does. Where there are other processes, they may
  /// have the cores.
  private static func spareThreads(beside replicas: Int, processes: Int) -> Int {
    processes > 1 ? 1 : max(1, min(4, ProcessInfo.processInfo.activeProcessorCount - replicas))
  }

  /// Has a further model saved with the stage's own, and puts back what was saved of it.
  /// - Parameters:
  ///   - companion: trained beside the stage's model, and of no use without it.
  ///   - replicas: train the companion.
  ///   - name: stands before the names of its tensors.
  /// - Throws: `PipelineError` where what is saved does not do.
  func adopt(_ companion: some Module, _ replicas: ReplicaTrainer, named name: String) throws(PipelineError) {
    let new = TrainingState.Trained(companion, replicas.optimizer, prefix: name + ".")
    if let saved { try state.restore(new, from: saved) }
    trained.append(new)
    companions.append(replicas)
  }

  var optimizer: AdamW { replicas.optimizer }
  var settings: TrainingSettings { state.settings }
  var observer: TrainingObserver { resources.observer }

  /// - Throws: what the task's steps throw, and `PipelineError` of kind `.usage` where the learning rate diverges.
  func run(_ task: some StageTask) throws(PipelineError) {
    let start = (step: state.step, seconds: state.seconds)
    let descent = DescentLoop(
      schedule: LearningRateSchedule(peak: plan.learningRate, warmUpSteps: 100), bound: plan.bound,
      stepsPerEpoch: stepsPerEpoch)
    if descent.fraction(step: start.step, seconds: start.seconds) >= 1 {
      observer.report(.note("the run is complete already; a larger `bound` goes on"))
      return
    }
    var timetable = Timetable(from: start)
    try descent.run(
      from: start, agree: processes.first, advice: "lower `learningRate`. The last save is untouched",
      step: { (step, learningRate, progress) throws(PipelineError) in
        let batch = try nextBatch(task, afterStep: step, seconds: timetable.seconds)
        return try task.step(batch, Place(step: step, learningRate: learningRate, progress: progress))
      },
      after: { (descent, result) throws(PipelineError) in
        let progress = progress(descent, loss: result.loss, from: start)
        record(progress, result)
        observer.report(.step(progress))
        let next = next(after: descent, timetable, task)
        if next.measures || next.saves { bringTogether() }
        if next.measures {
          measure(task, progress)
          timetable.lastValidation = timetable.seconds
        }
        if next.saves {
          isComplete = descent.isComplete
          try save(task, step: descent.step, seconds: timetable.seconds)
          timetable.nextSave = timetable.seconds + Timetable.saveInterval
          observer.report(.saved(step: descent.step))
        }
        if next.stops {
          observer.report(
            .note(
              next.isFalseStart
                ? "stopped before the first save: nothing in \(resources.checkpoint.url.relativePath) was changed"
                : "stopped after a save at step \(descent.step); `resume` goes on from here"))
        }
        return !next.stops
      })
  }

  /// When something is due by the clock, in seconds of the run.
  private struct Timetable {
    /// Seconds until the first save and between the others where no number of steps is given, and between validations.
    static let firstSave = 10.0
    static let saveInterval = 90.0
    static let validationInterval = 60.0

    private let start: Double
    private let began = SuspendingClock.now
    var nextSave: Double
    var lastValidation: Double

    init(from start: (step: Int, seconds: Double)) {
      self.start = start.seconds
      nextSave = start.seconds + (start.step == 0 ? Self.firstSave : Self.saveInterval)
      lastValidation = start.seconds
    }

    var seconds: Double { start + began.duration(to: .now).inSeconds }
  }

  /// Where pictures cannot be read any more, what was learnt is saved before the run ends. Of several processes each may have come
  /// to another place by then, and the last save stands.
  private func nextBatch(
    _ task: some StageTask, afterStep step: Int, seconds: Double
  ) throws(PipelineError) -> Batch {
    do { return try batches.next() } catch {
      if processes.count == 1 && step > state.step { try? save(task, step: step, seconds: seconds) }
      throw error
    }
  }

  private func progress(
    _ descent: DescentLoop.Progress, loss: Float, from start: (step: Int, seconds: Double)
  ) -> TrainingProgress {
    TrainingProgress(
      step: descent.step, seconds: descent.seconds, fraction: min(1, descent.fraction), loss: loss,
      learningRate: descent.learningRate, picturesPerSecond: Double(plan.batchSize) / max(descent.stepSeconds, 1e-9),
      secondsLeft: secondsLeft(step: descent.step, from: start, now: descent.seconds))
  }

  private func record(_ progress: TrainingProgress, _ result: DescentLoop.Result) {
    attempt { () throws(PipelineError) in
      try log?.append(
        step: progress.step, seconds: progress.seconds,
        [
          ("loss", Double(progress.loss)), ("learning_rate", Double(progress.learningRate)),
          ("gradient_norm", Double(result.gradientNorm)), ("pictures_per_second", progress.picturesPerSecond),
        ] + result.metrics)
    }
  }

  private func measure(_ task: some StageTask, _ progress: TrainingProgress) {
    guard processes.isFirst else { return }
    attempt { () throws(PipelineError) in
      try log?.append(step: progress.step, seconds: progress.seconds, task.validate(progress))
    }
  }

  /// Does what can fail without anything being lost of what was learnt: the failure is said, each once.
  private func attempt(_ body: () throws(PipelineError) -> Void) {
    do { try body() } catch {
      if failures.insert(error.message).inserted { observer.report(.note(error.message)) }
    }
  }

  /// What follows a step.
  private struct Next {
    var stops, measures, saves: Bool
    /// Whether the run stops so soon that it was begun by mistake: a model that it would take the place of stays, and so does what
    /// was set aside for that one.
    var isFalseStart: Bool
  }

  private func next(
    after descent: DescentLoop.Progress, _ timetable: Timetable, _ task: some StageTask
  ) -> Next {
    // Processes that go on their own in between are not brought together by the clock, so that a run repeats itself.
    let isTogether = ([replicas] + companions).allSatisfy(\.isTogether)
    var next = agreed(
      Next(
        stops: !descent.isComplete && observer.shouldStop(),
        measures: isTogether && descent.seconds - timetable.lastValidation >= Timetable.validationInterval,
        saves: settings.saveEvery.map { descent.step % $0 == 0 }
          ?? (isTogether && descent.seconds >= timetable.nextSave),
        isFalseStart: descent.seconds < Timetable.firstSave && replacedName(task) != nil))
    next.isFalseStart = next.isFalseStart && next.stops && !next.saves && !descent.isComplete
    // Whoever stops a run may not wait for long: it is saved first, and not measured.
    next.measures = descent.isComplete || (next.measures && !next.stops)
    next.saves = !next.isFalseStart && (descent.isComplete || next.stops || next.saves)
    return next
  }

  /// The first process decides for all, but for an end, which any may ask for.
  private func agreed(_ own: Next) -> Next {
    guard processes.count > 1 else { return own }
    let isFirst = processes.isFirst
    let sums = processes.sum(
      [own.stops, isFirst && own.measures, isFirst && own.saves, isFirst && own.isFalseStart].map { $0 ? 1 : 0 })
    return Next(stops: sums[0] > 0, measures: sums[1] > 0, saves: sums[2] > 0, isFalseStart: sums[3] > 0)
  }

  /// Has the first process know all that processes have of the models.
  private func bringTogether() {
    for replicas in [replicas] + companions {
      replicas.join()
      replicas.collect()
    }
  }

  /// The losses and the like of all replicas, summed in their order.
  /// - Parameter numbers: of each of this process's.
  func sums(_ numbers: [[Float]]) -> [Float] {
    let all = replicas.gather(numbers.map { [("numbers", Tensor($0, shape: [$0.count]))] }).map { $0[0].tensor.scalars }
    return all.dropFirst().reduce(all[0]) { zip($0, $1).map(+) }
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
  private func save(_ task: some StageTask, step: Int, seconds: Double) throws(PipelineError) {
    (state.step, state.seconds) = (step, seconds)
    guard processes.isFirst else { return }
    let checkpoint = resources.checkpoint
    let replacedName = replacedName(task)
    let keepsGallery = replacedName == nil || !task.replaced.contains(checkpoint.galleryFile)
    let losesFigures = isFirstSave && replacedName == nil && ModelCard.hasFigures(checkpoint.modelCardFile)
    var configuration = state.configuration
    task.describe(self, in: &configuration)
    state.configuration = configuration
    try checkpoint.save(settingAside: replacedName != nil, removing: replacedName == nil ? [] : task.replaced) {
      (save) throws(PipelineError) in
      try state.write(trained, to: save.trainingStateFile)
      try save.write(state.configuration)
      try SafeTensors.write(task.tensors(), as: .bfloat16, to: save[keyPath: task.file])
      try ModelCard(checkpoint, state.configuration, showsGallery: keepsGallery).write(to: save.modelCardFile)
      try task.writeRest(to: save, isFirst: isFirstSave)
    }
    if let replacedName {
      observer.report(.note("\(replacedName) is now in \(checkpoint.previousFolder.relativePath)"))
    }
    if losesFigures {
      observer.report(.note("the model card has no figures any more: `dalle-cli evaluate --card` measures them anew"))
    }
    isFirstSave = false
    attempt { () throws(PipelineError) in try log?.write() }
  }

  /// What the first save takes the place of, in words: a model, or the state of a run that has not come to its end and may be resumed.
  private func replacedName(_ task: some StageTask) -> String? {
    let checkpoint = resources.checkpoint
    guard isFirstSave, checkpoint.exists(checkpoint.configurationFile) else { return nil }
    let files = [checkpoint[keyPath: task.file]] + task.replaced
    if files.contains(where: checkpoint.exists) { return task.replacedName }
    let runs = [\CheckpointConfiguration.tokenizerTraining, \.upsamplerTraining, \.priorTraining, \.rankerTraining]
    let isStopped = runs.contains { state.configuration[keyPath: $0]?.isComplete == false }
    return isStopped && checkpoint.exists(checkpoint.trainingStateFile)
      ? "what was here, the state of a run that can be resumed among it," : nil
  }

  /// What `config.json` tells of the run, in the course of it.
  func summary(
    validation: Double?, retrieval: CheckpointConfiguration.RetrievalProgress? = nil
  ) -> CheckpointConfiguration.TrainingSummary {
    var summary = state.summary(
      epochs: Double(state.step) / stepsPerEpoch, validation: validation, retrieval: retrieval)
    summary.isComplete = isComplete
    return summary
  }
}
