import ArrayFiles
import Basics
import Checkpoints
import Datasets
import Foundation
import ImageTokenizers
import NN
import Optimization
import Priors
import TensorCore
import TextTokenizer

/// Trains stage 2 on a data set's train split and saves it to the checkpoint that holds stage 1.
public struct PriorTrainer: StageTrainer {
  /// Seconds between measurements of retrieval, each of which draws a picture for every validation caption.
  private static let retrievalInterval = 240.0

  public let resources: TrainingResources
  private let architecture: (any PriorConfiguration)?
  private let givenVocabulary: BytePairEncoding?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: the kind, depth, widths and dropout of a new run's model; the preset's unless given.
  ///   - vocabulary: of the captions, in place of the checkpoint's; see ``train(settings:resume:)``.
  public init(
    _ resources: TrainingResources, architecture: (any PriorConfiguration)? = nil, vocabulary: BytePairEncoding? = nil
  ) {
    self.resources = resources
    self.architecture = architecture
    givenVocabulary = vocabulary
  }

  /// Begins a run, training the vocabulary first where the checkpoint has none, or goes on with the one saved last. A
  /// prior that is there stays until the first save of a new run, which moves it to the folder `previous`.
  ///
  /// With a vocabulary that isn't the checkpoint's, that one and the ranker, which speaks it, move there, too. A warm start
  /// then begins each text token with the mean of those of the old vocabulary that say the same.
  ///
  /// - Parameters:
  ///   - settings: of the run; resuming takes those of its beginning, but for `bound` and `saveEvery`.
  ///   - resume: whether to go on where the last save was.
  /// - Throws: `PipelineError` for settings, data or files that do not do, and where the learning rate diverges.
  public func train(settings: TrainingSettings, resume: Bool) throws(PipelineError) {
    var (state, saved) = try start(.prior, settings: settings, resume: resume)
    let imageTokenizer = try checkpoint.readImageTokenizer(state.configuration)
    try checkPictureSize(imageTokenizer)
    if !resume { try check(settings, trained: state.configuration.prior, imageTokenizer) }
    let captions = dataSet.trainingTexts()
    let texts = dataSet.trainingTexts(captionForms(state.settings))
    let vocabulary = resume ? try checkpoint.readVocabulary() : try vocabulary(texts, settings: settings)
    guard !resume || givenVocabulary == nil || givenVocabulary == vocabulary else {
      throw PipelineError(.usage, "a run goes on with the vocabulary that it began with, and another one is named")
    }
    let weights = try resume ? nil : initialWeights(state, vocabulary)
    if !resume {
      try describe(&state.configuration, state.settings, imageTokenizer, vocabulary, captions, texts)
    }
    guard let description = state.configuration.prior?.base else {
      throw PipelineError(.badData, "\(checkpoint.trainingStateFile.path) describes no prior")
    }
    try state.configuration.validate(of: "the architecture")
    try checkpoint.checkBelongTogether(description, imageTokenizer, vocabulary)
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    reportTruncation(captions, vocabulary, textLength: description.textLength)
    try run(imageTokenizer, vocabulary, description, state, saved, weights)
  }

  /// What a warm start begins with: a prior and, for each text token of the vocabulary, those of that prior's.
  private func initialWeights(
    _ state: TrainingState, _ vocabulary: BytePairEncoding
  ) throws(PipelineError) -> (prior: any Prior, pieces: [[Int32]])? {
    guard state.settings.isWarmStart else { return nil }
    let prior = try checkpoint.readPrior(state.configuration)
    return (prior, vocabulary.pieces(inTermsOf: try checkpoint.readVocabulary()))
  }

  /// Whether the run's vocabulary takes the place of another one.
  private func replacesVocabulary(_ vocabulary: BytePairEncoding) -> Bool {
    checkpoint.hasVocabulary && (try? checkpoint.readVocabulary()) != vocabulary
  }

