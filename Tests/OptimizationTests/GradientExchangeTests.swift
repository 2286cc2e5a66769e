import Basics
import Foundation
import NN
import TensorCore
import Testing

@testable import Optimization

/// Processes that train together are threads here: each has a model, an optimizer and a team of its own, and updates a part
/// of the weights.
struct GradientExchangeTests {
  /// Where the processes lay out what they exchange.
  private final class Room: @unchecked Sendable {
    private let processes: ThreadTeam
    private let lock = NSLock()
    private var laidOut: [Int: Any] = [:]

    init(_ processes: ThreadTeam) { self.processes = processes }

    /// What each process has laid out, in their order. All must come here.
    func exchange<Item>(_ item: Item, of rank: Int) -> [Item] {
      lock.withLock { laidOut[rank] = item }
      processes.barrier()
      let all = lock.withLock { (0..<processes.count).compactMap { laidOut[$0] as? Item } }
      processes.barrier()
      return all
    }
  }

  private struct RoomExchange: GradientExchange {
    let rank, ranks, replicasOfEach: Int
    let room: Room

    var replicas: Range<Int> { rank * replicasOfEach..<(rank + 1) * replicasOfEach }
    var replicaCount: Int { ranks * replicasOfEach }

    private func part(of count: Int, rank: Int) -> Range<Int> {
      let blocks = (count + Self.blockSize - 1) / Self.blockSize
      return min(
        count, blocks * rank / ranks * Self.blockSize)..<min(count, blocks * (rank + 1) / ranks * Self.blockSize)
    }

    func part(of count: Int) -> Range<Int> { part(of: count, rank: rank) }

    func sum(
      _ gradients: [Tensor], team: ThreadTeam, visit: (_ sum: Tensor, _ block: Range<Int>) -> Void
    ) -> Tensor {
      let all = room.exchange(gradients, of: rank).flatMap(\.self)
      let sum = Tensor.zeros([gradients[0].count])
      team.forEachBlock(of: part(of: sum.count), size: Self.blockSize) { block in
        FlatMemory.sum(all, into: sum, range: block)
        visit(sum, block)
      }
      return sum
    }

    func sum(_ numbers: [Double]) -> [Double] {
      room.exchange(numbers, of: rank).reduce(numbers.map { _ in 0 }) { zip($0, $1).map(+) }
    }

    func spread(_ store: ParameterStore, team: ThreadTeam) {
      spread(store.values)
      store.refreshOperands()
    }

    func collect(_ arrays: [Tensor]) { arrays.forEach(spread) }

    private func spread(_ array: Tensor) {
      for (other, theirs) in room.exchange(array, of: rank).enumerated() where other != rank {
        let part = part(of: array.count, rank: other)
        array.view(part, shape: [part.count]).overwrite(with: theirs.view(part, shape: [part.count]))
      }
      _ = room.exchange(0, of: rank)
    }

    func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { room.exchange(tensors, of: rank).flatMap(\.self) }
  }

  private struct Net: Module {
    let first, second: Linear

    init() {
      var initializer = Initializer(seed: 3)
      // More than two blocks of weights.
      first = Linear(100, 250, &initializer)
      second = Linear(250, 100, &initializer)
    }
  }

  /// The weights and their average after some steps, in which the replicas' outputs are gathered, too.
  private static func train(_ team: ThreadTeam, _ exchange: any GradientExchange) -> [[Float]] {
    let net = Net()
    let store = ParameterStore(net, precision: .bfloat16)
    var options = AdamW.Options()
    options.averageDecay = 0.9
    let trainer = ReplicaTrainer(AdamW(store, options: options), team: team, exchange: exchange)
    let x = Tensor.normal([12, 100], seed: 4, stream: 1)
    for _ in 0..<5 {
      _ = trainer.step(learningRate: 0.01) { replica in
        let range = replica.range(of: 12)
        let own = x.view(range.lowerBound * 100..<range.upperBound * 100, shape: [range.count, 100])
        let y = net.second(net.first(own).applying(.gelu))
        let all = replica.gather([("y", y), ("number", Tensor(Float(replica.number)))])
        precondition(all.map { $0[1].tensor.item } == (0..<replica.count).map(Float.init), "not in the replicas' order")
        // Each replica's outputs are drawn to the mean of all that were gathered.
        let mean = Tensor.concatenated(all.map { $0[0].tensor.detached().reshaped([1, -1, 100]) })
        let scalars = mean.scalars
        let target = (0..<100).map { column -> Float in
          let values = (0..<12).map { row in scalars[row * 100 + column] }
          return values.reduce(0, +) / 12
        }
        return meanSquaredError(y, Tensor(range.flatMap { _ in target }, shape: [range.count, 100]))
          * (Float(range.count) / 12)
      }
    }
    trainer.collect()
    return [store.values.scalars, store.operands?.scalars ?? [], trainer.optimizer.average?.scalars ?? []]
  }

  @Test(arguments: [(2, 1), (2, 2), (3, 1)])
  func severalProcessesLearnWhatOneDoes(processes: Int, threads: Int) throws {
    let expected = Self.train(try ThreadTeam(count: processes * threads), LocalExchange(replicas: processes * threads))
    #expect(expected[0] != ParameterStore(Net(), precision: .bfloat16).values.scalars)
    let outer = try ThreadTeam(count: processes)
    let room = Room(outer)
    let teams = try (0..<processes).map { _ in try ThreadTeam(count: threads) }
    let results = outer.map(processes) { rank in
      Self.train(teams[rank], RoomExchange(rank: rank, ranks: processes, replicasOfEach: threads, room: room))
    }
    for result in results { #expect(result == expected) }
  }
}
