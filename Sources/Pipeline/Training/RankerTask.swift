import Basics
import Checkpoints
import Datasets
import Foundation
import ImageTokenizers
import NN
import Optimization
import Rankers
import TensorCore
import TextTokenizer

/// What the ranker makes of a run.
final class RankerTask: StageTask {
  /// Of a batch, so many pictures that go with no caption are shown beside.
  private static let failureShare = 8

  private let model: Ranker
  private let vocabulary: BytePairEncoding
  private unowned let run: StageRun
  private let pictures: RankerPictures
  private let meanings: CaptionMeanings
  private let failureCount: Int
  /// Of the first process.
  private let validation: RankerValidation?
  private var lastValidation: Double?

  init(
    _ model: Ranker, _ vocabulary: BytePairEncoding, _ imageTokenizer: any ImageTokenizer, _ drawings: PriorDrawings,
    _ run: StageRun
  ) throws(PipelineError) {
    (self.model, self.vocabulary, self.run) = (model, vocabulary, run)
    let dataSet = run.resources.dataSet
    pictures = RankerPictures(imageTokenizer, run.plan.augmentation, drawings, seed: run.settings.seed)
    meanings = CaptionMeanings(dataSet.entries)
    failureCount = drawings.failures.isEmpty ? 0 : max(1, run.plan.batchSize / Self.failureShare)
    validation =
      run.processes.isFirst ? try RankerValidation(dataSet, vocabulary, imageTokenizer, model, run.team) : nil
    lastValidation = run.state.configuration.rankerTraining?.validation
  }

  func step(_ batch: Batch, _ place: StageRun.Place) -> DescentLoop.Result {
    let (model, settings, precision) = (model, run.settings, run.resources.precision)
    let texts = batch.captions.map { vocabulary.encode($0) }
    let isOther = meanings.isOther(batch)
    let (result, losses) = run.replicas.step(learningRate: place.learningRate) { replica in
      let range = replica.range(of: run.plan.batchSize)
      let dropout =
        model.configuration.dropout > 0
        ? DropoutStream(
          probability: model.configuration.dropout, seed: settings.seed, step: place.step, shard: replica.number) : nil
      let own = model.embeddings(
        texts: Array(texts[range]), pictures: pictures.pictures(of: batch, range, step: place.step),
        failures: pictures.failures(replica.range(of: failureCount), of: failureCount, step: place.step),
        precision: precision, dropout: dropout)
      // Every caption is compared with every picture of the batch, whichever replica made their embeddings.
      let loss = model.loss(
        Ranker.joined(replica.gather(own.tensors)), isOther: isOther, learnsScale: replica.number == 0)
      return (loss, loss.item)
    }
    if result.gradientNorm.isFinite { model.finishStep() }
    return DescentLoop.Result(
      // Each replica has computed the loss of the whole batch.
      loss: losses[0], gradientNorm: result.gradientNorm,
      metrics: [("logit_scale", exp(Double(model.logScale.value.item)))])
  }

  func validate(_ progress: TrainingProgress) throws(PipelineError) -> [(name: String, value: Double)] {
    guard let validation, let measured = try validation.measure(picturesTo: run.resources.checkpoint.logFolder) else {
      run.observer.report(.validation("no validation pictures"))
      return []
    }
    run.observer.report(
      .validation(
        String(
          format: "validation retrieval among %d: caption to picture %.1f%%, picture to caption %.1f%%",
          validation.count, 100 * measured.captionToPicture, 100 * measured.pictureToCaption)))
    lastValidation = (measured.captionToPicture + measured.pictureToCaption) / 2
    return [
      ("validation_caption_to_picture", measured.captionToPicture),
      ("validation_picture_to_caption", measured.pictureToCaption),
    ]
  }

  // MARK: - What is saved

  let file: KeyPath<Checkpoint, URL> = \.rankerFile

  func tensors() -> [NamedTensor] { model.namedTensors() }

  let replacedName = "the ranker that was here"

  func describe(_ run: StageRun, in configuration: inout CheckpointConfiguration) {
    configuration.rankerTraining = run.summary(validation: lastValidation)
  }

  func writeRest(to save: Checkpoint, isFirst: Bool) throws(PipelineError) {
    if isFirst { try vocabulary.write(to: save.vocabularyFile) }
  }
}
