import Basics
import Datasets
import Foundation
import ImageTokenizers
import NN
import Optimization
import TensorCore

/// The discriminator beside a tokenizer that is trained (Esser et al. 2021, section 3.1), in the last part of its run: before,
/// there is nothing in reconstructions that would be worth telling from pictures.
package final class AdversarialTraining {
  /// It learns so much faster than the tokenizer at its peak, to the end: what it has to tell apart changes all the time.
  private static let learningRateFactor: Float = 3

  package let discriminator: PatchDiscriminator
  let replicas: ReplicaTrainer
  private let batchSize: Int
  private let learningRate: Float
  private let precision: ElementType
  private let seed: UInt64

  /// - Parameters:
  ///   - team: a replica a thread, as the tokenizer has.
  ///   - processes: that train together.
  ///   - batchSize: pictures a step.
  ///   - learningRate: of the tokenizer at its peak.
  ///   - precision: the type of the operands of products.
  ///   - seed: names the weights and the views.
  package init(
    team: ThreadTeam, processes: any TrainingProcesses = SingleProcess(), batchSize: Int, learningRate: Float,
    precision: ElementType, seed: UInt64
  ) {
    (self.batchSize, self.learningRate, self.precision, self.seed) = (batchSize, learningRate, precision, seed)
    discriminator = PatchDiscriminator(.init(), Initializer(seed: seed, for: .discriminatorWeights))
    var options = AdamW.Options()
    (options.beta1, options.beta2, options.weightDecay) = (0.5, 0.9, 0)
    replicas = ReplicaTrainer(discriminator, precision: precision, options: options, team: team, processes: processes)
  }

  /// Whether the tokenizer listens.
  package var isHeard: Bool { discriminator.attention > 0 }

  /// What the pictures of a batch are seen through in one step: reconstructions while the tokenizer learns, then pictures and
  /// reconstructions alike while the discriminator does.
  package struct Views {
    package let judged: [DifferentiableAugmentation]
    let compared: [DifferentiableAugmentation]
  }

  package func views(step: Int, side: Int) -> Views {
    var random = Philox(seed: seed, stream: RandomStream.discriminatorAugmentation(UInt64(step)))
    func batch() -> [DifferentiableAugmentation] {
      (0..<batchSize).map { _ in DifferentiableAugmentation(side: side, using: &random) }
    }
    return Views(judged: batch(), compared: batch())
  }

  /// What a replica's shard of a batch costs the tokenizer.
  /// - Parameters:
  ///   - model: the tokenizer.
  ///   - forward: of the shard.
  ///   - pictures: the shard, [B, S, S, 3] in [0, 1].
  ///   - share: of the batch.
  ///   - views: of the shard.
  ///   - replica: in the midst of its step.
  package func loss(
    _ model: some TrainableAutoencoder, _ forward: ImageTokenizerForward, _ pictures: Tensor, share: Float,
    _ views: ArraySlice<DifferentiableAugmentation>, _ replica: ReplicaTrainer.Replica
  ) -> PatchDiscriminator.TokenizerLoss {
    discriminator.loss(
      of: model, forward, pictures, share: share, through: Array(views),
      precision: precision
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
  /// - Returns: the means of the hinge loss and of the discriminator over pictures and reconstructions.
  @discardableResult
  package func step(
    _ pictures: (Range<Int>) -> Tensor, _ made: [Int: Tensor], _ views: Views
  ) -> (hinge: Double, real: Double, made: Double) {
    let (result, shards) = replicas.step(learningRate: Self.learningRateFactor * learningRate) { replica in
      guard let made = made[replica.number] else { preconditionFailure("a replica without reconstructions") }
      let range = replica.range(of: batchSize)
      let share = Float(range.count) / Float(batchSize)
      let loss = discriminator.loss(
        real: discriminator(pictures(range), through: Array(views.compared[range]), precision: precision),
        made: discriminator(made, through: Array(views.compared[range]), precision: precision))
      let means = Tensor([share * loss.hinge, share * loss.real, share * loss.made], shape: [3])
      return (loss.total * share, [(name: "means", tensor: means)])
    }
    let means = Self.sums(replicas.gather(shards))[0].scalars
    if result.gradientNorm.isFinite { discriminator.finishStep(real: means[1], made: means[2], hinge: means[0]) }
    return (Double(means[0]), Double(means[1]), Double(means[2]))
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
