import Basics
import HeapModule

/// Merges neighbouring ids pair by pair, the pair that was learned first before all others: the heart of byte-pair
/// encoding (Sennrich et al. 2016, algorithm 1).
package struct PairMerger: Sendable {
  /// Two neighbouring pieces that become one.
  package struct Merge: Sendable, Equatable {
    var left: Int32
    var right: Int32
    /// The id of the two pieces' bytes joined.
    var product: Int32

    package init(left: Int32, right: Int32, product: Int32) {
      self.left = left
      self.right = right
      self.product = product
    }
  }

  /// By rank: the merge learned first stands first.
  let merges: [Merge]
  private let ranks: MergeTable

  /// - Parameters:
  ///   - merges: by rank.
  ///   - multiplier: see ``MergeTable/init(_:multiplier:)``.
  package init(_ merges: [Merge], multiplier: UInt64 = MergeTable.goldenRatio) {
    self.merges = merges
    ranks = MergeTable(merges, multiplier: multiplier)
  }

  /// Merges the last ids, those from `start` on, in place. The time grows with n log n in their number.
  package func merge(_ ids: inout [Int32], from start: Int) {
    // Without dropout no number is drawn, so any generator will do.
    var generator = Philox(seed: 0, stream: 0)
    merge(&ids, from: start, dropout: 0, using: &generator)
  }

  /// The same where each merge is left out with a probability: see ``BytePairEncoding/encode(_:dropout:using:)``.
  func merge(_ ids: inout [Int32], from start: Int, dropout: Float, using generator: inout Philox) {
    if ids.count - start <= Self.longestWordMergedByScanning {
      mergeByScanning(&ids, from: start, dropout: dropout, using: &generator)
    } else {
      mergeByQueue(&ids, from: start, dropout: dropout, using: &generator)
    }
  }

  /// Looking through all pairs again after each merge is quadratic, but faster than a queue for words of usual length.
  private static let longestWordMergedByScanning = 48

  /// Merges the last ids, those from `start` on, in place.
  func mergeByScanning(_ ids: inout [Int32], from start: Int, dropout: Float, using generator: inout Philox) {
    // No ids at all have no pairs, and a range of them none that could be made.
    guard ids.count > start else { return }
    while true {
      var lowestRank = MergeTable.absent
      var position = start
      for i in start..<ids.count - 1 {
        let rank = ranks.rank(ids[i], ids[i + 1])
        // A pair behind the best so far is not merged whether it is dropped or not: nothing is drawn for it.
        if rank < lowestRank && !isDropped(dropout, using: &generator) {
          lowestRank = rank
          position = i
        }
      }
      if lowestRank == MergeTable.absent { return }
      ids[position] = merges[Int(lowestRank)].product
      ids.remove(at: position + 1)
    }
  }

  /// The same as ``mergeByScanning(_:from:dropout:using:)`` for words of any length: the pairs wait in a queue, and
  /// the ids are a linked list.
  func mergeByQueue(_ ids: inout [Int32], from start: Int, dropout: Float, using generator: inout Philox) {
    var symbols = Array(ids[start...])
    let end = symbols.count
    var previous = Array(-1..<end - 1)
    var next = Array(1...end)
    // The rank in the upper half and the position in the lower: the leftmost of equal pairs comes first.
    var queue = Heap<UInt64>()
    func enqueue(_ position: Int) {
      guard position >= 0, next[position] < end else { return }
      let rank = ranks.rank(symbols[position], symbols[next[position]])
      if rank != MergeTable.absent { queue.insert(UInt64(rank) << 32 | UInt64(position)) }
    }
    for position in 0..<end { enqueue(position) }

    /// Marks a symbol that has become part of the one before it.
    let merged: Int32 = -1
    var dropped: [UInt64] = []
    while let candidate = queue.popMin() {
      let position = Int(candidate & 0xFFFF_FFFF)
      let rank = Int32(candidate >> 32)
      let right = next[position]
      // Either of the two may have become part of another piece since the pair was queued.
      guard symbols[position] != merged, right < end, ranks.rank(symbols[position], symbols[right]) == rank else {
        continue
      }
      if isDropped(dropout, using: &generator) {
        dropped.append(candidate)
        continue
      }
      symbols[position] = merges[Int(rank)].product
      symbols[right] = merged
      next[position] = next[right]
      if next[right] < end { previous[next[right]] = position }
      enqueue(previous[position])
      enqueue(position)
      queue.insert(contentsOf: dropped)
      dropped.removeAll(keepingCapacity: true)
    }
    ids.removeSubrange(start...)
    ids.append(contentsOf: symbols.lazy.filter { $0 != merged })
  }

  private func isDropped(_ dropout: Float, using generator: inout Philox) -> Bool {
    dropout > 0 && generator.uniform() < dropout
  }
}
