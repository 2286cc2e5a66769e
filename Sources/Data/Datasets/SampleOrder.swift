import Basics
import Foundation
import Synchronization

/// The order in which pictures are shown: each once an epoch, and another one every epoch. It is a function of the seed, so that a
/// run that is resumed goes on at the same picture without looking at those before it.
protocol SampleOrder: Sendable {
  /// Of the pictures of an epoch.
  var count: Int { get }

  /// The picture of a sample, and those that follow in its epoch, round about.
  func indices(ofSample sample: Int) -> (Int) -> Int
}

/// All pictures in any order.
final class ShuffledOrder: SampleOrder {
  private let indices: [Int]
  private let seed: UInt64
  private let list: UInt64
  /// Those of the epochs asked for last, because shuffling a large data set at each step would take its time; batches that are
  /// prepared at the same time may lie in two.
  private let last = Mutex<[(epoch: Int, order: [Int])]>([])

  /// - Parameter list: 0 or 1, tells the orders of two lists apart.
  init(_ indices: [Int], seed: UInt64, list: UInt64) { (self.indices, self.seed, self.list) = (indices, seed, list) }

  var count: Int { indices.count }

  func indices(ofSample sample: Int) -> (Int) -> Int {
    let order = order(ofEpoch: sample / count)
    return { [indices, count] in indices[order[(sample % count + $0) % count]] }
  }

  private func order(ofEpoch epoch: Int) -> [Int] {
    last.withLock { last in
      if let known = last.first(where: { $0.epoch == epoch }) { return known.order }
      var random = Philox(epochOrder: epoch, of: list, seed: seed)
      let order = random.permutation(indices.count)
      last = [(epoch, order)] + last.prefix(1)
      return order
    }
  }
}

/// The pictures of shards in an order in which these are read through, as by a shuffle buffer.
///
/// In each epoch the shards are dealt in an order of its own to a few lanes, which are read side by side. A window, which is what
/// a buffer would hold, is the next piece of every lane; its pictures are shown in any order. So only what is in one window is
/// read here and there, and the next window is read ahead.
final class StreamOrder: SampleOrder {
  private let indices: [Int]
  /// Parts of `indices` that lie in one shard each.
  private let shards: [Range<Int>]
  private let seed: UInt64
  private let list: UInt64
  private let willRead: @Sendable (ArraySlice<Int>) -> Void
  private let last = Mutex(Last())

  /// Shards that are read side by side, and the pictures that a window has of each.
  private static let laneCount = 8
  private static let pieceLength = 512

  /// - Parameters:
  ///   - indices: ascending positions of pictures.
  ///   - shards: parts of `indices`, each of which lies in a shard.
  ///   - list: 0 or 1, tells the orders of two lists apart.
  ///   - willRead: is told of pictures in one shard that will be asked for.
  init(
    _ indices: [Int], shards: [Range<Int>], seed: UInt64, list: UInt64,
    willRead: @escaping @Sendable (ArraySlice<Int>) -> Void
  ) {
    (self.indices, self.shards, self.seed, self.list, self.willRead) = (indices, shards, seed, list, willRead)
  }

  var count: Int { indices.count }

  /// The windows of an epoch: the parts of `indices` in each, and the number of the first sample.
  private struct Epoch {
    var number: Int
    var windows: [[Range<Int>]]
    var starts: [Int]

    /// The window in which a sample lies.
    func window(of sample: Int) -> Int {
      var (low, high) = (0, windows.count)
      while high - low > 1 {
        let middle = (low + high) / 2
        if starts[middle] <= sample { low = middle } else { high = middle }
      }
      return low
    }
  }

  /// What was asked for last, the latest first: batches that are prepared at the same time may lie in several windows.
  private struct Last {
    var epochs: [Epoch] = []
    var windows: [(epoch: Int, window: Int, order: [Int])] = []
    static let mostEpochs = 2
    static let mostWindows = 8
  }

  func indices(ofSample sample: Int) -> (Int) -> Int {
    let epoch = sample / count
    return { [self] in indices[place(ofSample: (sample % count + $0) % count, in: epoch)] }
  }

  /// Where in `indices` the picture of a sample of an epoch stands.
  private func place(ofSample sample: Int, in number: Int) -> Int {
    let (place, ahead) = last.withLock { last -> (Int, [Range<Int>]) in
      let epoch = last.epochs.first { $0.number == number } ?? epoch(number)
      if last.epochs.first?.number != number {
        last.epochs = [epoch] + last.epochs.filter { $0.number != number }.prefix(Last.mostEpochs - 1)
      }
      let window = epoch.window(of: sample)
      if let at = last.windows.firstIndex(where: { $0.epoch == number && $0.window == window }) {
        let known = last.windows[at]
        if at > 0 { last.windows.insert(last.windows.remove(at: at), at: 0) }
        return (known.order[sample - epoch.starts[window]], [])
      }
      let order = order(ofWindow: window, in: epoch)
      last.windows = [(number, window, order)] + last.windows.prefix(Last.mostWindows - 1)
      return (
        order[sample - epoch.starts[window]], window + 1 < epoch.windows.count ? epoch.windows[window + 1] : []
      )
    }
    for part in ahead { willRead(indices[part]) }
    return place
  }

  private func epoch(_ number: Int) -> Epoch {
    var random = Philox(epochOrder: number, of: list, seed: seed)
    var lanes = [[Range<Int>]](repeating: [], count: min(Self.laneCount, shards.count))
    for (place, shard) in random.permutation(shards.count).enumerated() {
      let all = shards[shard]
      for start in stride(from: all.lowerBound, to: all.upperBound, by: Self.pieceLength) {
        lanes[place % lanes.count].append(start..<min(start + Self.pieceLength, all.upperBound))
      }
    }
    let windows = (0..<(lanes.map(\.count).max() ?? 0)).map { window in
      lanes.compactMap { window < $0.count ? $0[window] : nil }
    }
    var starts: [Int] = []
    var sum = 0
    for window in windows {
      starts.append(sum)
      sum += window.reduce(0) { $0 + $1.count }
    }
    return Epoch(number: number, windows: windows, starts: starts)
  }

  private func order(ofWindow window: Int, in epoch: Epoch) -> [Int] {
    let places = epoch.windows[window].flatMap { Array($0) }
    // Past the numbers that the shards' order takes, and those of the windows before.
    var random = Philox(epochOrder: epoch.number, of: list, seed: seed, skipping: UInt64(window + 1) << 14)
    return random.permutation(places.count).map { places[$0] }
  }
}

extension Philox {
  /// Far apart, so that the random numbers of two epochs, and of two lists, never overlap.
  fileprivate init(epochOrder epoch: Int, of list: UInt64, seed: UInt64, skipping blocks: UInt64 = 0) {
    self.init(
      seed: seed, stream: RandomStream.epochOrder(), counter: list << 63 | UInt64(epoch) << 32 | blocks)
  }
}
