import Basics
import Checkpoints
import Datasets
import Foundation
import Generation
import ImageTokenizers
import Imaging
import NN
import Optimization
import TensorCore

/// What stage 1 makes of a run: the image tokenizer's, or that of the upsampler behind it.
final class ImageTokenizerTask: StageTask {
  private let model: any TrainableAutoencoder
  private let part: Part
  private unowned let run: StageRun
  /// Of the first process.
  private let validation: Validation?
  private let adversary: AdversarialTraining?
  private var diagnosis = AdversarialTraining.Diagnosis()
  private var recent: RecentTokens
  private var collapseIsKnown = false
  private var lastValidation: Double?

  /// The part of stage 1 that a run trains, as a checkpoint has it.
  struct Part {
    let file: KeyPath<Checkpoint, URL>
    /// What is of no use with another one.
    let replaced: [URL]
    let replacedName: String
    let training: WritableKeyPath<CheckpointConfiguration, CheckpointConfiguration.TrainingSummary?>

    static func imageTokenizer(of checkpoint: Checkpoint) -> Self {
      Self(
        file: \.imageTokenizerFile, replaced: checkpoint.files, replacedName: "what the checkpoint held before",
        training: \.tokenizerTraining)
    }

    static func upsampler(of checkpoint: Checkpoint) -> Self {
      Self(
        file: \.upsamplerFile, replaced: [checkpoint.galleryFile], replacedName: "the upsampler that was here",
        training: \.upsamplerTraining)
    }
  }

  init(_ model: any TrainableAutoencoder, _ part: Part, _ run: StageRun) throws(PipelineError) {
    (self.model, self.part, self.run) = (model, part, run)
    validation =
      run.processes.isFirst ? try Validation(model, dataSet: run.resources.dataSet, team: run.team) : nil
    adversary =
      run.settings.adversarial > 0
      ? AdversarialTraining(
        team: run.team, processes: run.processes, batchSize: run.plan.batchSize, learningRate: run.plan.learningRate,
        precision: run.resources.precision, seed: run.settings.seed) : nil
    if let adversary { try run.adopt(adversary.discriminator, adversary.replicas, named: "discriminator") }
    recent = RecentTokens(codeCount: model.codeCount, codebooks: model.codesPerPlace)
    lastValidation = run.state.configuration[keyPath: part.training]?.validation
  }

  /// What a replica leaves of its step.
  private struct Shard {
    var number: Int
    /// The loss, the squared error and the weight of the discriminator's judgement, times the shard's share of the batch.
    var numbers: [Float]
    var reconstructions: Tensor
    var forward: (tokens: [Int32], statistics: [NamedTensor])
  }

