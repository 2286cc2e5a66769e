import Basics
import ImageTokenizers
import LinearAlgebra
import NN
import Optimization
import Priors
import TensorCore

/// Gradient descent on the rows of a matrix, for both stages.
package struct TokenFitting {
  static let standardBatchSize = 32
  private static let learningRate: Float = 1e-3

  package let team: ThreadTeam
  /// The number of rows.
  let rows: Int
  /// Rows a step.
  let batchSize: Int
  let seed: UInt64
  let precision: ElementType

  init(team: ThreadTeam, rows: Int, batchSize: Int, seed: UInt64, precision: ElementType) {
    (self.team, self.rows, self.batchSize, self.seed, self.precision) = (team, rows, batchSize, seed, precision)
  }

  /// - Parameter rows: the number of rows.
  package init(rows: Int, _ options: LadderOptions) throws(PipelineError) {
    let batchSize = options.batchSize ?? Self.standardBatchSize
    self.init(
      team: try ThreadTeam(count: min(options.threads, batchSize)), rows: rows, batchSize: batchSize,
      seed: options.seed, precision: options.precision)
  }

  /// - Parameters:
  ///   - loss: the mean loss over the rows of one shard, and what the shard leaves besides its gradients.
  ///   - finish: what comes after an optimizer step that was not left out, given what all shards have left.
  private func run(
    _ model: some Module, bound: TrainingBound, weightDecay: Float, report: (Double, Float) -> Void,
    loss: (_ rows: [Int], _ step: Int, _ progress: Double, _ shard: Int) -> (mean: Tensor, left: [NamedTensor]),
    finish: (_ left: [[NamedTensor]], _ step: Int) -> Void
  ) throws(PipelineError) {
    var options = AdamW.Options()
    options.weightDecay = weightDecay
    let trainer = ReplicaTrainer(AdamW(ParameterStore(model, precision: precision), options: options), team: team)
    let loop = DescentLoop(
      schedule: LearningRateSchedule(peak: Self.learningRate, warmUpSteps: 50), bound: bound,
      stepsPerEpoch: Double(rows) / Double(batchSize))
    var order = BatchOrder(rows: rows, seed: seed) { RandomStream.tokenFittingOrder($0) }
    try loop.run(
      advice: "scale the rows to [0, 1)",
      step: { (step, learningRate, progress) throws(PipelineError) in
        let batch = order.next(batchSize).map(\.row)
        let (result, left) = trainer.step(learningRate: learningRate) { replica in
          let range = replica.range(of: batch.count)
          let loss = loss(Array(batch[range]), step, progress, replica.number)
          return (loss.mean * (Float(range.count) / Float(batch.count)), loss.left)
        }
        if result.gradientNorm.isFinite { finish(trainer.gather(left), step) }
        return .init(loss: result.loss, gradientNorm: result.gradientNorm)
      },
      after: { (progress, result) throws(PipelineError) in
        report(min(1, progress.fraction), result.loss)
        return true
      })
  }

  package func run(
    _ model: some TrainableImageTokenizer, pictures x: Matrix, bound: TrainingBound, report: (Double, Float) -> Void
  ) throws(PipelineError) {
    let S = model.pictureSize
    try run(
      model, bound: bound, weightDecay: 0.01, report: report,
      loss: { rows, step, progress, shard in
        let values = rows.flatMap { x.row($0).map(Float.init) }
        let loss = model.loss(
          Tensor(values, shape: [rows.count, S, S, 3]),
          step: ImageTokenizerStep(
            progress: progress, noise: .training(seed: seed, step: step, shard: shard), precision: precision))
        return (loss.total, loss.statistics)
      },
      finish: { model.finishStep($0, step: $1, seed: seed) })
  }

  /// - Parameters:
  ///   - levels: each level's tokens of each row.
  ///   - texts: of each row, for a prior that takes them.
  package func run(
    _ prior: PixelCNN, level: Int, of levels: [[[Int32]]], texts: [[Int32]] = [], bound: TrainingBound,
    report: (Double, Float) -> Void
  ) throws(PipelineError) {
    try run(
      prior, bound: bound, weightDecay: 0.05, report: report,
      loss: { rows, step, _, shard in
        let batch = PriorBatch(
          texts: texts.isEmpty ? [] : rows.map { texts[$0] }, images: rows.flatMap { levels[level][$0] },
          upperTokens: levels[..<level].map { upper in rows.flatMap { upper[$0] } })
        let dropout = DropoutStream(
          probability: prior.configuration.dropout, seed: seed &+ UInt64(level), step: step, shard: shard)
        return (prior.loss(batch, share: 1, textShare: nil, precision: precision, dropout: dropout).total, [])
      },
      finish: { _, _ in })
  }
}
