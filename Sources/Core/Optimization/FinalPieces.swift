import Synchronization

/// Which pieces of the gradients of a machine's replicas are final in the present step, while the backward passes still run.
///
/// A piece is final where all replicas have told so of all parameters that it has a part of. Replicas may be of several
/// processes, which share what is counted, and finish their parameters in any order.
package final class FinalPieces: @unchecked Sendable {
  private let replicaCount: Int
  /// The pieces that each parameter has a part of, and how many parameters have a part of each piece.
  private let piecesOfParameter: [Range<Int>]
  private let parameterCounts: [Int]
  /// Of each of this process's replicas, a row: the parameters of each piece that are not final yet. Its thread alone has it.
  private let left: [UnsafeMutablePointer<Int>]
  /// How often each piece has become final in a replica, from the first step on, so that nobody need set them back.
  private let counts: UnsafeMutablePointer<Atomic<Int>>
  private var steps = 0

  /// - Parameters:
  ///   - pieces: of the flat gradients, in their order, one after the other.
  ///   - parameters: where each lies.
  ///   - replicas: of this process.
  ///   - replicaCount: of all processes that share `memory`.
  ///   - memory: zeros of ``byteCount(pieces:)`` that outlive this.
  package init(
    _ pieces: [Range<Int>], parameters: [Range<Int>], replicas: Int, replicaCount: Int, memory: UnsafeMutableRawPointer
  ) {
    self.replicaCount = replicaCount
    piecesOfParameter = parameters.map { parameter in
      let first = pieces.firstIndex { $0.overlaps(parameter) } ?? 0
      let end = pieces[first...].firstIndex { !$0.overlaps(parameter) } ?? pieces.count
      return first..<end
    }
    var parameterCounts = pieces.map { _ in 0 }
    for pieces in piecesOfParameter { for piece in pieces { parameterCounts[piece] += 1 } }
    self.parameterCounts = parameterCounts
    left = (0..<replicas).map { _ in
      let row = UnsafeMutablePointer<Int>.allocate(capacity: parameterCounts.count)
      row.initialize(from: parameterCounts, count: parameterCounts.count)
      return row
    }
    counts = memory.bindMemory(to: Atomic<Int>.self, capacity: pieces.count)
  }

  deinit { left.forEach { $0.deallocate() } }

  package static func byteCount(pieces: Int) -> Int { pieces * MemoryLayout<Atomic<Int>>.stride }

  /// Begins a step: nothing is final. All processes have ended the one before.
  package func begin() { steps += 1 }

  /// Told by a replica that its gradient of a parameter is final, of each parameter once in a step.
  package func finish(_ parameter: Int, of replica: Int) {
    for piece in piecesOfParameter[parameter] {
      left[replica][piece] -= 1
      guard left[replica][piece] == 0 else { continue }
      left[replica][piece] = parameterCounts[piece]
      counts[piece].wrappingAdd(1, ordering: .releasing)
    }
  }

  /// Whether a piece is final in all replicas, whose memory may then be read.
  package func isFinal(_ piece: Int) -> Bool {
    parameterCounts[piece] == 0 || counts[piece].load(ordering: .acquiring) >= steps * replicaCount
  }
}
