import ArrayFiles
import Basics
import Captions
import Checkpoints
import Compositions
import Datasets
import Evaluation
import Foundation
import ImageTokenizers
import Lexicon
import NN
import Optimization
import TensorCore
import TextTokenizer

/// What a training run of any stage works with.
///
/// ```swift
/// let resources = TrainingResources(
///   checkpoint: Checkpoint(URL(filePath: "checkpoints/mine")), dataSet: dataSet)
/// var settings = TrainingSettings()
/// settings.bound = .minutes(30)
/// try ImageTokenizerTrainer(resources).train(settings: settings, resume: false)
/// try PriorTrainer(resources).train(settings: settings, resume: false)
/// ```
public struct TrainingResources: Sendable {
  public var checkpoint: Checkpoint
  public var dataSet: PictureDataSet
  public var threads: Int
  public var precision: ElementType
  public var observer: TrainingObserver
  /// Where WordNet is looked for, which captions' synonyms come from.
  public var wordNetFolder: URL
  /// Those that train together with this one, which was started like them.
  package var processes: any TrainingProcesses = SingleProcess()

  /// - Parameters:
  ///   - checkpoint: where the model is saved; stages after the first find there what they build on.
  ///   - dataSet: whose train split is learnt and whose validation split is measured.
  ///   - threads: replicas of the model that share out each batch; all cores unless told otherwise, and no more than a batch has
  ///     pictures.
  ///   - precision: of the operands of products; that in which this CPU is fastest unless told otherwise.
  ///   - observer: told of every step, and may end the run.
  ///   - wordNetFolder: where WordNet is looked for; runs do without it where it is not there.
  public init(
    checkpoint: Checkpoint, dataSet: PictureDataSet,
    threads: Int = ProcessInfo.processInfo.activeProcessorCount, precision: ElementType = Engine.preferredPrecision,
    observer: TrainingObserver = .init(), wordNetFolder: URL = WordNet.standardFolder
  ) {
    self.checkpoint = checkpoint
    self.dataSet = dataSet
    self.threads = threads
    self.precision = precision
    self.observer = observer
    self.wordNetFolder = wordNetFolder
  }
}

extension TrainingResources {
  /// Of this process.
  func replicas(batchSize: Int) -> Int { min(threads, max(1, batchSize / processes.count)) }

