import Basics
import TensorCore

/// Trains one model on several threads: each thread runs forward and backward over its shard of the batch on its own
/// tape into its own gradient memory; the gradients are summed in the order of the threads.
public final class ReplicaTrainer {
  public let optimizer: AdamW
  public let team: ThreadTeam
  private let gradients: [Tensor]

  public init(_ optimizer: AdamW, team: ThreadTeam) {
    self.optimizer = optimizer
    self.team = team
    gradients = (0..<team.count).map { _ in .zeros([optimizer.store.values.count]) }
  }

  public struct StepResult {
    /// The sum of the shards' losses.
    public let loss: Float
    /// The norm of the gradient before clipping; not finite where the step was left out.
    public let gradientNorm: Float
  }

  /// One optimizer step.
  /// - Parameters:
  ///   - learningRate: of this step.
  ///   - loss: the loss of shard `i`, scaled such that the sum over the shards is the loss of the batch.
  public func step(learningRate: Float, loss: (_ shard: Int) -> Tensor) -> StepResult {
    var losses = [Float](repeating: 0, count: team.count)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      team.run { shard in
        let store = optimizer.store
        let result = valueAndGradient(
          parameters: store.parameters,
          gradientMemory: { [memory = gradients[shard]] in store.slice(of: memory, for: $0) }
        ) { loss(shard) }
        losses[shard] = result.value.item
      }
    }
    let norm = optimizer.update(gradients: gradients, scale: 1, learningRate: learningRate, team: team)
    return StepResult(loss: losses.reduce(0, +), gradientNorm: norm)
  }
}
