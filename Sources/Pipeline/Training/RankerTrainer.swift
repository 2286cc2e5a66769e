import ArrayFiles
import Basics
import Checkpoints
import Datasets
import Foundation
import Generation
import ImageTokenizers
import Imaging
import NN
import Optimization
import Rankers
import Synchronization
import TensorCore
import TextTokenizer

/// Trains the ranker on a data set's train split and saves it to the checkpoint that holds vocabulary and stage 1.
///
/// What it is to tell apart are drawn pictures: where the checkpoint has a prior, some of what it sees in training was drawn
/// by it, and drawings that show nothing are wrong answers to every caption (`PriorDrawings`). Of the other pictures half,
/// and all in validation, are reconstructions, for a drawing has been through the image tokenizer, too. Half of a batch are
/// neighbours of the other half, with captions that share a word, for between pictures that have nothing in common there is
/// nothing to learn.
public struct RankerTrainer: StageTrainer {
  /// How often a picture that the prior has drawn is seen as drawn, and any other one reconstructed.
  private static let drawingShare: Float = 0.3
  private static let reconstructionShare: Float = 0.5
  /// What the prior draws before the first step; a minute's or two's work.
  private static let maximumDrawings = 3000
  /// Of a batch, so many pictures that go with no caption are shown beside.
  private static let failureShare = 8

  public let resources: TrainingResources
  private let architecture: Ranker.Configuration?

