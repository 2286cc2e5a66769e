import ArrayFiles
import Basics
import Captions
import Checkpoints
import Datasets
import Generation
import ImageTokenizers
import NN
import Optimization
import Rankers
import TextTokenizer

/// Trains the ranker on a data set's train split and saves it to the checkpoint that holds vocabulary and stage 1.
///
/// What it is to tell apart are drawn pictures: where the checkpoint has a prior, some of what it sees in training was drawn
/// by it, and drawings that show nothing are wrong answers to every caption (`PriorDrawings`). Of the other pictures half,
/// and all in validation, are reconstructions, for a drawing has been through the image tokenizer, too. Half of a batch are
/// neighbours of the other half, with captions that share a word, for between pictures that have nothing in common there is
/// nothing to learn; the neighbour of a composition is one in the same relation, of the same X with another Y or the reverse.
public struct RankerTrainer: StageTrainer {
  /// What the prior draws before the first step; a minute's or two's work.
  private static let maximumDrawings = 3000
  /// Among more pictures that are read from their files, looking drawings up would take many minutes.
  private static let maximumPicturesFromFiles = 100_000

  public let resources: TrainingResources
  private let architecture: Ranker.Configuration?
  private let givenVocabulary: BytePairEncoding?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: depths, widths and dropout of a new run's model; the preset's unless given.
  ///   - vocabulary: of the captions, which becomes the checkpoint's where no prior speaks another one.
  public init(
    _ resources: TrainingResources, architecture: Ranker.Configuration? = nil, vocabulary: BytePairEncoding? = nil
  ) {
    self.resources = resources
    self.architecture = architecture
    givenVocabulary = vocabulary
  }

  /// Begins a run, or goes on with the one saved last. A ranker that is there stays until the first save of a new run,
  /// which moves it to the folder `previous`.
  ///
  /// - Parameters:
  ///   - settings: of the run; resuming takes those of its beginning, but for `bound` and `saveEvery`.
  ///   - resume: whether to go on where the last save was.
  /// - Throws: `PipelineError` for settings, data or files that do not do, and where the learning rate diverges.
  public func train(settings: TrainingSettings, resume: Bool) throws(PipelineError) {
    var (state, saved) = try start(.ranker, settings: settings, resume: resume)
    let imageTokenizer = try checkpoint.readImageTokenizer(state.configuration)
    try checkPictureSize(imageTokenizer)
    let vocabulary = try vocabulary(resume: resume)
    let wordNet = state.settings.captionForms?.contains(.synonyms) == true ? try wordNet() : nil
    if !resume {
      var description = architecture ?? .preset(state.settings.chosenPreset)
      description.textVocabulary = vocabulary.vocabularySize
      let captions = dataSet.trainingTexts(captionForms(state.settings, wordNet))
      description.textLength =
        settings.textLength ?? PriorTrainer.suitableTextLength(captions.map { vocabulary.encode($0).count })
      description.pictureSize = imageTokenizer.pictureSize
      description.patchSize = Self.patchSize(pictureSize: description.pictureSize)
      if let dropout = settings.dropout { description.dropout = dropout }
      state.configuration.ranker = description
      state.configuration.rankerTraining = nil
    }
    guard let description = state.configuration.ranker else {
      throw PipelineError(.badData, "\(checkpoint.trainingStateFile.path) describes no ranker")
    }
    try state.configuration.validate(of: "the architecture")
    try checkpoint.checkBelongTogether(description, imageTokenizer, vocabulary)
    try build(&state, resume: resume, on: vocabulary)
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    let plan = state.settings.fill(
      state.settings.chosenPreset.rankerDefaults, learningRate: 1e-3,
      augmentation: TrainingSettings.standardAugmentation(of: .ranker))
    let forms = captionForms(state.settings, wordNet)
    let train = dataSet.indices(of: .train)
    let mixed = try mixed(train, share: state.settings.compositions)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: mixed?.plain ?? train, batchSize: plan.batchSize, seed: state.settings.seed,
      forms: forms, neighbours: CaptionNeighbours(of: train, words: words), compositions: mixed?.compositions)
    let model = Ranker(description, seed: state.settings.seed)
    var options = AdamW.Options()
    options.weightDecay = 0.1
    let run = try StageRun(resources, state, from: saved, model, options, plan, loader)
    let drawings = try drawings(state.configuration, imageTokenizer, vocabulary, state.settings, run.team)
    try run.run(RankerTask(model, vocabulary, imageTokenizer, drawings, run))
  }

  private func vocabulary(resume: Bool) throws(PipelineError) -> BytePairEncoding {
    guard let givenVocabulary else { return try checkpoint.readVocabulary() }
    if checkpoint.hasVocabulary, try checkpoint.readVocabulary() == givenVocabulary { return givenVocabulary }
    guard !resume else {
      throw PipelineError(.usage, "a run goes on with the vocabulary that it began with, and another one is named")
    }
    guard !checkpoint.hasPrior else {
      throw PipelineError(
        .usage,
        "the prior speaks another vocabulary than the one that is named; train it with that one first")
    }
    observer.report(.note("using the vocabulary of \(givenVocabulary.vocabularySize) pieces that is given"))
    return givenVocabulary
  }

  /// By which a picture has neighbours.
  private func words(of index: Int) -> [String] {
    let (caption, relation) = (dataSet.entries[index].captions[0], dataSet.entries[index].relation)
    guard let relation else { return BytePairEncoding.words(in: caption) }
    // Below words of the relation itself, such as "made", so that only what it is made of is left to be told apart.
    return English.contentWords(in: caption).map { "\(relation) \($0)" }
  }

  /// The largest blocks of at most eight pixels a side that make up the picture.
  static func patchSize(pictureSize: Int) -> Int { (1...8).last { pictureSize % $0 == 0 } ?? 1 }

  /// What the prior draws; nothing where there is none, or where looking its drawings up would take too long.
  private func drawings(
    _ configuration: CheckpointConfiguration, _ imageTokenizer: any ImageTokenizer, _ vocabulary: BytePairEncoding,
    _ settings: TrainingSettings, _ team: ThreadTeam
  ) throws(PipelineError) -> PriorDrawings {
    func none(_ reason: String) -> PriorDrawings {
      observer.report(.note("\(reason): the ranker learns from real and reconstructed pictures alone"))
      return .none
    }
    guard checkpoint.hasPrior, let description = configuration.prior else { return none("there is no prior to draw") }
    guard dataSet.isInMemory || dataSet.entries.count <= Self.maximumPicturesFromFiles else {
      return none("\(dataSet.entries.count) pictures are too many to look drawings up among")
    }
    let prior = try checkpoint.readPrior(configuration)
    try checkpoint.checkBelongTogether(description.base, imageTokenizer, vocabulary)
    observer.report(
      .note("drawing up to \(Self.maximumDrawings) pictures with the prior, to learn from its failures, too"))
    let drawings = try PriorDrawings(
      prior, vocabulary, Reconstructor(tokenizer: imageTokenizer, team: team), dataSet,
      forms: dataSet.forms(configuration.priorTraining?.settings.captionForms ?? []), count: Self.maximumDrawings,
      seed: settings.seed)
    let found = drawings.views.values.reduce(0) { $0 + $1.count }
    observer.report(.note("\(found) drawings show a training picture, \(drawings.failures.count) show none"))
    return drawings
  }
}
