import Basics
import Foundation
import NN
import Synchronization
import TensorCore
import Testing

@testable import Optimization

/// Pieces of gradients that are final in all replicas.
struct FinalPiecesTests {
  private static let memory: @Sendable (Int) -> UnsafeMutableRawPointer = { pieces in
    let count = FinalPieces.byteCount(pieces: pieces)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    return memory
  }

  /// Parameters that end within pieces and that reach over several; two processes that share what is counted.
  @Test func aPieceIsFinalWhenAllReplicasHaveAllOfIt() {
    let pieces = [0..<10, 10..<20, 20..<30, 30..<34]
    let parameters = [0..<4, 4..<12, 12..<31, 31..<34]
    let memory = Self.memory(pieces.count)
    defer { memory.deallocate() }
    let processes = [2, 1].map {
      FinalPieces(pieces, parameters: parameters, replicas: $0, replicaCount: 3, memory: memory)
    }
    func final() -> [Int] {
      let found = processes.map { process in pieces.indices.filter(process.isFinal) }
      #expect(found[0] == found[1])
      return found[0]
    }
    for _ in 0..<3 {
      processes.forEach { $0.begin() }
      #expect(final() == [])
      // From the end, from the beginning, and neither.
      for parameter in [3, 2, 1, 0] { processes[0].finish(parameter, of: 0) }
      for parameter in [0, 1, 2] { processes[0].finish(parameter, of: 1) }
      #expect(final() == [])
      processes[1].finish(1, of: 0)
      processes[1].finish(0, of: 0)
      #expect(final() == [0])
      processes[1].finish(2, of: 0)
      #expect(final() == [0, 1, 2])
      processes[1].finish(3, of: 0)
      #expect(final() == [0, 1, 2])
      processes[0].finish(3, of: 1)
      #expect(final() == [0, 1, 2, 3])
    }
  }

  private struct Layers: Module {
    let layers: [Linear]
    let unused: Linear

    init() {
      var initializer = Initializer(seed: 3)
      layers = (0..<4).map { _ in Linear(40, 40, &initializer) }
      unused = Linear(40, 30, &initializer)
    }
  }

  /// Copies each piece when it is said to be final, while the replicas still go back.
  private final class Watching: GradientExchange, @unchecked Sendable {
    private let local: LocalExchange
    private let store: ParameterStore
    private let memory: UnsafeMutableRawPointer
    private let finals: FinalPieces
    private var gradients: [Tensor] = []
    private let told = Atomic(0)
    /// What replicas had in each piece when it was final, and then at the end.
    private(set) var copies: [[[Float]]] = []
    private(set) var ends: [[[Float]]] = []
    private let pieces: [Range<Int>]
    private let lock = NSLock()

    init(_ store: ParameterStore, replicas: Int) {
      let count = store.values.count
      pieces = stride(from: 0, to: count, by: 512).map { $0..<min($0 + 512, count) }
      memory = FinalPiecesTests.memory(pieces.count)
      finals = FinalPieces(
        pieces, parameters: store.ranges, replicas: replicas, replicaCount: replicas, memory: memory)
      (local, self.store) = (LocalExchange(replicas: replicas), store)
      copies = pieces.map { _ in [] }
    }

    deinit { memory.deallocate() }

    var replicas: Range<Int> { local.replicas }
    var replicaCount: Int { local.replicaCount }
    func part(of count: Int) -> Range<Int> { local.part(of: count) }

    func makeGradients(_ count: Int) -> [Tensor] {
      gradients = replicas.map { _ in .zeros([count]) }
      return gradients
    }

    private func content(_ piece: Range<Int>) -> [[Float]] {
      gradients.map { $0.view(piece, shape: [piece.count]).scalars }
    }

    func begin(_ store: ParameterStore) -> ((_ replica: Int, _ parameter: Int) -> Void)? {
      finals.begin()
      told.store(0, ordering: .relaxed)
      copies = pieces.map { _ in [] }
      return { [self] replica, parameter in
        finals.finish(parameter, of: replica)
        told.wrappingAdd(1, ordering: .relaxed)
        lock.withLock {
          for (i, piece) in pieces.enumerated() where copies[i].isEmpty && finals.isFinal(i) {
            copies[i] = content(piece)
          }
        }
      }
    }

    func sum(
      _ gradients: [Tensor], team: ThreadTeam, visit: (_ sum: Tensor, _ block: Range<Int>) -> Void
    ) -> Tensor {
      #expect(told.load(ordering: .relaxed) == store.parameters.count * replicaCount)
      #expect(pieces.indices.allSatisfy(finals.isFinal))
      ends = pieces.map(content)
      return local.sum(gradients, team: team, visit: visit)
    }

    func sum(_ numbers: [Double]) -> [Double] { numbers }
    func spread(_ store: ParameterStore, team: ThreadTeam) {}
    func collect(_ arrays: [Tensor]) {}
    func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { tensors }
  }

  /// Replicas that go through their layers in different orders, and leave a part of the model out.
  @Test func replicasMayFinishInDifferentOrders() throws {
    func train(_ makeExchange: (ParameterStore) -> any GradientExchange) throws -> [Float] {
      let model = Layers()
      let store = ParameterStore(model, precision: .float32)
      let trainer = ReplicaTrainer(AdamW(store), team: try ThreadTeam(count: 3), exchange: makeExchange(store))
      let x = Tensor.normal([6, 40], seed: 4, stream: 1)
      for _ in 0..<3 {
        _ = trainer.step(learningRate: 0.01) { replica in
          let range = replica.range(of: 6)
          var h = x.view(range.lowerBound * 40..<range.upperBound * 40, shape: [range.count, 40])
          for i in 0..<4 { h = model.layers[(i + replica.number) % 4](h).applying(.gelu) }
          return (h * h).sum()
        }
      }
      return store.values.scalars
    }
    var watching: Watching?
    let watched = try train {
      let exchange = Watching($0, replicas: 3)
      watching = exchange
      return exchange
    }
    #expect(try watched == train { _ in LocalExchange(replicas: 3) })
    let exchange = try #require(watching)
    #expect(exchange.copies == exchange.ends)
  }
}
