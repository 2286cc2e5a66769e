import Corpus
import Foundation
import LatentModels
import Media
import NN
import TensorCore

/// Trains stage 1 on a data set's train split and saves it to a checkpoint.
public struct TokenizerTrainer {
  public let checkpoint: Checkpoint
  public let dataSet: PictureDataSet
  public let threads: Int
  public let precision: ElementType
  public let observer: TrainingObserver

  public init(
    checkpoint: Checkpoint, dataSet: PictureDataSet, threads: Int, precision: ElementType, observer: TrainingObserver
  ) {
    self.checkpoint = checkpoint
    self.dataSet = dataSet
    self.threads = threads
    self.precision = precision
    self.observer = observer
  }

  /// Begins a run, or goes on with the one that was saved last.
  ///
  /// - Parameters:
  ///   - settings: of the run; resuming takes those of its beginning, but for a new `bound`.
  /// - Throws: `PipelineError` for settings, data or files that do not do, and where the learning rate diverges.
  public func train(settings: TrainingSettings, resume: Bool) throws(PipelineError) {
    try settings.validate()
    var configuration = CheckpointConfiguration()
    var state = TrainingState(
      stage: .imageTokenizer, step: 0, seconds: 0, settings: settings, threads: threads, precision: precision)
    var saved: SafeTensors?
    if resume {
      configuration = try checkpoint.readConfiguration()
      let read = try TrainingState.read(from: checkpoint.trainingStateFile, stage: .imageTokenizer)
      (state, saved) = (read.state, read.file)
      if let bound = settings.bound { state.settings.bound = bound }
      try TrainingChecks.warnAboutResume(
        state, threads: threads, precision: precision, data: configuration.data, dataSet, observer)
    } else {
      try checkpoint.create()
      let replaced = try checkpoint.setAside([
        checkpoint.imageTokenizerFile, checkpoint.priorFile, checkpoint.trainingStateFile, checkpoint.vocabularyFile,
      ])
      if replaced { observer.report(.note("what the checkpoint held before is now in \(checkpoint.url.path)/previous")) }
      configuration.imageTokenizer = settings.preset.imageTokenizer
      configuration.data = .init(dataSet)
    }
    guard let description = configuration.imageTokenizer else {
      throw PipelineError(.badData, "\(checkpoint.configurationFile.path) describes no image tokenizer")
    }
    state.threads = threads
    state.precision = precision
    try checkpoint.write(configuration)
    try run(description.makeModel(seed: state.settings.seed), configuration, state, saved)
  }

