import Corpus
import Foundation
import LatentModels
import NN
import TensorCore

/// What a training run tells whoever watches it.
public enum TrainingEvent: Sendable {
  /// A step was made.
  case step(TrainingProgress)
  /// Something worth knowing, in words.
  case note(String)
  /// Something was measured on held-out pictures, worded for a person.
  case validation(String)
  /// The state was saved after this many steps.
  case saved(step: Int)
}

/// Where a run stands.
public struct TrainingProgress: Sendable {
  public var step: Int
  /// Time spent training so far, over all parts of the run.
  public var seconds: Double
  /// The share of the run that is done, in 0 ... 1.
  public var fraction: Double
  public var loss: Float
  public var learningRate: Float
  public var picturesPerSecond: Double
  /// Seconds until the end, as far as one can tell.
  public var secondsLeft: Double
}

/// Who watches a training run and may end it.
public struct TrainingObserver: Sendable {
  public var report: @Sendable (TrainingEvent) -> Void
  /// Asked after every step; true saves and ends the run.
  public var shouldStop: @Sendable () -> Bool

  public init(
    report: @escaping @Sendable (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping @Sendable () -> Bool = { false }
  ) {
    self.report = report
    self.shouldStop = shouldStop
  }
}

/// Which stage a training state belongs to.
enum Stage: String, Sendable {
  case imageTokenizer = "image-tokenizer"
  case prior
  case ranker

  /// What messages call it.
  var name: String {
    switch self {
    case .imageTokenizer: "image tokenizer"
    case .prior: "prior"
    case .ranker: "ranker"
    }
  }
}

/// The training state on disk: weights, moments, average, buffers, where the run stood, and what `config.json` says.
/// With it a run goes on bit for bit as if it had not been interrupted, whichever of the checkpoint's files a kill kept
/// from being written.
struct TrainingState {
  var stage: Stage
  var configuration: CheckpointConfiguration
  var step = 0
  /// Time spent training so far, over all parts of the run.
  var seconds = 0.0
  var settings: TrainingSettings
  var threads: Int
  var precision: ElementType

  /// - Parameter buffers: the model's; they are no part of the store.
  func write(_ optimizer: AdamW, buffers: [(name: String, buffer: Buffer)], to url: URL) throws(PipelineError) {
    let store = optimizer.store
    var tensors: [(name: String, tensor: Tensor)] = []
    func add(_ prefix: String, _ memory: Tensor?) {
      guard let memory else { return }
      tensors += store.named(memory).map { ("\(prefix).\($0.name)", $0.tensor) }
    }
    add("weights", store.values)
    add("first_moment", optimizer.firstMoment)
    add("second_moment", optimizer.secondMoment)
    add("average", optimizer.average)
    tensors += buffers.map { ("buffers.\($0.name)", $0.buffer.value) }
    guard let json = try? JSONEncoder().encode(settings) else {
      throw PipelineError(.inputOutput, "cannot describe the training state")
    }
    let configuration = String(decoding: try configuration.json(), as: UTF8.self)
    try SafeTensors.write(
      tensors,
      metadata: [
        "stage": stage.rawValue, "step": "\(step)", "seconds": "\(seconds)", "threads": "\(threads)",
        "precision": precision.rawValue, "settings": String(decoding: json, as: UTF8.self),
        "configuration": configuration,
      ], to: url)
  }

  /// Reads where a run stood; its tensors follow by ``restore(_:buffers:from:)``.
  static func read(from url: URL, stage: Stage) throws(PipelineError) -> (state: TrainingState, file: SafeTensors) {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw PipelineError(
        .noInput, "there is nothing to resume: \(url.path) does not exist; leave --resume out to begin")
    }
    let file = try SafeTensors(contentsOf: url)
    let metadata = file.metadata
    guard let stored = metadata["stage"].flatMap(Stage.init), let step = metadata["step"].flatMap(Int.init),
      let seconds = metadata["seconds"].flatMap(Double.init), let threads = metadata["threads"].flatMap(Int.init),
      let precision = metadata["precision"].flatMap(ElementType.init), let json = metadata["settings"],
      let settings = try? JSONDecoder().decode(TrainingSettings.self, from: Data(json.utf8)),
      let configuration = metadata["configuration"], step >= 0, seconds >= 0
    else { throw PipelineError(.badData, "\(url.path) is not a training state that this version can resume") }
    guard stored == stage else {
      throw PipelineError(
        .usage,
        "there is nothing to resume: \(url.path) is the \(stored.name)'s state, not the \(stage.name)'s; "
          + "leave --resume out to begin")
    }
    let state = TrainingState(
      stage: stage, configuration: try CheckpointConfiguration(json: Data(configuration.utf8), of: url.path),
      step: step, seconds: seconds, settings: settings, threads: threads, precision: precision)
    return (state, file)
  }

