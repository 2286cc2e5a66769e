import Basics
import Datasets
import Foundation
import ImageTokenizers
import NN
import Optimization
import TensorCore

/// The discriminator beside a tokenizer that is trained (Esser et al. 2021, section 3.1), in the last part of its run: before,
/// there is nothing in reconstructions that would be worth telling from pictures.
final class AdversarialTraining {
  /// It learns so much faster than the tokenizer at its peak, to the end: what it has to tell apart changes all the time.
  private static let learningRateFactor: Float = 3

  private let discriminator: PatchDiscriminator
  private unowned let run: StageRun
  private let replicas: ReplicaTrainer
  private let share: Float
  private var diagnosis = Diagnosis()

  /// - Parameter run: saves the discriminator with the tokenizer.
  /// - Throws: `PipelineError` where what is saved does not do.
  init(_ run: StageRun) throws(PipelineError) {
    self.run = run
    share = run.settings.adversarial
    discriminator = PatchDiscriminator(.init(), Initializer(seed: run.settings.seed, for: .discriminatorWeights))
    var options = AdamW.Options()
    (options.beta1, options.beta2, options.weightDecay) = (0.5, 0.9, 0)
    let optimizer = AdamW(
      ParameterStore(discriminator, precision: run.resources.precision), options: options)
    replicas = ReplicaTrainer(optimizer, team: run.team)
    try run.adopt(discriminator, optimizer, named: "discriminator")
  }

  func takesPart(at place: StageRun.Place) -> Bool { place.progress >= Double(1 - share) }

  /// The shares of its part in which the discriminator learns alone, and in which the tokenizer listens more and more. What a
  /// discriminator says that knows nothing yet is noise, and a tokenizer that follows it is never caught up with.
  private static let (headStart, ramp) = (0.2, 0.2)

  /// How far the tokenizer listens, 0 to 1.
  func attention(at place: StageRun.Place) -> Float {
    let done = (place.progress - Double(1 - share)) / Double(share)
    return Float(min(1, max(0, (done - Self.headStart) / Self.ramp)))
  }

  /// What the pictures of a batch are seen through in one step: reconstructions while the tokenizer learns, then pictures and
  /// reconstructions while the discriminator does.
  struct Views {
    let judged: [DifferentiableAugmentation]
    let real: [DifferentiableAugmentation]
    let made: [DifferentiableAugmentation]
  }

  func views(step: Int, side: Int) -> Views {
    var random = Philox(seed: run.settings.seed, stream: RandomStream.discriminatorAugmentation(UInt64(step)))
    func batch() -> [DifferentiableAugmentation] {
      (0..<run.plan.batchSize).map { _ in DifferentiableAugmentation(side: side, using: &random) }
    }
    return Views(judged: batch(), real: batch(), made: batch())
  }

  /// What a replica's shard of a batch costs the tokenizer.
  /// - Parameters:
  ///   - model: the tokenizer.
  ///   - forward: of the shard.
  ///   - pictures: the shard, [B, S, S, 3] in [0, 1].
  ///   - share: of the batch.
  ///   - attention: how far the tokenizer listens.
  ///   - views: of the shard.
  ///   - replica: in the midst of its step.
  func loss(
    _ model: some TrainableImageTokenizer, _ forward: ImageTokenizerForward, _ pictures: Tensor, share: Float,
    attention: Float, _ views: ArraySlice<DifferentiableAugmentation>, _ replica: ReplicaTrainer.Replica
  ) -> PatchDiscriminator.TokenizerLoss {
    discriminator.loss(
      of: model, forward, pictures, share: share, attention: attention, through: Array(views),
      precision: run.resources.precision
    ) { gradients in
      Self.sums(replica.gather(gradients.map { ("gradient", $0) }))
    }
  }

  /// Of tensors that replicas brought together, over the replicas in their order.
  private static func sums(_ gathered: [[NamedTensor]]) -> [Tensor] {
    gathered[0].indices.map { i in gathered.dropFirst().reduce(gathered[0][i].tensor) { $0 + $1[i].tensor } }
  }

  /// A step of the discriminator.
  /// - Parameters:
  ///   - pictures: gives a replica's shard.
  ///   - made: its reconstructions, by the replicas' numbers.
  ///   - views: of the batch.
  ///   - place: where the run stands.
  /// - Returns: numbers for the log.
  func step(
    _ pictures: (Range<Int>) -> Tensor, _ made: [Int: Tensor], _ views: Views, _ place: StageRun.Place
  ) -> [(name: String, value: Double)] {
    let (precision, batchSize) = (run.resources.precision, run.plan.batchSize)
    let (result, shards) = replicas.step(learningRate: Self.learningRateFactor * run.plan.learningRate) { replica in
      guard let made = made[replica.number] else { preconditionFailure("a replica without reconstructions") }
      let range = replica.range(of: batchSize)
      let share = Float(range.count) / Float(batchSize)
      let loss = discriminator.loss(
        real: discriminator(pictures(range), through: Array(views.real[range]), precision: precision),
        made: discriminator(made, through: Array(views.made[range]), precision: precision))
      let means = Tensor([share * loss.hinge, share * loss.real, share * loss.made], shape: [3])
      return (loss.total * share, [(name: "means", tensor: means)])
    }
    let means = Self.sums(replicas.gather(shards))[0].scalars
    if result.gradientNorm.isFinite { discriminator.finishStep(real: means[1], made: means[2]) }
    if let words = diagnosis.add(hinge: Double(means[0])) { run.observer.report(.note(words)) }
    return [
      ("discriminator_loss", Double(means[0])), ("discriminator_real", Double(means[1])),
      ("discriminator_made", Double(means[2])),
    ]
  }

  /// What is to be said of a discriminator that teaches nothing, once.
  struct Diagnosis {
    /// Of the hinge loss: 1 where it cannot tell pictures from reconstructions at all, 0 where it always can.
    private var average = 0.5
    private var steps = 0
    private var isSaid = false
    /// Steps that the average looks back on, and until it is believed.
    private static let (memory, settled) = (200.0, 600)

    mutating func add(hinge: Double) -> String? {
      average += (hinge - average) / Self.memory
      steps += 1
      guard !isSaid && steps >= Self.settled && !(0.08...0.99).contains(average) else { return nil }
      isSaid = true
      return average < 0.5
        ? "the discriminator has won: it tells nearly all reconstructions from pictures, and teaches little; "
          + "more pictures, or `adversarial` nearer to 0, help"
        : "the discriminator has lost: it cannot tell reconstructions from pictures, and makes them no sharper; "
          + "`adversarial` 0 saves its time"
    }
  }
}