  private func run<Model: ImageTokenizer>(
    _ model: Model, _ configuration: CheckpointConfiguration, _ start: TrainingState,
    _ saved: SafeTensors?
  ) throws(PipelineError) {
    let settings = start.settings
    let batchSize = settings.batchSize ?? 32
    guard model.pictureSize == dataSet.pictureSize else {
      throw PipelineError(
        .badData, "the checkpoint's pictures have \(model.pictureSize) pixels a side, the data's \(dataSet.pictureSize)")
    }
    let loader = try BatchLoader(
      dataSet: dataSet, indices: dataSet.indices(of: .train), batchSize: batchSize, seed: settings.seed,
      augmentation: settings.augmentation ?? Augmentation(maximumShift: 0.06, maximumScaling: 0.06))
    let team = try ThreadTeam(count: threads)
    var options = AdamW.Options()
    options.weightDecay = 0.01
    let optimizer = AdamW(ParameterStore(model, precision: precision), options: options)
    let buffers = model.namedBuffers()
    if let saved { try start.restore(optimizer, buffers: buffers, from: saved) }
    let trainer = ReplicaTrainer(optimizer, team: team)
    let batches = PrefetchingLoader(loader, startingAt: start.step)
    let log = TrainingLog(folder: checkpoint.logFolder, stage: .imageTokenizer, resumingAt: saved.map { _ in start.step })
    let evaluator = Validation(model, dataSet: dataSet, team: team)
    var recent = RecentTokens(codeCount: model.codeCount)
    var collapseIsKnown = false
    var lastValidation: Double?
    let loop = TrainingLoop(
      optimizer: optimizer,
      schedule: LearningRateSchedule(peak: settings.learningRate ?? 6e-4, warmUpSteps: 100),
      bound: settings.bound ?? .minutes(15), batchSize: batchSize,
      stepsPerEpoch: Double(loader.indices.count) / Double(batchSize), saveEvery: settings.saveEvery,
      observer: observer, log: log)
    try loop.run(
      from: (start.step, start.seconds),
      step: { (step, learningRate) throws(PipelineError) in
        let batch = try batches.next()
        let pictureBytes = batch.pixels.count / batchSize
        var shards = [ShardResult<Model.Statistics>?](repeating: nil, count: threads)
        let result = Self.step(
          trainer, model, batch.pixels, pictureBytes: pictureBytes, batchSize: batchSize, precision: precision,
          learningRate: learningRate, shards: &shards)
        let parts = shards.compactMap { $0 }
        if result.gradientNorm.isFinite {
          model.finishStep(parts.map(\.statistics), step: step, seed: settings.seed)
        }
        let squaredError = parts.reduce(0) { $0 + $1.meanSquaredError * $1.share }
        recent.append(parts.flatMap(\.tokens))
        let use = recent.use
        if step > 300 && !collapseIsKnown && use.perplexity < 0.1 * Double(use.total) {
          collapseIsKnown = true
          observer.report(
            .note(
              "the codebook is collapsing: only \(use.used) of \(use.total) codes are in use (perplexity "
                + "\(Int(use.perplexity))); more varied pictures, a smaller --preset or a lower --learning-rate help"))
        }
        return TrainingLoop.StepReport(
          loss: result.loss, gradientNorm: result.gradientNorm,
          metrics: [
            ("psnr", psnrInDecibels(meanSquaredError: Double(squaredError))), ("perplexity", use.perplexity),
            ("codes_in_use", Double(use.used)),
          ])
      },
      validate: { (step, isLast) throws(PipelineError) in
        let use = recent.use
        let words = "\(use.used) of \(use.total) codes in use, perplexity \(Int(use.perplexity))"
        guard let measured = try evaluator.measure(picturesTo: checkpoint.logFolder) else {
          observer.report(.validation("no validation pictures; \(words)"))
          return
        }
        lastValidation = measured
        log.append(step: step, seconds: 0, [("validation_psnr", measured)])
        observer.report(.validation(String(format: "validation PSNR %.2f dB; ", measured) + words))
      },
      save: { (step, seconds) throws(PipelineError) in
        var state = start
        (state.step, state.seconds) = (step, seconds)
        try state.write(optimizer, buffers: buffers, to: checkpoint.trainingStateFile)
        try SafeTensors.write(model.namedTensors(), as: .bfloat16, to: checkpoint.imageTokenizerFile)
        var configuration = configuration
        configuration.tokenizerTraining = .init(
          state, epochs: Double(step * batchSize) / Double(loader.indices.count), validation: lastValidation)
        try checkpoint.write(configuration)
      })
  }

  /// What a shard leaves behind.
  private struct ShardResult<Statistics> {
    var statistics: Statistics
    var meanSquaredError: Float
    var tokens: [Int32]
    /// The shard's part of the batch.
    var share: Float
  }

  private static func step<Model: ImageTokenizer>(
    _ trainer: ReplicaTrainer, _ model: Model, _ pixels: [UInt8], pictureBytes: Int, batchSize: Int,
    precision: ElementType, learningRate: Float, shards: inout [ShardResult<Model.Statistics>?]
  ) -> ReplicaTrainer.StepResult {
    shards.withUnsafeMutableBufferPointer { shards in
      nonisolated(unsafe) let shards = shards
      return trainer.step(learningRate: learningRate) { shard in
        let range = trainer.team.range(of: shard, total: batchSize)
        // With fewer pictures than threads, some threads have nothing to do.
        guard !range.isEmpty else { return Tensor(0) }
        let bytes = Array(pixels[range.lowerBound * pictureBytes..<range.upperBound * pictureBytes])
        let share = Float(range.count) / Float(batchSize)
        let loss = model.loss(Tensor(pictureBytes: bytes, side: model.pictureSize), precision: precision)
        shards[shard] = ShardResult(
          statistics: loss.statistics, meanSquaredError: loss.meanSquaredError, tokens: loss.tokens, share: share)
        return loss.total * share
      }
    }
  }

