import ArrayFiles
import Basics
import Captions
import Checkpoints
import Compositions
import Datasets
import Foundation
import ImageTokenizers
import Lexicon
import NN
import Optimization
import Priors
import TextTokenizer

/// Trains stage 2 on a data set's train split and saves it to the checkpoint that holds stage 1.
public struct PriorTrainer: StageTrainer {
  public let resources: TrainingResources
  private let architecture: (any TrainablePriorConfiguration)?
  private let givenVocabulary: BytePairEncoding?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: the kind, depth, widths and dropout of a new run's model; the preset's unless given.
  ///   - vocabulary: of the captions, in place of the checkpoint's; see ``train(settings:resume:)``.
  public init(
    _ resources: TrainingResources, architecture: (any TrainablePriorConfiguration)? = nil,
    vocabulary: BytePairEncoding? = nil
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
    if !resume && settings.isWarmStart, let preset = settings.preset {
      observer.report(
        .note(
          "a warm start keeps the shape of the checkpoint's prior: `preset` \(preset.rawValue) says how long it trains alone"
        ))
    }
    let imageTokenizer = try checkpoint.readImageTokenizer(state.configuration)
    try checkPictureSize(imageTokenizer)
    try checkTokens(imageTokenizer)
    let texts = try texts(state.settings)
    let beginning =
      try resume ? goOn() : begin(&state.configuration, state.settings, imageTokenizer, texts)
    let vocabulary = beginning.vocabulary
    guard let description = try state.configuration.prior?.trainable() else {
      throw PipelineError(.badData, "\(checkpoint.trainingStateFile.path) describes no prior")
    }
    try state.configuration.validate(of: "the architecture")
    try checkpoint.checkBelongTogether(description, imageTokenizer, vocabulary)
    try build(&state, resume: resume, on: vocabulary)
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    reportTruncation(texts.asTheyStand, vocabulary, textLength: description.textLength)

    let train = dataSet.indices(of: .train)
    let plan = state.settings.fill(
      state.settings.chosenPreset.priorDefaults(pictures: train.count), learningRate: 1e-3,
      augmentation: TrainingSettings.standardAugmentation(of: .prior))
    let shown = texts.forms?.epoch ?? train
    let mixed = try mixed(shown, made: texts.compositions, share: state.settings.compositions)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: mixed?.plain ?? shown, batchSize: plan.batchSize, seed: state.settings.seed,
      augmentation: plan.augmentation, forms: texts.forms, compositions: mixed?.compositions,
      part: resources.part(ofBatch: plan.batchSize))
    if saved == nil && description.codesPerPlace > 1 && state.settings.refinementCorruption == nil {
      state.settings.refinementCorruption = TrainingSettings.standardRefinementCorruption
    }
    let model = description.makeModel(seed: state.settings.seed)
    if let initial = beginning.initial { model.adopt(initial.prior, pieces: initial.pieces) }
    var options = AdamW.Options()
    options.weightDecay = 0.05
    options.averageDecay = state.settings.averageDecay > 0 ? state.settings.averageDecay : nil
    let run = try StageRun(resources, state, from: saved, model, options, plan, loader)
    try run.run(
      PriorTask(
        model, description, vocabulary, replacesVocabulary: beginning.replacesVocabulary, nouns: beginning.nouns,
        imageTokenizer, texts.compositions, run))
  }

  /// What is said of the pictures.
  private struct Texts {
    /// What makes further pictures in training; nil where none are made.
    let compositions: TrainingCompositions?
    /// What some of those say.
    let composed: [String]
    let wordNet: WordNet?
    /// Nil where captions are read as they stand.
    let forms: CaptionForms?
    /// The training captions and `composed`.
    let asTheyStand: [String]
  }

  private func texts(_ settings: TrainingSettings) throws(PipelineError) -> Texts {
    let compositions = try compositions(settings)
    let composed = compositions?.captions(ofFirst: Self.compositionTexts).flatMap(\.self) ?? []
    let wordNet = try wordNet()
    return Texts(
      compositions: compositions, composed: composed, wordNet: wordNet, forms: captionForms(settings, wordNet),
      asTheyStand: dataSet.trainingTexts() + composed)
  }

  /// What a run begins with beside the shape of its model.
  private struct Beginning {
    var vocabulary: BytePairEncoding
    /// Whether the checkpoint has another one.
    var replacesVocabulary = false
    /// Of a warm start.
    var initial: PriorTask.InitialWeights?
    /// What the checkpoint's file of nouns is to hold; nil leaves it as it is.
    var nouns: Data?
  }

  private func goOn() throws(PipelineError) -> Beginning {
    let vocabulary = try checkpoint.readVocabulary()
    guard givenVocabulary == nil || givenVocabulary == vocabulary else {
      throw PipelineError(.usage, "a run goes on with the vocabulary that it began with, and another one is named")
    }
    return Beginning(vocabulary: vocabulary)
  }

  /// Makes the configuration say what a new run's model is, and what it is trained on.
  private func begin(
    _ configuration: inout CheckpointConfiguration, _ settings: TrainingSettings, _ imageTokenizer: any ImageTokenizer,
    _ texts: Texts
  ) throws(PipelineError) -> Beginning {
    let earlier = checkpoint.hasVocabulary ? try checkpoint.readVocabulary() : nil
    let trained = try settings.isWarmStart ? trainedPrior(configuration, settings) : nil
    var description = try shape(
      settings, trained: trained, keepsVocabulary: givenVocabulary == nil || givenVocabulary == earlier, imageTokenizer)
    let learnt = dataSet.trainingTexts(texts.forms) + texts.composed
    let vocabulary = try vocabulary(learnt, earlier: earlier, vocabularySize: settings.vocabularySize)
    var beginning = Beginning(vocabulary: vocabulary)
    beginning.replacesVocabulary = earlier != nil && earlier != vocabulary
    beginning.initial = trained.map {
      PriorTask.InitialWeights(prior: $0, pieces: vocabulary.pieces(inTermsOf: earlier ?? vocabulary))
    }
    if trained == nil || beginning.replacesVocabulary {
      description.textVocabulary = vocabulary.vocabularySize
      description.textLength =
        settings.textLength ?? Self.suitableTextLength(learnt.map { vocabulary.encode($0).count })
    }
    describe(
      description, in: &configuration, settings, texts.composed + (texts.forms?.otherNames ?? []),
      replacesVocabulary: beginning.replacesVocabulary)
    beginning.nouns = texts.wordNet.map {
      KnownNouns(of: dataSet, $0).map(beside: KnownWords(configuration.captionWords ?? ""))
    }
    return beginning
  }

  /// - Throws: `PipelineError` of kind `.badData` where the data set's tokens are not the checkpoint's tokenizer's.
  private func checkTokens(_ imageTokenizer: any ImageTokenizer) throws(PipelineError) {
    guard let encoded = dataSet.encoded else { return }
    guard encoded.origin.imageTokenizer == (try checkpoint.imageTokenizerFingerprint()),
      encoded.tokensPerPicture == imageTokenizer.tokenCount
    else {
      throw PipelineError(
        .badData,
        "the tokens in \(dataSet.url.path) are those of another tokenizer than \(checkpoint.url.path) has; encode the pictures again"
      )
    }
    let codesPerPlace = imageTokenizer.codesPerPlace
    try encoded.check(codes: imageTokenizer.codeCount / codesPerPlace, codesPerPlace: codesPerPlace)
  }

  /// Compositions whose captions a vocabulary is learnt from.
  private static let compositionTexts = 5000

  /// What makes compositions in training; nil where there are to be none, or there are some.
  private func compositions(_ settings: TrainingSettings) throws(PipelineError) -> TrainingCompositions? {
    let train = dataSet.indices(of: .train)
    guard settings.compositions ?? 0 > 0, dataSet.uncomposed(train).count == train.count else { return nil }
    var making = CompositionMaker.Settings()
    (making.seed, making.pictureSize) = (settings.seed, dataSet.pictureSize)
    let observer = observer
    return TrainingCompositions(
      try CompositionMaker(
        dataSet, settings: making, team: ThreadTeam(count: threads), report: { observer.report(.note($0)) }))
  }

  /// What a warm start begins with but for its texts: the checkpoint's prior, with as many layers as the settings say.
  private func trainedPrior(
    _ configuration: CheckpointConfiguration, _ settings: TrainingSettings
  ) throws(PipelineError) -> any TrainablePrior {
    guard checkpoint.hasPrior, let kind = configuration.prior?.kind else {
      throw PipelineError(.noInput, "\(checkpoint.url.path) has no prior whose weights a warm start could take")
    }
    if let wanted = settings.priorKind, wanted != kind {
      throw PipelineError(
        .usage,
        "a warm start goes on with the checkpoint's \(kind.rawValue), not with a \(wanted.rawValue); "
          + "give `kind` \(kind.rawValue) or leave `isWarmStart` out")
    }
    guard let prior = try checkpoint.readPrior(configuration) as? any TrainablePrior else {
      throw PipelineError(.usage, "the checkpoint's prior only draws: there is nothing to train of it")
    }
    guard let layers = settings.layers else { return prior }
    return try prior.deepened(to: layers)
  }

  /// The shape of a new run's model but for its texts. Refuses what the run cannot do before anything is written.
  /// - Parameters:
  ///   - trained: the prior of a warm start.
  ///   - keepsVocabulary: whether the run goes on with the checkpoint's.
  private func shape(
    _ settings: TrainingSettings, trained: (any TrainablePrior)?, keepsVocabulary: Bool,
    _ imageTokenizer: any ImageTokenizer
  ) throws(PipelineError) -> any TrainablePriorConfiguration {
    var description: any TrainablePriorConfiguration
    if let trained {
      description = trained.configuration
      if keepsVocabulary, let length = settings.textLength, length != trained.textLength {
        throw PipelineError(
          .usage,
          "a warm start goes on with the checkpoint's \(trained.textLength) text tokens; leave `textLength` out")
      }
    } else {
      description =
        if let architecture { architecture } else {
          try (settings.priorKind ?? .standard).preset(settings.chosenPreset)
        }
      if let layers = settings.layers { description.layers = layers }
      try description.learn(imageTokenizer.layout)
    }
    if let dropout = settings.dropout { description.dropout = dropout }
    if let attention = settings.attention { try description.attend(attention) }
    if settings.refinementCorruption != nil && imageTokenizer.codesPerPlace == 1 {
      throw PipelineError(
        .usage, "`refinementCorruption` is for tokenizers with several codes a place, and this one has one")
    }
    return description
  }

  /// What a new run's `config.json` says of the data and the prior.
  /// - Parameter others: what is said besides the data set's captions.
  private func describe(
    _ description: any TrainablePriorConfiguration, in configuration: inout CheckpointConfiguration,
    _ settings: TrainingSettings, _ others: [String], replacesVocabulary: Bool
  ) {
    configuration.earlierPriorTraining = settings.isWarmStart ? configuration.priorRuns : nil
    if replacesVocabulary { (configuration.ranker, configuration.rankerTraining) = (nil, nil) }
    configuration.prior = AnyConfiguration(description)
    configuration.data = .init(dataSet)
    var words = settings.captionForms?.isEmpty == false ? CaptionForms.ownWords : []
    func learn(_ text: String) {
      words.formUnion(BytePairEncoding.words(in: text))
      words.formUnion(BytePairEncoding.signs(in: text))
    }
    for index in dataSet.indices(of: .train) { dataSet.entries[index].allCaptions.forEach(learn) }
    others.forEach(learn)
    configuration.captionWords = words.sorted().joined(separator: " ")
    configuration.priorTraining = nil
  }

  /// - Parameter earlier: the checkpoint's.
  private func vocabulary(
    _ texts: [String], earlier: BytePairEncoding?, vocabularySize: Int
  ) throws(PipelineError) -> BytePairEncoding {
    if let givenVocabulary {
      observer.report(.note("using the vocabulary of \(givenVocabulary.vocabularySize) pieces that is given"))
      return givenVocabulary
    }
    if let earlier {
      observer.report(.note("using the checkpoint's vocabulary of \(earlier.vocabularySize) pieces"))
      return earlier
    }
    guard !checkpoint.exists(checkpoint.rankerFile) else {
      throw PipelineError(
        .badData,
        "\(checkpoint.url.path) has a ranker but not the vocabulary.json that it was trained with; put that back, or remove "
          + checkpoint.rankerFile.lastPathComponent)
    }
    let vocabulary = try BytePairEncoding.train(onCaptions: texts, vocabularySize: vocabularySize)
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
          "\(long) of \(captions.count) captions have more than \(textLength) tokens and are cut; see `textLength`"))
    }
  }
}