  func restore(
    _ optimizer: AdamW, buffers: [(name: String, buffer: Buffer)], from file: SafeTensors
  ) throws(PipelineError) {
    let store = optimizer.store
    func restore(_ prefix: String, _ memory: Tensor?) throws(PipelineError) {
      guard let memory else { return }
      for (name, tensor) in store.named(memory) { try file.read("\(prefix).\(name)", into: tensor) }
    }
    try restore("weights", store.values)
    try restore("first_moment", optimizer.firstMoment)
    try restore("second_moment", optimizer.secondMoment)
    try restore("average", optimizer.average)
    for (name, buffer) in buffers { try file.read("buffers.\(name)", into: buffer.value) }
    optimizer.resume(at: step)
  }
}

/// Runs the steps of one stage: schedule, reports, validation, saves and the end. What a step, a validation and a save
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

  struct StepReport {
    var loss: Float
    var gradientNorm: Float
    /// More numbers for the log, by their names there.
    var metrics: [(name: String, value: Double)]
  }

  /// - Parameters:
  ///   - start: steps and seconds of the run's earlier parts.
  ///   - step: makes one optimizer step, given the number of those before and the share of the run that is done.
  ///   - validate: measures on held-out pictures, leaves pictures to look at, and returns numbers for the log.
  ///   - save: writes everything, given steps and seconds so far.
  /// - Throws: what the closures throw, and `PipelineError` of kind `.usage` where the learning rate diverges.
  func run(
    from start: (step: Int, seconds: Double),
    step makeStep: (_ step: Int, _ learningRate: Float, _ progress: Double) throws(PipelineError) -> StepReport,
    validate: (_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)],
    save: (_ step: Int, _ seconds: Double) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    let clock = ContinuousClock()
    let began = clock.now
    func seconds() -> Double { start.seconds + began.duration(to: clock.now).inSeconds }
    var step = start.step
    var nextSave = start.seconds + (start.step == 0 ? Self.firstSave : Self.saveInterval)
    var lastValidation = start.seconds
    var badSteps = 0
    var done = bound.progress(step: step, stepsPerEpoch: stepsPerEpoch, seconds: start.seconds)
    if done >= 1 {
      observer.report(.note("the run is complete already; a larger --steps, --epochs or --minutes goes on"))
      return
    }
    while true {
      let learningRate = schedule.rate(step: step, progress: done)
      let stepBegan = clock.now
      let report = try makeStep(step, learningRate, done)
      step += 1
      let stepSeconds = stepBegan.duration(to: clock.now).inSeconds
      badSteps = report.gradientNorm.isFinite ? 0 : badSteps + 1
      if badSteps == 20 {
        throw PipelineError(
          .usage,
          "the learning rate of \(learningRate) diverges: the loss is \(report.loss) at step \(step); "
            + "lower --learning-rate. The last save is untouched")
      }
      // The time is asked for once a step: a bound in minutes must not be met between two questions.
      let now = seconds()
      done = bound.progress(step: step, stepsPerEpoch: stepsPerEpoch, seconds: now)
      let isComplete = done >= 1
      let progress = TrainingProgress(
        step: step, seconds: now, fraction: min(1, done), loss: report.loss, learningRate: learningRate,
        picturesPerSecond: Double(batchSize) / max(stepSeconds, 1e-9),
        secondsLeft: secondsLeft(step: step, from: start, now: now))
      log.append(
        step: step, seconds: now,
        [
          ("loss", Double(report.loss)), ("learning_rate", Double(learningRate)),
          ("gradient_norm", Double(report.gradientNorm)), ("pictures_per_second", progress.picturesPerSecond),
        ] + report.metrics)
      observer.report(.step(progress))
      let isStopping = !isComplete && observer.shouldStop()
      // Whoever stops a run may not wait for long: it is saved first, and not measured.
      if isComplete || (!isStopping && now - lastValidation >= Self.validationInterval) {
        log.append(step: step, seconds: now, try validate(progress))
        lastValidation = seconds()
      }
      let isDue = saveEvery.map { step % $0 == 0 } ?? (now >= nextSave)
      if isComplete || isStopping || isDue {
        try save(step, seconds())
        try log.write()
        nextSave = seconds() + Self.saveInterval
        observer.report(.saved(step: step))
      }
      if isStopping { observer.report(.note("stopped after a save at step \(step); --resume goes on from here")) }
      if isComplete || isStopping { return }
    }
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

  /// What `config.json` tells of the run.
  func summary(
    batchSize: Int, pictures: Int, validation: Double?, retrieval: CheckpointConfiguration.RetrievalProgress? = nil
  ) -> CheckpointConfiguration.TrainingSummary {
    CheckpointConfiguration.TrainingSummary(
      steps: step, epochs: (100 * Double(step * batchSize) / Double(pictures)).rounded() / 100,
      minutes: (seconds / 6).rounded() / 10, threads: threads, precision: precision, engine: Engine.name,
      settings: settings, validation: validation, retrieval: retrieval)
  }
}

extension NoiseStream {
  /// The random numbers that a model draws for itself in one shard of a training step.
  static func training(seed: UInt64, step: Int, shard: Int) -> NoiseStream {
    // Purpose (8 bits), step (32), shard (24).
    NoiseStream(
      seed: seed, stream: 0x70 << 56 | UInt64(UInt32(truncatingIfNeeded: step)) << 24 | UInt64(shard))
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