  /// The tokens of the last steps, for how many codes are in use.
  private struct RecentTokens {
    let codeCount: Int
    private var steps: [[Int32]] = []

    init(codeCount: Int) { self.codeCount = codeCount }

    mutating func append(_ tokens: [Int32]) {
      steps.append(tokens)
      if steps.count > 16 { steps.removeFirst() }
    }

    var use: CodebookUse { CodebookUse(tokens: steps.joined(), codeCount: codeCount) }
  }

  /// Reconstruction of the validation pictures.
  private struct Validation {
    let reconstructor: Reconstructor
    let pictures: [Picture]
    private static let maximumCount = 256

    init(_ model: any ImageTokenizer, dataSet: PictureDataSet, team: ThreadTeam) {
      reconstructor = Reconstructor(tokenizer: model, team: team)
      pictures = dataSet.indices(of: .validation).prefix(Self.maximumCount).compactMap { try? dataSet.picture(at: $0) }
    }

    /// The PSNR in decibels; originals and reconstructions go to a picture in `folder`. Nil without pictures.
    func measure(picturesTo folder: URL) throws(PipelineError) -> Double? {
      guard !pictures.isEmpty else { return nil }
      let results = reconstructor.reconstruct(pictures)
      let shown = min(24, pictures.count)
      let grid = Picture.reconstructionGrid(
        originals: Array(pictures.prefix(shown)), reconstructions: results.prefix(shown).map(\.picture))
      try grid.write(to: folder.appendingPathComponent("reconstructions.png"))
      let mean = results.map(\.meanSquaredError).reduce(0, +) / Double(results.count)
      return psnrInDecibels(meanSquaredError: mean)
    }
  }
}

extension Picture {
  /// Originals with their reconstructions below them, eight a row.
  public static func reconstructionGrid(originals: [Picture], reconstructions: [Picture]) -> Picture {
    let columns = min(8, originals.count)
    var rows: [Picture] = []
    for start in stride(from: 0, to: originals.count, by: columns) {
      let end = min(start + columns, originals.count)
      let blank = Picture(width: originals[0].width, height: originals[0].height, color: .white)
      let filling = Array(repeating: blank, count: columns - (end - start))
      rows += originals[start..<end] + filling + reconstructions[start..<end] + filling
    }
    return grid(rows, columns: columns)
  }
}

extension CheckpointConfiguration.TrainingSummary {
  init(_ state: TrainingState, epochs: Double, validation: Double?) {
    self.init(
      steps: state.step, epochs: (epochs * 100).rounded() / 100, minutes: (state.seconds / 6).rounded() / 10,
      threads: state.threads, precision: state.precision, engine: Engine.name, settings: state.settings,
      validation: validation)
  }
}

/// Checks that both stages make.
enum TrainingChecks {
  /// What keeps a resumed run from being the unbroken one is said, not forbidden.
  static func warnAboutResume(
    _ state: TrainingState, threads: Int, precision: ElementType,
    data: CheckpointConfiguration.DataDescription?, _ dataSet: PictureDataSet, _ observer: TrainingObserver
  ) throws(PipelineError) {
    observer.report(.note("resuming after step \(state.step)"))
    if state.threads != threads {
      observer.report(.note("the run began with --threads \(state.threads); its weights will differ in the last bits"))
    }
    if state.precision != precision {
      observer.report(.note("the run began with --precision \(state.precision); its weights will differ"))
    }
    if let data, data.fingerprint != dataSet.fingerprint {
      observer.report(.note("the data set is not the one that the run began with"))
    }
  }
}