  /// - Parameters:
  ///   - resources: what the run works with.
  ///   - architecture: depths, widths and dropout of a new run's model; the preset's unless given.
  public init(_ resources: TrainingResources, architecture: Ranker.Configuration? = nil) {
    self.resources = resources
    self.architecture = architecture
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
    let vocabulary = try checkpoint.readVocabulary()
    if !resume {
      var description = architecture ?? .preset(state.settings.chosenPreset)
      description.textVocabulary = vocabulary.vocabularySize
      let captions = dataSet.trainingTexts(captionForms(state.settings))
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
    if saved != nil { try checkpoint.check(description.leastParameterCount, fits: checkpoint.trainingStateFile) }
    try run(imageTokenizer, vocabulary, description, state, saved)
  }

  /// The largest blocks of at most eight pixels a side that make up the picture.
  static func patchSize(pictureSize: Int) -> Int { (1...8).last { pictureSize % $0 == 0 } ?? 1 }

  private func run(
    _ imageTokenizer: any ImageTokenizer, _ vocabulary: BytePairEncoding, _ description: Ranker.Configuration,
    _ start: TrainingState, _ saved: SafeTensors?
  ) throws(PipelineError) {
    var settings = start.settings
    let (batchSize, bound, learningRate, augmentation) = settings.fill(
      settings.chosenPreset.rankerDefaults, learningRate: 1e-3,
      augmentation: TrainingSettings.standardAugmentation(of: .ranker))
    let train = dataSet.indices(of: .train)
    let loader = try BatchLoader(
      dataSet: dataSet, indices: train, batchSize: batchSize, seed: settings.seed,
      forms: captionForms(settings),
      neighbours: CaptionNeighbours(of: train) { BytePairEncoding.words(in: dataSet.entries[$0].captions[0]) })
    let team = try ThreadTeam(count: min(threads, batchSize))
    let model = Ranker(description, seed: settings.seed)
    var options = AdamW.Options()
    options.weightDecay = 0.1
    let optimizer = AdamW(ParameterStore(model, precision: precision), options: options)
    if let saved { try start.restore(optimizer, buffers: [], from: saved) }
    let lock = try checkpoint.create()
    defer { withExtendedLifetime(lock) {} }
    let trainer = ReplicaTrainer(optimizer, team: team)
    let batches = PrefetchingLoader(loader, startingAt: start.step)
    let log = TrainingLog(folder: checkpoint.logFolder, stage: .ranker, resumingAt: saved.map { _ in start.step })
    let pictures = TrainingPictures(
      imageTokenizer, augmentation, try drawings(start.configuration, imageTokenizer, vocabulary, settings, team),
      seed: settings.seed)
    let meanings = Meanings(dataSet.entries)
    let failureCount = pictures.drawings.failures.isEmpty ? 0 : max(1, batchSize / Self.failureShare)
    let validation = try Validation(self, vocabulary, imageTokenizer, model, team)
    var state = start
    state.settings = settings
    var isFirstSave = saved == nil
    var lastValidation = start.configuration.rankerTraining?.validation
    let loop = TrainingLoop(
      schedule: LearningRateSchedule(peak: learningRate, warmUpSteps: 100), bound: bound, batchSize: batchSize,
      stepsPerEpoch: Double(loader.indices.count) / Double(batchSize), saveEvery: settings.saveEvery,
      observer: observer, log: log)
    try loop.run(
      from: (start.step, start.seconds),
      step: { (step, learningRate, _) throws(PipelineError) in
        let batch = try batches.next()
        let texts = batch.captions.map { vocabulary.encode($0) }
        let isOther = meanings.isOther(batch)
        var parts = [Ranker.Embeddings?](repeating: nil, count: team.count)
        var wholeLoss: Float = 0
        let stepResult = parts.withUnsafeMutableBufferPointer { parts in
          nonisolated(unsafe) let parts = parts
          return withUnsafeMutablePointer(to: &wholeLoss) { wholeLoss in
            nonisolated(unsafe) let wholeLoss = wholeLoss
            return trainer.step(learningRate: learningRate) { shard in
              let range = team.range(of: shard, total: batchSize)
              let dropout =
                description.dropout > 0
                ? DropoutStream(probability: description.dropout, seed: settings.seed, step: step, shard: shard) : nil
              let own = model.embeddings(
                texts: Array(texts[range]), pictures: pictures.pictures(of: batch, range, step: step),
                failures: pictures.failures(team.range(of: shard, total: failureCount), of: failureCount, step: step),
                precision: precision, dropout: dropout)
              // Every caption is compared with every picture of the batch, whichever replica made their embeddings.
              parts[shard] = own
              team.barrier()
              let loss = model.loss(
                Ranker.joined(parts.compactMap(\.self), own: shard), isOther: isOther, learnsScale: shard == 0)
              if shard == 0 { wholeLoss.pointee = loss.item }
              return loss
            }
          }
        }
        if stepResult.gradientNorm.isFinite { model.finishStep() }
        return DescentLoop.Result(
          loss: wholeLoss, gradientNorm: stepResult.gradientNorm,
          metrics: [("logit_scale", exp(Double(model.logScale.value.item)))])
      },
      validate: { (_) throws(PipelineError) in
        guard let measured = try validation.measure(picturesTo: checkpoint.logFolder) else {
          observer.report(.validation("no validation pictures"))
          return []
        }
        observer.report(
          .validation(
            String(
              format: "validation retrieval among %d: caption to picture %.1f%%, picture to caption %.1f%%",
              validation.count, 100 * measured.captionToPicture, 100 * measured.pictureToCaption)))
        lastValidation = (measured.captionToPicture + measured.pictureToCaption) / 2
        return [
          ("validation_caption_to_picture", measured.captionToPicture),
          ("validation_picture_to_caption", measured.pictureToCaption),
        ]
      },
      save: { (step, seconds) throws(PipelineError) in
        (state.step, state.seconds) = (step, seconds)
        state.configuration.rankerTraining = state.summary(
          batchSize: batchSize, pictures: loader.indices.count, validation: lastValidation)
        try save(
          state, optimizer, tensors: model.namedTensors(), to: \.rankerFile, "the ranker that was here",
          isFirst: &isFirstSave)
      })
  }

  /// What the prior draws; nothing where there is none, or where looking its drawings up would take too long.
  private func drawings(
    _ configuration: CheckpointConfiguration, _ imageTokenizer: any ImageTokenizer, _ vocabulary: BytePairEncoding,
    _ settings: TrainingSettings, _ team: ThreadTeam
  ) throws(PipelineError) -> PriorDrawings {
    guard checkpoint.hasPrior, let description = configuration.prior, dataSet.isInMemory else {
      observer.report(.note("there is no prior to draw: the ranker learns from real and reconstructed pictures alone"))
      return .none
    }
    let prior = try checkpoint.readPrior(configuration)
    try checkpoint.checkBelongTogether(description.base, imageTokenizer, vocabulary)
    observer.report(
      .note("drawing up to \(Self.maximumDrawings) pictures with the prior, to learn from its failures, too"))
    let drawings = try PriorDrawings(
      prior, vocabulary, Reconstructor(tokenizer: imageTokenizer, team: team), dataSet, count: Self.maximumDrawings,
      seed: settings.seed)
    let found = drawings.views.values.reduce(0) { $0 + $1.count }
    observer.report(.note("\(found) drawings show a training picture, \(drawings.failures.count) show none"))
    return drawings
  }

  /// What is said of each picture, to tell which of a batch are wrong answers to a caption.
  private struct Meanings {
    /// By position in the data set's `entries`: the content words of all captions and keywords, and of the name.
    private let said, names: [Set<String>]

    init(_ entries: [CaptionedPicture]) {
      said = entries.map { ContentWords(of: $0.allCaptions).words }
      names = entries.map { ContentWords(of: [$0.captions[0]]).words }
    }

    /// Row-major [B, B]: whether picture j is a wrong answer for caption i. It is none where it is the same picture, be it
    /// under another name, and where all that the caption says is said of it, too. But a caption that says the whole name of
    /// picture i means that one: "dog" is not the brown dog.
    func isOther(_ batch: Batch) -> [Bool] {
      let B = batch.indices.count
      let size = batch.pixels.count / B
      let pixels = (0..<B).map { batch.pixels[$0 * size..<($0 + 1) * size] }
      // The sums tell nearly all pictures apart.
      let sums = pixels.map { $0.reduce(0) { $0 &+ Int($1) } }
      return (0..<B).flatMap { i in
        let caption = ContentWords(of: [batch.captions[i]]).words.subtracting(CaptionForms.ownWords)
        let name = names[batch.indices[i]]
        let saysName = name.isSubset(of: caption)
        return (0..<B).map { j in
          let other = batch.indices[j]
          if !caption.isEmpty && caption.isSubset(of: said[other]) && (!saysName || names[other] == name) {
            return false
          }
          return sums[i] != sums[j] || pixels[i] != pixels[j]
        }
      }
    }
  }

  /// Pictures as the model sees them in training: originals, reconstructions or drawings, augmented.
  private final class TrainingPictures: Sendable {
    let drawings: PriorDrawings
    private let imageTokenizer: any ImageTokenizer
    private let augmentation: Augmentation
    private let seed: UInt64
    /// Reconstructions of pictures, as many as there is room for.
    private let known = Mutex<[Int: [UInt8]]>([:])
    private static let maximumBytes = 512 << 20

    init(
      _ imageTokenizer: any ImageTokenizer, _ augmentation: Augmentation, _ drawings: PriorDrawings, seed: UInt64
    ) {
      (self.imageTokenizer, self.augmentation, self.seed) = (imageTokenizer, augmentation, seed)
      self.drawings = drawings
    }

    /// - Parameter range: positions in the batch.
    /// - Returns: [range.count, S, S, 3] in [0, 1].
    func pictures(of batch: Batch, _ range: Range<Int>, step: Int) -> Tensor {
      let B = batch.indices.count
      let side = imageTokenizer.pictureSize
      let size = side * side * 3
      let bytes = range.flatMap { position in
        // The counter's upper half names the sample: its numbers depend on nothing else.
        var random = Philox(
          seed: seed, stream: RandomStream.rankerPictures(), counter: UInt64(step * B + position) << 24)
        let original = Array(batch.pixels[position * size..<(position + 1) * size])
        let isReconstructed = random.uniform() < RankerTrainer.reconstructionShare
        let isDrawn = random.uniform() < RankerTrainer.drawingShare
        let pixels: [UInt8]
        if isDrawn, let views = drawings.views[batch.indices[position]] {
          pixels = views[random.index(below: views.count)].pixels
        } else {
          pixels = isReconstructed ? reconstruction(of: original, index: batch.indices[position]) : original
        }
        return augmentation.applied(to: Picture(width: side, height: side, pixels: pixels), using: &random).pixels
      }
      return Tensor(pictureBytes: bytes, side: side)
    }

    /// Drawings that show nothing, augmented.
    /// - Parameters:
    ///   - range: of the step's `count` the ones asked for.
    /// - Returns: [range.count, S, S, 3] in [0, 1]; nil where there are none.
    func failures(_ range: Range<Int>, of count: Int, step: Int) -> Tensor? {
      guard !range.isEmpty else { return nil }
      let pictures = range.map { position in
        var random = Philox(
          seed: seed, stream: RandomStream.rankerFailures(), counter: UInt64(step * count + position) << 24)
        let drawing = drawings.failures[random.index(below: drawings.failures.count)]
        return augmentation.applied(to: drawing, using: &random)
      }
      return Tensor(pictures)
    }

    private func reconstruction(of pixels: [UInt8], index: Int) -> [UInt8] {
      if let reconstruction = known.withLock({ $0[index] }) { return reconstruction }
      let side = imageTokenizer.pictureSize
      // Runs while a tape records, but a tokenizer's parameters are constants here.
      let reconstruction = withoutRecording {
        imageTokenizer.decode(imageTokenizer.encode(Tensor(pictureBytes: pixels, side: side))).pictures()[0].pixels
      }
      known.withLock { if ($0.count + 1) * pixels.count <= Self.maximumBytes { $0[index] = reconstruction } }
      return reconstruction
    }
  }

  /// Held-out captions and the reconstructions of their pictures, each looked up by the other.
  private struct Validation {
    private static let maximumCount = 256
    /// Captions that a picture of the log shows, and pictures for each.
    private static let shownCaptions = 12
    private static let shownPictures = 6
    private let captions: [[String]]
    private let texts: [[Int32]]
    private let pictures: [Picture]
    private let scorer: Scorer

    init(
      _ trainer: RankerTrainer, _ vocabulary: BytePairEncoding, _ imageTokenizer: any ImageTokenizer,
      _ model: Ranker, _ team: ThreadTeam
    ) throws(PipelineError) {
      scorer = Scorer(ranker: model, team: team)
      let dataSet = trainer.dataSet
      let held = try dataSet.pictures(of: .validation, atMost: Self.maximumCount)
      captions = held.map { dataSet.entries[$0.index].captions }
      texts = captions.map { vocabulary.encode($0[0]) }
      pictures = Reconstructor(tokenizer: imageTokenizer, team: team).reconstruct(held.map(\.picture)).map(\.picture)
    }

    var count: Int { pictures.count }

    /// The shares of captions whose own picture scores highest, and of pictures whose own caption does. For some captions
    /// the pictures that score highest go to a picture in `folder`, a row each. Nil without pictures.
    func measure(picturesTo folder: URL) throws(PipelineError) -> (captionToPicture: Double, pictureToCaption: Double)?
    {
      guard !pictures.isEmpty else { return nil }
      let t = scorer.embeddings(ofTexts: texts)
      let p = scorer.embeddings(of: pictures)
      let scores = t.map { text in p.map { Scorer.cosine(text, $0) } }
      func isOther(_ caption: Int, _ picture: Int) -> Bool { !captions[picture].contains(captions[caption][0]) }
      let ofCaptions = captions.indices.count { i in
        captions.indices.allSatisfy { !isOther(i, $0) || scores[i][$0] < scores[i][i] }
      }
      let ofPictures = captions.indices.count { i in
        captions.indices.allSatisfy { !isOther($0, i) || scores[$0][i] < scores[i][i] }
      }
      let rows = captions.indices.prefix(Self.shownCaptions).flatMap { i in
        pictures.indices.sorted { (scores[i][$1], $0) < (scores[i][$0], $1) }.prefix(Self.shownPictures)
      }
      try Picture.grid(rows.map { pictures[$0] }, columns: min(Self.shownPictures, count)).write(
        to: folder.appendingPathComponent("ranking.png"),
        text: captions.prefix(Self.shownCaptions).enumerated().map {
          ("Caption \($0 + 1)", $1[0].replacing("\0", with: ""))
        })
      return (Double(ofCaptions) / Double(count), Double(ofPictures) / Double(count))
    }
  }
}
