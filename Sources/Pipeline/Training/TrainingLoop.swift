import Basics
import Checkpoints
import Datasets
import Optimization
import TensorCore

/// The descent of one stage, with its reports, validations and saves. What a step, a validation and a save
/// are is the stage's business.
struct TrainingLoop {
  let schedule: LearningRateSchedule
  let bound: TrainingBound
  let batchSize: Int
  let stepsPerEpoch: Double
  let saveEvery: Int?
  let observer: TrainingObserver
  let log: TrainingLog

  /// Seconds until the first save and between the others where no number of steps is given, and between validations.
  private static let firstSave = 10.0
  private static let saveInterval = 90.0
  private static let validationInterval = 60.0

  /// - Parameters:
  ///   - start: steps and seconds of the run's earlier parts.
  ///   - step: makes one optimizer step, given the number of those before and the share of the run that is done.
  ///   - validate: measures on held-out pictures, leaves pictures to look at, and returns numbers for the log.
  ///   - save: writes everything, given steps and seconds so far.
  /// - Throws: what the closures throw, and `PipelineError` of kind `.usage` where the learning rate diverges.
  func run(
    from start: (step: Int, seconds: Double),
    step makeStep: (_ step: Int, _ learningRate: Float, _ progress: Double) throws(PipelineError) -> DescentLoop.Result,
    validate: (_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)],
    save: (_ step: Int, _ seconds: Double) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    let descent = DescentLoop(schedule: schedule, bound: bound, stepsPerEpoch: stepsPerEpoch)
    if descent.fraction(step: start.step, seconds: start.seconds) >= 1 {
      observer.report(.note("the run is complete already; a larger --steps, --epochs or --minutes goes on"))
      return
    }
    let began = ContinuousClock.now
    func seconds() -> Double { start.seconds + began.duration(to: .now).inSeconds }
    var nextSave = start.seconds + (start.step == 0 ? Self.firstSave : Self.saveInterval)
    var lastValidation = start.seconds
    try descent.run(
      from: start, advice: "lower --learning-rate. The last save is untouched", step: makeStep,
      after: { (descent, report) throws(PipelineError) in
        let (step, now) = (descent.step, descent.seconds)
        let progress = TrainingProgress(
          step: step, seconds: now, fraction: min(1, descent.fraction), loss: report.loss,
          learningRate: descent.learningRate,
          picturesPerSecond: Double(batchSize) / max(descent.stepSeconds, 1e-9),
          secondsLeft: secondsLeft(step: step, from: start, now: now))
        try log.append(
          step: step, seconds: now,
          [
            ("loss", Double(report.loss)), ("learning_rate", Double(descent.learningRate)),
            ("gradient_norm", Double(report.gradientNorm)), ("pictures_per_second", progress.picturesPerSecond),
          ] + report.metrics)
        observer.report(.step(progress))
        let isStopping = !descent.isComplete && observer.shouldStop()
        // Whoever stops a run may not wait for long: it is saved first, and not measured.
        if descent.isComplete || (!isStopping && now - lastValidation >= Self.validationInterval) {
          try log.append(step: step, seconds: now, validate(progress))
          lastValidation = seconds()
        }
        let isDue = saveEvery.map { step % $0 == 0 } ?? (now >= nextSave)
        if descent.isComplete || isStopping || isDue {
          try save(step, seconds())
          try log.write()
          nextSave = seconds() + Self.saveInterval
          observer.report(.saved(step: step))
        }
        if isStopping { observer.report(.note("stopped after a save at step \(step); --resume goes on from here")) }
        return !isStopping
      })
  }

  private func secondsLeft(step: Int, from start: (step: Int, seconds: Double), now: Double) -> Double {
    let perStep = (now - start.seconds) / Double(max(1, step - start.step))
    switch bound {
    case .minutes(let minutes): return max(0, 60 * minutes - now)
    case .steps(let count): return perStep * Double(count - step)
    case .epochs(let count): return perStep * max(0, count * stepsPerEpoch - Double(step))
    }
  }
}

extension TrainingState {
  /// The state to go on with: its own settings hold, but for where the run ends and how often it is saved.
  ///
  /// What keeps a resumed run from being the unbroken one is said, not forbidden.
  mutating func resume(
    _ requested: TrainingSettings, threads: Int, precision: ElementType, dataSet: PictureDataSet,
    observer: TrainingObserver
  ) {
    if let bound = requested.bound { settings.bound = bound }
    if let saveEvery = requested.saveEvery { settings.saveEvery = saveEvery }
    observer.report(.note("resuming after step \(step) with the settings of the run's beginning: \(settings.flags)"))
    if self.threads != threads {
      observer.report(
        .note("the run began with --threads \(self.threads); its weights will differ in the last bits"))
    }
    if self.precision != precision {
      observer.report(.note("the run began with --precision \(self.precision.rawValue); its weights will differ"))
    }
    if let data = configuration.data, data.fingerprint != dataSet.fingerprint {
      observer.report(.note("the data set is not the one that the run began with"))
    }
    (self.threads, self.precision) = (threads, precision)
  }
}
