import ArrayFiles
import Basics
import Checkpoints
import Datasets
import Foundation
import Generation
import ImageTokenizers
import NN
import Imaging
import Optimization
import TensorCore

/// Trains stage 1 on a data set's train split and saves it to a checkpoint.
public struct TokenizerTrainer: StageTrainer {
  public let resources: TrainingResources
  private let architecture: (any ImageTokenizerConfiguration)?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: the shape of a new run's model; that of the settings' preset unless given.
  public init(_ resources: TrainingResources, architecture: (any ImageTokenizerConfiguration)? = nil) {
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
      let kind = settings.imageTokenizerKind ?? .standard
      configuration.imageTokenizer = AnyConfiguration(architecture ?? kind.preset(settings.chosenPreset).base)
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
    try run(description.base.makeModel(seed: start.settings.seed), start, saved)
  }

  private func run<Model: ImageTokenizer>(
    _ model: Model, _ start: TrainingState, _ saved: SafeTensors?
  ) throws(PipelineError) {
    var settings = start.settings
    let (batchSize, bound, learningRate, augmentation) = settings.fill(
      settings.chosenPreset.tokenizerDefaults, learningRate: 6e-4,
      augmentation: TrainingSettings.standardAugmentation(of: .imageTokenizer))
    try checkPictureSize(model)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: dataSet.indices(of: .train), batchSize: batchSize, seed: settings.seed,
      augmentation: augmentation)
    let team = try ThreadTeam(count: min(threads, batchSize))
    var options = AdamW.Options()
    options.weightDecay = 0.01
    let optimizer = AdamW(ParameterStore(model, precision: precision), options: options)
    let buffers = model.namedBuffers()
    if let saved { try start.restore(optimizer, buffers: buffers, from: saved) }
    let lock = try checkpoint.create()
    defer { withExtendedLifetime(lock) {} }
    let trainer = ReplicaTrainer(optimizer, team: team)
    let batches = PrefetchingLoader(loader, startingAt: start.step)
    let log = TrainingLog(
      folder: checkpoint.logFolder, stage: .imageTokenizer, resumingAt: saved.map { _ in start.step })
    let validation = try Validation(model, dataSet: dataSet, team: team)
    var recent = RecentTokens(codeCount: model.codeCount, codebooks: model.codesPerPlace)
    var collapseIsKnown = false
    var state = start
    state.settings = settings
    var lastValidation = start.configuration.tokenizerTraining?.validation
    var isFirstSave = saved == nil
    let loop = TrainingLoop(
      schedule: LearningRateSchedule(peak: learningRate, warmUpSteps: 100), bound: bound, batchSize: batchSize,
      stepsPerEpoch: Double(loader.indices.count) / Double(batchSize), saveEvery: settings.saveEvery,
      observer: observer, log: log)
    try loop.run(
      from: (start.step, start.seconds),
      step: { (step, learningRate, progress) throws(PipelineError) in
        let batch = try batches.next()
        let pictureBytes = batch.pixels.count / batchSize
        var shards = [ShardResult<Model.Statistics>?](repeating: nil, count: team.count)
        let result = Self.step(
          trainer, model, batch.pixels, pictureBytes: pictureBytes, batchSize: batchSize, learningRate: learningRate,
          shards: &shards
        ) { shard in
          TokenizerStep(
            progress: progress, noise: .training(seed: settings.seed, step: step, shard: shard), precision: precision)
        }
        let parts = shards.compactMap { $0 }
        if result.gradientNorm.isFinite {
          model.finishStep(parts.map(\.statistics), step: step, seed: settings.seed)
        }
        let squaredError = parts.reduce(0) { $0 + $1.meanSquaredError * $1.share }
        recent.append(parts.flatMap(\.tokens))
        let use = recent.use
        if step > 300 && !collapseIsKnown && recent.isFull && recent.leastEvenness < 0.1 {
          collapseIsKnown = true
          observer.report(
            .note(
              "the codebook is collapsing: only \(use.used) of \(use.total) codes are in use (perplexity "
                + "\(Int(use.perplexity))); more varied pictures, a smaller --preset or a lower --learning-rate help"))
        }
        return DescentLoop.Result(
          loss: result.loss, gradientNorm: result.gradientNorm,
          metrics: [
            ("psnr", psnrInDecibels(meanSquaredError: Double(squaredError))), ("perplexity", use.perplexity),
            ("codes_in_use", Double(use.used)),
          ])
      },
      validate: { (_) throws(PipelineError) in
        let use = recent.use
        let words = "\(use.used) of \(use.total) codes in use, perplexity \(Int(use.perplexity))"
        guard let measured = try validation.measure(picturesTo: checkpoint.logFolder) else {
          observer.report(.validation("no validation pictures; \(words)"))
          return []
        }
        lastValidation = measured
        observer.report(.validation(String(format: "validation PSNR %.2f dB; ", measured) + words))
        return [("validation_psnr", measured)]
      },
      save: { (step, seconds) throws(PipelineError) in
        (state.step, state.seconds) = (step, seconds)
        state.configuration.tokenizerTraining = state.summary(
          batchSize: batchSize, pictures: loader.indices.count, validation: lastValidation)
        // What was trained with another tokenizer is of no use with this one.
        try save(
          state, optimizer, buffers: buffers, tensors: model.namedTensors(), to: \.imageTokenizerFile,
          replacing: checkpoint.files, "what the checkpoint held before", isFirst: &isFirstSave)
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
    learningRate: Float, shards: inout [ShardResult<Model.Statistics>?], stepOfShard: (Int) -> TokenizerStep
  ) -> ReplicaTrainer.StepResult {
    shards.withUnsafeMutableBufferPointer { shards in
      nonisolated(unsafe) let shards = shards
      return trainer.step(learningRate: learningRate) { shard in
        let range = trainer.team.range(of: shard, total: batchSize)
        let bytes = Array(pixels[range.lowerBound * pictureBytes..<range.upperBound * pictureBytes])
        let share = Float(range.count) / Float(batchSize)
        let loss = model.loss(Tensor(pictureBytes: bytes, side: model.pictureSize), step: stepOfShard(shard))
        shards[shard] = ShardResult(
          statistics: loss.statistics, meanSquaredError: loss.meanSquaredError, tokens: loss.tokens, share: share)
        return loss.total * share
      }
    }
  }

  /// The tokens of the last steps, for how many codes are in use.
  private struct RecentTokens {
    /// Each has as many codes, in a range of its own.
    private let codebooks: Int
    private var steps: [[Int32]] = []
    /// How often each code stands in `steps`.
    private var counts: [Int]
    private static let maximumSteps = 16

    init(codeCount: Int, codebooks: Int) {
      self.codebooks = codebooks
      counts = Array(repeating: 0, count: codeCount)
    }

    mutating func append(_ tokens: [Int32]) {
      steps.append(tokens)
      for token in tokens { counts[Int(token)] += 1 }
      if steps.count > Self.maximumSteps {
        for token in steps.removeFirst() { counts[Int(token)] -= 1 }
      }
    }

    var isFull: Bool { steps.count == Self.maximumSteps }

    /// Of the codebook that is used least evenly: its perplexity over the largest that so many tokens can have.
    var leastEvenness: Double {
      let K = counts.count / codebooks
      return (0..<codebooks).map { d in
        let own = Array(counts[d * K..<(d + 1) * K])
        return CodebookUse(counts: own).perplexity / Double(max(1, min(K, own.reduce(0, +))))
      }.min() ?? 1
    }

    var use: CodebookUse { CodebookUse(counts: counts) }
  }

  /// Reconstruction of the validation pictures.
  private struct Validation {
    let reconstructor: Reconstructor
    let pictures: [Picture]
    private static let maximumCount = 256

    init(_ model: any ImageTokenizer, dataSet: PictureDataSet, team: ThreadTeam) throws(PipelineError) {
      reconstructor = Reconstructor(tokenizer: model, team: team)
      pictures = try dataSet.pictures(of: .validation, atMost: Self.maximumCount).map(\.picture)
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