  /// Refuses what a new run cannot do before it has written anything.
  /// - Parameter trained: the prior that the checkpoint holds.
  private func check(
    _ settings: TrainingSettings, trained: AnyPriorConfiguration?, _ imageTokenizer: any ImageTokenizer
  ) throws(PipelineError) {
    if settings.isWarmStart {
      guard checkpoint.hasPrior, let trained else {
        throw PipelineError(.noInput, "\(checkpoint.url.path) has no prior whose weights a warm start could take")
      }
      if let wanted = settings.priorKind, wanted != trained.kind {
        throw PipelineError(
          .usage,
          "a warm start goes on with the checkpoint's \(trained.kind.rawValue), not with a \(wanted.rawValue); "
            + "give --kind \(trained.kind.rawValue) or leave --warm-start out")
      }
      if givenVocabulary == nil, let length = settings.textLength, length != trained.textLength {
        throw PipelineError(
          .usage,
          "a warm start goes on with the checkpoint's \(trained.textLength) text tokens; leave --text-length out")
      }
    }
    var description = settings.isWarmStart ? trained?.base ?? newArchitecture(settings) : newArchitecture(settings)
    try description.learn(imageTokenizer.layout)
    if let attention = settings.attention { try description.attend(attention) }
    if settings.refinementCorruption != nil && imageTokenizer.codesPerPlace == 1 {
      throw PipelineError(
        .usage, "--refinement-corruption is for tokenizers with several codes a place, and this one has one")
    }
  }

  /// The model of a run that begins anew.
  private func newArchitecture(_ settings: TrainingSettings) -> any PriorConfiguration {
    architecture ?? (settings.priorKind ?? .standard).preset(settings.chosenPreset).base
  }

  /// What a new run's `config.json` says of the data and the prior.
  private func describe(
    _ configuration: inout CheckpointConfiguration, _ settings: TrainingSettings,
    _ imageTokenizer: any ImageTokenizer, _ vocabulary: BytePairEncoding, _ captions: [String],
    _ texts: [String]
  ) throws(PipelineError) {
    var description = newArchitecture(settings)
    let isOtherVocabulary = replacesVocabulary(vocabulary)
    if settings.isWarmStart, let trained = configuration.prior {
      description = trained.base
      configuration.earlierPriorTraining = configuration.priorRuns
    } else {
      try description.learn(imageTokenizer.layout)
      configuration.earlierPriorTraining = nil
    }
    if !settings.isWarmStart || isOtherVocabulary {
      description.textVocabulary = vocabulary.vocabularySize
      description.textLength =
        settings.textLength ?? Self.suitableTextLength(texts.map { vocabulary.encode($0).count })
    }
    if isOtherVocabulary { (configuration.ranker, configuration.rankerTraining) = (nil, nil) }
    if let dropout = settings.dropout { description.dropout = dropout }
    if let attention = settings.attention { try description.attend(attention) }
    configuration.prior = AnyConfiguration(description)
    configuration.data = .init(dataSet)
    let words = captions.flatMap(BytePairEncoding.words(in:))
    let ownWords = settings.captionForms?.isEmpty == false ? CaptionForms.ownWords : []
    configuration.captionWords = ownWords.union(words).sorted().joined(separator: " ")
    configuration.priorTraining = nil
  }

  private func vocabulary(_ texts: [String], settings: TrainingSettings) throws(PipelineError) -> BytePairEncoding {
    if let givenVocabulary {
      observer.report(.note("using the vocabulary of \(givenVocabulary.vocabularySize) pieces that is given"))
      return givenVocabulary
    }
    if checkpoint.exists(checkpoint.vocabularyFile) {
      let vocabulary = try checkpoint.readVocabulary()
      observer.report(.note("using the checkpoint's vocabulary of \(vocabulary.vocabularySize) pieces"))
      return vocabulary
    }
    guard !checkpoint.exists(checkpoint.rankerFile) else {
      throw PipelineError(
        .badData,
        "\(checkpoint.url.path) has a ranker but not the vocabulary.json that it was trained with; put that back, or remove "
          + checkpoint.rankerFile.lastPathComponent)
    }
    let vocabulary = try BytePairEncoding.train(on: texts, vocabularySize: settings.vocabularySize)
    observer.report(
      .note("trained a vocabulary of \(vocabulary.vocabularySize) pieces on \(texts.count) texts"))
    return vocabulary
  }

  /// Room for 99.5% of the captions, a multiple of 8 in 8 ... 64: text that hardly any caption has costs at every step.
  static func suitableTextLength(_ lengths: [Int]) -> Int {
    let sorted = lengths.sorted()
    guard !sorted.isEmpty else { return 8 }
    let length = sorted[min(sorted.count - 1, sorted.count * 995 / 1000)]
    return min(64, max(8, (length + 7) / 8 * 8))
  }

  private func reportTruncation(_ captions: [String], _ vocabulary: BytePairEncoding, textLength: Int) {
    let long = captions.count { vocabulary.encode($0).count > textLength }
    if long > 0 {
      observer.report(
        .note(
          "\(long) of \(captions.count) captions have more than \(textLength) tokens and are cut; see --text-length"))
    }
  }

