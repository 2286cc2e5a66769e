import Basics
import NN
import TensorCore

/// Trains one model on several threads: each thread runs forward and backward over its shard of the batch on its own
/// tape into its own gradient memory; a `GradientExchange` sums the gradients in the order of the replicas.
public final class ReplicaTrainer {
  public let optimizer: AdamW
  public let team: ThreadTeam
  private let exchange: any GradientExchange
  private let gradients: [Tensor]
  /// What each of this process's replicas has brought to a ``Replica/gather(_:)``, and what all brought.
  private let brought: Slots<[NamedTensor]>
  private let gathered: Slots<[[NamedTensor]]>

  /// The replicas of one process.
  /// - Parameters:
  ///   - optimizer: of the model.
  ///   - team: a replica a thread.
  public convenience init(_ optimizer: AdamW, team: ThreadTeam) {
    self.init(optimizer, team: team, exchange: LocalExchange(replicas: team.count))
  }

  /// The replicas of processes that train together.
  /// - Parameters:
  ///   - module: is trained.
  ///   - precision: in which products are made.
  ///   - options: of the optimizer.
  ///   - team: a replica a thread of this process; the others have as many.
  ///   - processes: that train together.
  package convenience init(
    _ module: some Module, precision: ElementType, options: AdamW.Options, team: ThreadTeam,
    processes: some TrainingProcesses
  ) {
    let exchange = processes.makeExchange(threads: team.count)
    let store = ParameterStore(module, precision: precision, zeros: exchange.zeros)
    self.init(AdamW(store, options: options), team: team, exchange: exchange)
  }

  /// - Parameter exchange: with other processes.
  package init(_ optimizer: AdamW, team: ThreadTeam, exchange: any GradientExchange) {
    self.optimizer = optimizer
    self.team = team
    self.exchange = exchange
    precondition(exchange.replicas.count == team.count, "a replica a thread")
    gradients = exchange.makeGradients(optimizer.store.values.count)
    optimizer.outerMomentum = exchange.momentum
    brought = Slots(count: team.count)
    gathered = Slots(count: 1)
  }

  public struct StepResult {
    /// The sum of all shards' losses.
    public let loss: Float
    /// The norm of the gradient before clipping; not finite where the step was left out.
    public let gradientNorm: Float
  }

  /// A replica during a step.
  public struct Replica {
    /// Among all, from 0.
    public let number: Int
    /// How many there are.
    public let count: Int
    private let thread: Int
    private let trainer: ReplicaTrainer

    fileprivate init(thread: Int, _ trainer: ReplicaTrainer) {
      (self.thread, self.trainer) = (thread, trainer)
      (number, count) = (trainer.exchange.replicas.lowerBound + thread, trainer.exchange.replicaCount)
    }

    /// The ones of `total` things that are this replica's, as even as can be.
    public func range(of total: Int) -> Range<Int> { total * number / count..<total * (number + 1) / count }

    /// Brings tensors together in the middle of a step. All replicas must come here, and wait for each other.
    /// - Returns: what each has brought, in their order; its own as variables of its tape, the others' as constants.
    public func gather(_ tensors: [NamedTensor]) -> [[NamedTensor]] {
      trainer.brought[thread] = tensors
      trainer.team.barrier()
      if thread == 0 { trainer.gathered[0] = trainer.exchange.gather(trainer.brought.all) }
      trainer.team.barrier()
      guard let all = trainer.gathered[0] else { preconditionFailure("nothing was gathered") }
      // Nobody brings anything to a next gathering before all have this one. What was brought holds on to its tape's memory,
      // which the optimizer step can do without.
      trainer.team.barrier()
      trainer.brought[thread] = nil
      if thread == 0 { trainer.gathered[0] = nil }
      return all.enumerated().map { replica, theirs in
        // Those of other processes are copies, and this one's may be, too.
        replica == number ? tensors : theirs.map { ($0.name, $0.tensor.detached()) }
      }
    }
  }

  /// One optimizer step.
  /// - Parameters:
  ///   - learningRate: of this step.
  ///   - shard: gives the loss of a replica's shard, scaled such that the sum over the shards is the loss of the batch, and
  ///     what is to be known of it afterwards.
  /// - Returns: the step's result, and what each of this process's replicas has left.
  public func step<Left>(
    learningRate: Float, _ shard: (Replica) -> (loss: Tensor, left: Left)
  ) -> (result: StepResult, left: [Left]) {
    let losses = Slots<(value: Float, left: Left)>(count: team.count)
    let store = optimizer.store
    let whenFinal = exchange.begin(store)
    team.run { thread in
      var left: Left?
      let result = valueAndGradient(
        parameters: store.parameters,
        gradientMemory: { [memory = gradients[thread]] in store.slice(of: memory, for: $0) },
        whenFinal: whenFinal.map { tell in { tell(thread, $0) } }
      ) {
        let shard = shard(Replica(thread: thread, self))
        left = shard.left
        return shard.loss
      }
      if let left { losses[thread] = (result.value.item, left) }
    }
    let norm = optimizer.update(
      gradients: gradients, scale: exchange.scale, learningRate: learningRate, team: team, exchange: exchange)
    let all = exchange.gather(losses.all.map { [("loss", Tensor($0.value))] })
    return (StepResult(loss: all.reduce(0) { $0 + $1[0].tensor.item }, gradientNorm: norm), losses.all.map(\.left))
  }

  /// One optimizer step of which nothing but the loss is to be known.
  public func step(learningRate: Float, loss: (Replica) -> Tensor) -> StepResult {
    step(learningRate: learningRate) { (loss($0), ()) }.result
  }

  /// What replicas that share a gradient step bring together of other tensors, such as a codebook's statistics: those of
  /// all replicas, in their order.
  /// - Parameter tensors: of each of this process's replicas.
  public func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { exchange.gather(tensors) }

  /// Whether the weights are those of all processes: not so while they go on their own between two exchanges.
  package var isTogether: Bool { exchange.isTogether }

  /// Brings processes together that go on their own between two exchanges.
  package func join() { exchange.join(optimizer.store, team: team) }

  /// Brings what the optimizer knows to the first process, which may then save it.
  package func collect() { exchange.collect(optimizer.state) }

  /// One place for each thread, which that thread alone writes; read when all have come to a barrier.
  private final class Slots<Element>: @unchecked Sendable {
    private let elements: UnsafeMutableBufferPointer<Element?>

    init(count: Int) {
      elements = .allocate(capacity: count)
      elements.initialize(repeating: nil)
    }

    deinit {
      elements.deinitialize()
      elements.deallocate()
    }

    subscript(thread: Int) -> Element? {
      get { elements[thread] }
      set { elements[thread] = newValue }
    }

    var all: [Element] { elements.compactMap(\.self) }
  }
}
