import Basics
import NN
import TensorCore

/// Where what the replicas of a model have made comes together. Replicas are numbered over all processes that train
/// together, and whatever is summed is summed in that order, so that the weights depend on how many replicas there are and
/// not on where they run.
///
/// A process may update a part of the weights only and get the others from those that update them.
package protocol GradientExchange: Sendable {
  /// This process's replicas among those of all.
  var replicas: Range<Int> { get }
  /// The replicas of all processes.
  var replicaCount: Int { get }

  /// The elements of arrays of this length that this process sums and updates.
  func part(of count: Int) -> Range<Int>

  /// Sums the arrays of all replicas into the first of this process's, the elements of ``part(of:)``.
  /// - Parameters:
  ///   - arrays: of this process's replicas in their order, all of one length.
  ///   - team: whose threads share out the work.
  ///   - visit: called for each block of ``blockSize`` elements when it is summed, on the thread that has it in its cache.
  func sum(_ arrays: [Tensor], team: ThreadTeam, visit: (_ block: Range<Int>) -> Void)

  /// The sums of numbers over the processes, in their order.
  func sum(_ numbers: [Double]) -> [Double]

  /// Brings the elements of each process's part to all processes.
  func spread(_ array: Tensor)

  /// What all replicas have, in their order.
  /// - Parameter tensors: of each of this process's replicas.
  func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]]
}

extension GradientExchange {
  /// Elements of a block, a fixed number, so that what is summed block by block does not depend on who shares it out.
  package static var blockSize: Int { 1 << 14 }
}

/// The replicas of one process, which are all there are.
package struct LocalExchange: GradientExchange {
  package let replicaCount: Int

  package init(replicas: Int) { replicaCount = replicas }

  package var replicas: Range<Int> { 0..<replicaCount }

  package func part(of count: Int) -> Range<Int> { 0..<count }

  package func sum(_ arrays: [Tensor], team: ThreadTeam, visit: (_ block: Range<Int>) -> Void) {
    let (sum, others) = (arrays[0], Array(arrays.dropFirst()))
    let blocks = (sum.count + Self.blockSize - 1) / Self.blockSize
    team.run { thread in
      for block in team.range(of: thread, total: blocks) {
        let range = block * Self.blockSize..<min(sum.count, (block + 1) * Self.blockSize)
        if !others.isEmpty { FlatMemory.sum(into: sum, others, range: range) }
        visit(range)
      }
    }
  }

  package func sum(_ numbers: [Double]) -> [Double] { numbers }

  package func spread(_ array: Tensor) {}

  package func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { tensors }
}