  private func run(
    _ imageTokenizer: any ImageTokenizer, _ vocabulary: BytePairEncoding, _ description: any PriorConfiguration,
    _ start: TrainingState, _ saved: SafeTensors?, _ initialWeights: (prior: any Prior, pieces: [[Int32]])?
  ) throws(PipelineError) {
    var settings = start.settings
    let train = dataSet.indices(of: .train)
    let (batchSize, bound, learningRate, augmentation) = settings.fill(
      settings.chosenPreset.priorDefaults(pictures: train.count), learningRate: 1e-3,
      augmentation: TrainingSettings.standardAugmentation(of: .prior))
    let forms = captionForms(settings)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: forms?.epoch ?? train, batchSize: batchSize, seed: settings.seed,
      augmentation: augmentation, forms: forms)
    if saved == nil && description.codesPerPlace > 1 {
      settings.refinementCorruption = settings.refinementCorruption ?? TrainingSettings.standardRefinementCorruption
    }
    let team = try ThreadTeam(count: min(threads, batchSize))
    let model = description.makeModel(seed: settings.seed)
    if let initialWeights { model.adopt(initialWeights.prior, pieces: initialWeights.pieces) }
    var options = AdamW.Options()
    options.weightDecay = 0.05
    options.averageDecay = settings.averageDecay > 0 ? settings.averageDecay : nil
    let optimizer = AdamW(ParameterStore(model, precision: precision), options: options)
    if let saved { try start.restore(optimizer, buffers: [], from: saved) }
    let lock = try checkpoint.create()
    defer { withExtendedLifetime(lock) {} }
    let trainer = ReplicaTrainer(optimizer, team: team)
    let batches = PrefetchingLoader(loader, startingAt: start.step)
    let log = TrainingLog(folder: checkpoint.logFolder, stage: .prior, resumingAt: saved.map { _ in start.step })
    let tokens = TokenCache(imageTokenizer, isCaching: augmentation == .none)
    let validation = try PriorValidation(self, vocabulary, imageTokenizer, team)
    // What is validated and saved: the weights, or their moving average where one is kept.
    let result = description.makeModel(seed: settings.seed)
    func updateResult() {
      let source = optimizer.store.named(optimizer.average ?? optimizer.store.values)
      for (target, source) in zip(result.parameters(), source) { target.overwrite(with: source.tensor) }
    }
    let known = KnownCaptions(of: dataSet)
    let isOtherVocabulary = replacesVocabulary(vocabulary)
    var state = start
    state.settings = settings
    var isFirstSave = saved == nil
    var lastValidation = start.configuration.priorTraining?.validation
    var retrieval = start.configuration.priorTraining?.retrieval
    var lastRetrieval = start.seconds
    var best = Double.infinity
    var recentLoss = 0.0
    var overfittingIsKnown = false
    // Retrieval goes on rising long after the validation loss has stopped to fall; so it does until measured.
    var retrievalRises = validation.library != nil && !validation.texts.isEmpty
    let loop = TrainingLoop(
      schedule: LearningRateSchedule(peak: learningRate, warmUpSteps: 100), bound: bound, batchSize: batchSize,
      stepsPerEpoch: Double(loader.indices.count) / Double(batchSize), saveEvery: settings.saveEvery,
      observer: observer, log: log)
    try loop.run(
      from: (start.step, start.seconds),
      step: { (step, learningRate, _) throws(PipelineError) in
        let batch = try batches.next()
        let texts = encoded(batch.captions, vocabulary, settings, firstSample: step * batchSize)
        let textTargets = model.textTargetCount(texts)
        var losses = [(text: Float, image: Float)](repeating: (0, 0), count: team.count)
        let stepResult = losses.withUnsafeMutableBufferPointer { losses in
          nonisolated(unsafe) let losses = losses
          return trainer.step(learningRate: learningRate) { shard in
            let range = team.range(of: shard, total: batchSize)
            let images = range.map { tokens.tokens(of: batch, at: $0) }
            let part = PriorBatch(
              texts: Array(texts[range]), images: images.flatMap(\.self),
              imageInputs: zip(range, images).flatMap {
                corrupted($1, settings, description, step * batchSize + $0)
              })
            let share = Float(range.count) / Float(batchSize)
            let dropout =
              description.dropout > 0
              ? DropoutStream(probability: description.dropout, seed: settings.seed, step: step, shard: shard) : nil
            let textShare = Float(model.textTargetCount(part.texts)) / Float(max(1, textTargets))
            let loss = model.loss(part, share: share, textShare: textShare, precision: precision, dropout: dropout)
            losses[shard] = (loss.text * textShare, loss.image * share)
            return loss.total
          }
        }
        let image = Double(losses.reduce(0) { $0 + $1.image })
        recentLoss = step == start.step ? image : 0.98 * recentLoss + 0.02 * image
        return DescentLoop.Result(
          loss: stepResult.loss, gradientNorm: stepResult.gradientNorm,
          metrics: [("image_loss", image), ("text_loss", Double(losses.reduce(0) { $0 + $1.text }))])
      },
      validate: { (progress) throws(PipelineError) in
        updateResult()
        try validation.drawSamples(result, to: checkpoint.logFolder)
        var metrics: [(name: String, value: Double)] = []
        let loss = validation.loss(result, precision: precision)
        var words = "no validation pictures"
        if let loss {
          metrics.append(("validation_image_loss", loss))
          words = String(format: "validation loss %.3f nats an image token", loss)
        }
        if progress.fraction >= 1 || progress.seconds - lastRetrieval >= Self.retrievalInterval {
          lastRetrieval = progress.seconds
          if let measured = validation.retrieval(result) {
            retrievalRises = measured.at1 > retrieval?.at1 ?? 0
            retrieval = (retrieval ?? .init(at1: 0)).adding(at1: measured.at1, seconds: progress.seconds)
            metrics += [("validation_retrieval_at_1", measured.at1), ("validation_retrieval_at_5", measured.at5)]
            words += String(
              format: "; retrieval@1 %.0f%%, @5 %.0f%% of %d captions", 100 * measured.at1, 100 * measured.at5,
              measured.captions)
          }
          if let measured = validation.retrievalOfForms(result) {
            metrics.append(("forms_retrieval_at_1", measured.at1))
            words += String(
              format: "; %.0f%% of %d training captions in other forms", 100 * measured.at1, measured.captions)
          }
        }
        observer.report(.validation(words))
        guard let loss else { return metrics }
        lastValidation = loss
        if loss > best + 0.05 && recentLoss < best && !retrievalRises && !overfittingIsKnown {
          overfittingIsKnown = true
          observer.report(
            .note(
              String(format: "over-fitting: the validation loss rose from %.3f to %.3f ", best, loss)
                + "while the training loss falls; more pictures, a smaller --preset or a shorter run help"))
        }
        best = min(best, loss)
        return metrics
      },
      save: { (step, seconds) throws(PipelineError) in
        (state.step, state.seconds) = (step, seconds)
        state.configuration.priorTraining = state.summary(
          batchSize: batchSize, pictures: loader.indices.count, validation: lastValidation, retrieval: retrieval)
        updateResult()
        let isFirst = isFirstSave
        try save(
          state, optimizer, tensors: result.namedTensors(), to: \.priorFile,
          replacing: isOtherVocabulary ? [checkpoint.rankerFile] : [], "the prior that was here",
          isFirst: &isFirstSave
        ) { (save) throws(PipelineError) in
          try known.write(to: save.captionsFile)
          if isFirst { try vocabulary.write(to: save.vocabularyFile) }
        }
      })
  }

  /// The captions of a batch as tokens, some left out for guidance, some split differently by BPE dropout.
  private func encoded(
    _ captions: [String], _ vocabulary: BytePairEncoding, _ settings: TrainingSettings, firstSample: Int
  ) -> [[Int32]] {
    captions.enumerated().map { offset, caption in
      // The counter's upper half names the sample: its numbers depend on nothing else.
      var random = Philox(
        seed: settings.seed, stream: RandomStream.captionTokens(), counter: UInt64(firstSample + offset) << 24)
      if random.uniform() < settings.captionDropout { return [] }
      return vocabulary.encode(caption, dropout: settings.mergeDropout, using: &random)
    }
  }

  /// What the model is shown of a picture's tokens.
  private func corrupted(
    _ tokens: [Int32], _ settings: TrainingSettings, _ prior: any PriorConfiguration, _ sample: Int
  ) -> [Int32] {
    let refinementCorruption = settings.refinementCorruption ?? 0
    if settings.imageCorruption == 0 && refinementCorruption == 0 { return tokens }
    var random = Philox(seed: settings.seed, stream: RandomStream.imageCorruption(), counter: UInt64(sample) << 24)
    return PriorBatch.corrupted(
      tokens, probability: settings.imageCorruption, refinementProbability: refinementCorruption,
      codes: prior.imageVocabulary / prior.codesPerPlace, depth: prior.codesPerPlace, using: &random)
  }
}
