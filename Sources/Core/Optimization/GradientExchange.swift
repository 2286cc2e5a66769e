import Basics
import NN
import TensorCore

/// The processes that train a model together: ranks, of which the first one writes, reports and measures.
package protocol TrainingProcesses: Sendable {
  /// Of this process, from 0.
  var rank: Int { get }
  var count: Int { get }
  /// Whether what the first process saves is all that a run needs to go on as if it had not been interrupted: not so where each
  /// machine keeps something of its own.
  var resumeExactly: Bool { get }

  /// Where replicas bring gradients together.
  /// - Parameter threads: replicas of this process; the others have as many.
  func makeExchange(threads: Int) -> any GradientExchange

  /// The sums of numbers over the processes, which all come here and wait for each other.
  func sum(_ numbers: [Double]) -> [Double]

  /// Sees to it that all processes were started alike.
  /// - Parameter terms: what must be the same, by what a message calls it.
  /// - Throws: `PipelineError` of kind `.usage` that names the first difference from rank 0's, in the process that differs.
  func agree(on terms: [(name: String, value: String)]) throws(PipelineError)
}

extension TrainingProcesses {
  package var resumeExactly: Bool { true }

  /// Whether this process writes, reports and measures.
  package var isFirst: Bool { rank == 0 }

  /// Rank 0's number, in all processes.
  package func first(_ number: Double) -> Double { count == 1 ? number : sum([isFirst ? number : 0])[0] }
}

/// A process that trains alone.
package struct SingleProcess: TrainingProcesses {
  package init() {}

  package var rank: Int { 0 }
  package var count: Int { 1 }
  package func makeExchange(threads: Int) -> any GradientExchange { LocalExchange(replicas: threads) }
  package func sum(_ numbers: [Double]) -> [Double] { numbers }
  package func agree(on terms: [(name: String, value: String)]) {}
}

/// Where what the replicas of a model have made comes together. Replicas are numbered over all processes that train
/// together, and whatever is summed is summed in that order, so that the weights depend on how many replicas there are and
/// not on where they run.
///
/// A process may update a part of the weights only and get the others from those that update them (ZeRO, Rajbhandari et al.
/// 2020, stage 1).
package protocol GradientExchange: Sendable {
  /// This process's replicas among those of all.
  var replicas: Range<Int> { get }
  /// The replicas of all processes.
  var replicaCount: Int { get }
  /// What the sum of gradients is multiplied by: more than 1 where it is of a part of the replicas only.
  var scale: Float { get }

  /// Zeros that processes of one machine share.
  func zeros(_ count: Int, _ type: ElementType) -> Tensor

  /// Memory for the gradient of each of this process's replicas, zeros.
  func makeGradients(_ count: Int) -> [Tensor]

  /// The elements of arrays of this length that this process sums and updates.
  func part(of count: Int) -> Range<Int>

  /// Told of the weights before each step.
  /// - Returns: what is to be told, by this process's replica, from 0, that its gradient of a parameter of the store is final, on
  ///   its thread and for each parameter once in the step; nil where nothing is.
  func begin(_ store: ParameterStore) -> ((_ replica: Int, _ parameter: Int) -> Void)?

  /// Sums the gradients of all replicas, the elements of ``part(of:)``.
  /// - Parameters:
  ///   - gradients: what ``makeGradients(_:)`` gave.
  ///   - team: whose threads share out the work.
  ///   - visit: called for each block of ``blockSize`` elements when it is summed, on the thread that has it in its cache.
  /// - Returns: where the sum is, which need not be memory of its own.
  func sum(_ gradients: [Tensor], team: ThreadTeam, visit: (_ sum: Tensor, _ block: Range<Int>) -> Void) -> Tensor

  /// The sums of numbers over the processes that sum their gradients. Not finite where any process's is not.
  func sum(_ numbers: [Double]) -> [Double]

  /// Brings the weights that each process has updated to all processes, after each step.
  func spread(_ store: ParameterStore, team: ThreadTeam)

  /// Whether no process has gone on its own since they were last together.
  var isTogether: Bool { get }

  /// Brings processes together that have gone on their own since they were last together.
  func join(_ store: ParameterStore, team: ThreadTeam)

  /// Brings the elements of each process's part to the first process, and those of ``momentum``.
  func collect(_ arrays: [Tensor])

  /// What an outer optimizer keeps from one ``join(_:team:)`` to the next, laid out like the weights; nil where there is none.
  var momentum: Tensor? { get }

  /// What all replicas have, in their order.
  /// - Parameter tensors: of each of this process's replicas.
  func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]]
}

extension GradientExchange {
  /// Elements of a block, a fixed number, so that what is summed block by block does not depend on who shares it out.
  package static var blockSize: Int { 1 << 14 }

  package var scale: Float { 1 }
  package var momentum: Tensor? { nil }
  package var isTogether: Bool { true }
  package func begin(_ store: ParameterStore) -> ((_ replica: Int, _ parameter: Int) -> Void)? { nil }
  package func join(_ store: ParameterStore, team: ThreadTeam) {}
  package func zeros(_ count: Int, _ type: ElementType) -> Tensor { .zeros([count], type: type) }
  package func makeGradients(_ count: Int) -> [Tensor] { replicas.map { _ in zeros(count, .float32) } }
}

/// The replicas of one process, which are all there are.
package struct LocalExchange: GradientExchange {
  package let replicaCount: Int

  package init(replicas: Int) { replicaCount = replicas }

  package var replicas: Range<Int> { 0..<replicaCount }

  package func part(of count: Int) -> Range<Int> { 0..<count }

  package func sum(
    _ gradients: [Tensor], team: ThreadTeam, visit: (_ sum: Tensor, _ block: Range<Int>) -> Void
  ) -> Tensor {
    team.forEachBlock(of: part(of: gradients[0].count), size: Self.blockSize) { block in
      if gradients.count > 1 { FlatMemory.sum(gradients, into: gradients[0], range: block) }
      visit(gradients[0], block)
    }
    return gradients[0]
  }

  package func sum(_ numbers: [Double]) -> [Double] { numbers }

  package func spread(_ store: ParameterStore, team: ThreadTeam) {}

  package func collect(_ arrays: [Tensor]) {}

  package func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { tensors }
}

extension ThreadTeam {
  /// Runs `body` for each block of a range, shared out over the team.
  /// - Parameters:
  ///   - range: begins with a block.
  ///   - size: of a block; the last one may be smaller.
  package func forEachBlock(of range: Range<Int>, size: Int, _ body: (_ block: Range<Int>) -> Void) {
    run { thread in
      for block in self.range(of: thread, total: (range.count + size - 1) / size) {
        let start = range.lowerBound + block * size
        body(start..<min(range.upperBound, start + size))
      }
    }
  }
}