  /// What this process has of each batch: what its replicas have, which are numbered over all processes.
  func part(ofBatch batchSize: Int) -> BatchLoader.Part {
    .init(ofBatch: batchSize, process: processes.rank, of: processes.count)
  }
}

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
    if stage != .prior { try dataSet.requirePictures() }
    // Where it cannot be read, whoever needs it says so below: a new run of stage 1 and one that is resumed do without.
    if let found = try? checkpoint.readConfiguration() {
      try checkpoint.checkIsOwn(found, for: "nothing of it is trained here")
    }
    guard resume else {
      let configuration = if let configuration { try configuration() } else { try checkpoint.readConfiguration() }
      var state = TrainingState(
        stage: stage, configuration: configuration, settings: settings, threads: threads, precision: precision)
      state.processes = resources.processes.count
      state.settings.preset =
        settings.preset ?? configuration.tokenizerTraining?.settings.preset ?? settings.chosenPreset
      if stage != .imageTokenizer { reportUnfinished(configuration.tokenizerTraining, "the image tokenizer") }
      if stage == .prior || stage == .ranker {
        let forms = settings.captionForms ?? CaptionForms.Kind.allCases
        if stage == .ranker { reportUnfinished(configuration.priorTraining, "the prior") }
        state.settings.captionForms = hasWordNet ? forms : forms.filter { $0 != .synonyms }
        if !hasWordNet { reportMissingWordNet(stage, wantsSynonyms: forms.contains(.synonyms)) }
      }
      return (state, nil)
    }
    var (state, file) = try checkpoint.readTrainingState(of: stage)
    if state.settings.captionForms?.contains(.synonyms) == true && !hasWordNet {
      throw PipelineError(
        .noInput,
        "the run began with synonyms of WordNet, and there is no WordNet in \(resources.wordNetFolder.path): install "
          + "Debian's wordnet-base to resume it")
    }
    if state.processes != resources.processes.count && dataSet.isStreamed {
      observer.report(.note("the run began with other processes: what each of them reads of the shards changes"))
    }
    if !resources.processes.resumeExactly {
      observer.report(
        .note(
          "what each machine has kept for itself (roundings of a bfloat16 exchange, moments between local steps) is not saved: the weights will differ from an unbroken run's"
        ))
    }
    state.processes = resources.processes.count
    state.resume(settings, precision: precision, dataSet: dataSet, observer: observer)
    return (state, file)
  }

  /// Takes down what a new run's model is built on, and compares it with that where a run goes on.
  /// - Parameter vocabulary: nil for a stage that reads no text.
  /// - Throws: `PipelineError` of kind `.badData` where another image tokenizer or vocabulary has taken its place since.
  func build(
    _ state: inout TrainingState, resume: Bool, on vocabulary: BytePairEncoding? = nil
  ) throws(PipelineError) {
    let found = TrainingState.Foundation(
      imageTokenizer: try checkpoint.imageTokenizerFingerprint(), vocabulary: vocabulary?.fingerprint)
    guard resume else {
      state.foundation = found
      return
    }
    guard let foundation = state.foundation else { return }
    func check(_ name: String, _ isTheSame: Bool) throws(PipelineError) {
      guard !isTheSame else { return }
      throw PipelineError(
        .badData,
        "the \(name) in \(checkpoint.url.path) is not the one that the run began with: put that back, or leave `resume` out to "
          + "begin another")
    }
    try check("image tokenizer", foundation.imageTokenizer == found.imageTokenizer)
    try check("vocabulary", foundation.vocabulary == found.vocabulary)
  }

  /// Says where an earlier stage, on which this one builds, was stopped before its end.
  private func reportUnfinished(_ training: CheckpointConfiguration.TrainingSummary?, _ name: String) {
    guard let training, training.isComplete == false else { return }
    observer.report(
      .note(
        "\(name) was stopped after \(training.steps) steps, before the end of its run; what builds on it now has to be trained "
          + "anew where that run is resumed"))
  }

  /// The forms in which a run reads the training captions; nil where it reads them as they stand.
  func captionForms(_ settings: TrainingSettings, _ wordNet: WordNet?) -> CaptionForms? {
    dataSet.forms(settings.captionForms ?? [], wordNet: wordNet)
  }

  /// Divides the pictures that are shown by whether they are compositions; nil where that makes no difference.
  /// - Parameters:
  ///   - shown: positions in the data set's `entries`.
  ///   - made: where the data set has no compositions, what makes some.
  ///   - share: of all pictures; nil leaves it to the data set.
  /// - Throws: `PipelineError` of kind `.badData` where all are compositions, or none are that were to be.
  func mixed(
    _ shown: [Int], made: TrainingCompositions? = nil, share: Float?
  ) throws(PipelineError) -> (plain: [Int], compositions: BatchLoader.Compositions?)? {
    let plain = dataSet.uncomposed(shown)
    guard let share else {
      // What is to be drawn alone would be seen next to never.
      if !plain.isEmpty, shown.count > 4 * plain.count {
        observer.report(
          .note(
            "\(shown.count - plain.count) of \(shown.count) pictures are compositions, and the others are shown as seldom; "
              + "with `compositions` 0.7 they are three in ten"))
      }
      return nil
    }
    guard !plain.isEmpty else {
      throw PipelineError(
        .badData, "all pictures in \(dataSet.url.path) are compositions: their share is 1; leave `compositions` out")
    }
    if let made { return (plain, .init(.made(made), share: Double(share))) }
    guard share > 0 else { return (plain, nil) }
    let composed = dataSet.composed(shown)
    guard !composed.isEmpty else {
      throw PipelineError(.badData, "there are no compositions in \(dataSet.url.path): leave `compositions` out")
    }
    return (plain, .init(.shown(composed), share: Double(share)))
  }

  private var hasWordNet: Bool { WordNet.isInstalled(in: resources.wordNetFolder) }

  /// - Returns: nil where it is not installed.
  /// - Throws: `PipelineError` where it is damaged.
  func wordNet() throws(PipelineError) -> WordNet? {
    hasWordNet ? try WordNet(contentsOf: resources.wordNetFolder) : nil
  }

  private func reportMissingWordNet(_ stage: Stage, wantsSynonyms: Bool) {
    let missing =
      (wantsSynonyms ? ["captions are read without synonyms"] : [])
      + (stage == .prior ? ["nouns that they do not have will not be drawn as near ones"] : [])
    guard !missing.isEmpty else { return }
    observer.report(
      .note(
        "there is no WordNet in \(resources.wordNetFolder.path) (Debian's wordnet-base): "
          + missing.joined(separator: ", and ")))
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

extension TrainingState {
  /// The state to go on with: its own settings hold, but for where the run ends and how often it is saved.
  ///
  /// What keeps a resumed run from being the unbroken one is said, not forbidden.
  mutating func resume(
    _ requested: TrainingSettings, precision: ElementType, dataSet: PictureDataSet, observer: TrainingObserver
  ) {
    if let bound = requested.bound { settings.bound = bound }
    if let saveEvery = requested.saveEvery { settings.saveEvery = saveEvery }
    observer.report(.note("resuming after step \(step) with the settings of the run's beginning: \(settings.flags)"))
    let others = requested.given(unlike: settings)
    if !others.isEmpty {
      observer.report(
        .note(
          "what is given now besides does not hold, because the run began otherwise: "
            + others.map { "`\($0)`" }.joined(separator: ", ")))
    }
    if self.precision != precision {
      observer.report(.note("the run began with `precision` \(self.precision.rawValue); its weights will differ"))
    }
    if let data = configuration.data, data.fingerprint != dataSet.fingerprint {
      observer.report(.note("the data set is not the one that the run began with"))
    }
    self.precision = precision
  }
}