  func step(_ batch: Batch, _ place: StageRun.Place) -> DescentLoop.Result {
    let (model, seed, precision) = (model, run.settings.seed, run.resources.precision)
    let batchSize = run.plan.batchSize
    let adversary = place.progress >= Double(1 - run.settings.adversarial) ? adversary : nil
    let views = adversary?.views(step: place.step, side: model.pictureSize)
    func pictures(_ range: Range<Int>) -> Tensor {
      let bytes = batch.pixels.count / batch.indices.count
      let range = range.lowerBound - batch.first..<range.upperBound - batch.first
      return Tensor(
        pictureBytes: Array(batch.pixels[range.lowerBound * bytes..<range.upperBound * bytes]), side: model.pictureSize)
    }
    let (result, shards) = run.replicas.step(learningRate: place.learningRate) { replica in
      let range = replica.range(of: batchSize)
      let (pictures, share) = (pictures(range), Float(range.count) / Float(batchSize))
      let forward = model.forward(
        pictures,
        step: ImageTokenizerStep(
          progress: place.progress, noise: .training(seed: seed, step: place.step, shard: replica.number),
          precision: precision))
      func shard(_ reconstruction: ImageTokenizerReconstruction, weight: Float = 0) -> Shard {
        Shard(
          number: replica.number,
          numbers: [
            (reconstruction.loss.item + forward.regularization.item) * share, reconstruction.meanSquaredError * share,
            weight * share,
          ], reconstructions: reconstruction.pictures.detached(), forward: (forward.tokens, forward.statistics))
      }
      if let adversary, let views, adversary.isHeard {
        let loss = adversary.loss(
          model, forward, pictures, share: share, views.judged[range], replica)
        return (loss.total, shard(loss.reconstruction, weight: loss.weight))
      }
      let reconstruction = model.reconstruction(of: forward.features, in: forward, pictures)
      return ((reconstruction.loss + forward.regularization) * share, shard(reconstruction))
    }
    if result.gradientNorm.isFinite {
      model.finishStep(run.replicas.gather(shards.map(\.forward.statistics)), step: place.step, seed: seed)
    }
    let sums = run.sums(shards.map(\.numbers))
    var metrics: [(name: String, value: Double)] = []
    if let adversary, let views {
      let made = Dictionary(uniqueKeysWithValues: shards.map { ($0.number, $0.reconstructions) })
      let means = adversary.step(pictures, made, views)
      // Where processes go on their own in between, both are to come together at the same steps.
      if adversary.replicas.isTogether { run.replicas.join() }
      if let words = diagnosis.add(hinge: means.hinge) { run.observer.report(.note(words)) }
      metrics = [
        ("discriminator_loss", means.hinge), ("discriminator_real", means.real), ("discriminator_made", means.made),
        ("adversarial_weight", Double(sums[2])),
      ]
    }
    recent.append(tokens(shards))
    warnOfCollapse(step: place.step)
    return DescentLoop.Result(
      loss: sums[0], gradientNorm: result.gradientNorm,
      metrics: [
        ("psnr", psnrInDecibels(meanSquaredError: Double(sums[1]))), ("perplexity", recent.use.perplexity),
        ("codes_in_use", Double(recent.use.used)),
      ] + metrics)
  }

  /// Those of all replicas.
  private func tokens(_ shards: [Shard]) -> [Int32] {
    guard run.processes.count > 1 else { return shards.flatMap(\.forward.tokens) }
    // As float32, which holds all numbers of codes.
    let own = shards.map {
      [(name: "tokens", tensor: Tensor($0.forward.tokens.map(Float.init), shape: [$0.forward.tokens.count]))]
    }
    return run.replicas.gather(own).flatMap { $0[0].tensor.scalars.map { Int32($0) } }
  }

  private func warnOfCollapse(step: Int) {
    guard step > 300 && !collapseIsKnown && recent.isFull && recent.leastEvenness < 0.1 else { return }
    collapseIsKnown = true
    let use = recent.use
    run.observer.report(
      .note(
        "the codebook is collapsing: only \(use.used) of \(use.total) codes are in use (perplexity "
          + "\(Int(use.perplexity))); more varied pictures, a smaller `preset` or a lower `learningRate` help"))
  }

  func validate(_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)] {
    let use = recent.use
    let words = "\(use.used) of \(use.total) codes in use, perplexity \(Int(use.perplexity))"
    guard let measured = try validation?.measure(picturesTo: run.resources.checkpoint.logFolder) else {
      run.observer.report(.validation("no validation pictures; \(words)"))
      return []
    }
    lastValidation = measured
    run.observer.report(.validation(String(format: "validation PSNR %.2f dB; ", measured) + words))
    return [("validation_psnr", measured)]
  }

  // MARK: - What is saved

  var file: KeyPath<Checkpoint, URL> { part.file }
  var replaced: [URL] { part.replaced }
  var replacedName: String { part.replacedName }

  func tensors() -> [NamedTensor] { model.learner.namedTensors() }

  func describe(_ run: StageRun, in configuration: inout CheckpointConfiguration) {
    configuration[keyPath: part.training] = run.summary(validation: lastValidation)
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
