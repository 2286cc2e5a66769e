#if MPI
  import Basics
  import CMPI
  import NN
  import Optimization
  import TensorCore

  /// Where the replicas of processes that MPI has started bring together what they have learnt.
  ///
  /// Each lane has a part of all elements. Within a host its process sums them over the host's replicas in the memory that they
  /// share. Between hosts the sum goes in a chain from host to host, block after block, each adding its replicas in their
  /// order, so that it is that of one process with as many threads, bit for bit. The last host gives each a part of the sum, which
  /// it updates the weights of; then all give each other the weights.
  ///
  /// The chain begins while the replicas still go back: a thread adds and sends each message as soon as it is final in all
  /// replicas of the host (see ``FinalPieces``), and what is left when they are through the team adds.
  ///
  /// With local steps a host goes on its own in between, and what is summed, in the same way, is how far its weights have come
  /// since; an outer optimizer with Nesterov's momentum makes a step of that (DiLoCo, Douillard et al. 2023, algorithm 1).
  final class MPIExchange: GradientExchange, @unchecked Sendable {
    private let processes: MPIProcesses
    private let threads: Int
    /// Those of all replicas of the host, in their order.
    private var hostGradients: [Tensor] = []
    private var chain: HostChain?
    /// Which messages are final, those of all lanes, and which of them is the first of this lane; where any are sent.
    private var pieces: FinalPieces?
    private var firstPiece = 0
    private var sender: BesideThread?
    private var outer: OuterOptimizer?
    private(set) var momentum: Tensor?
    /// Steps that hosts have made on their own.
    private var stepsApart = 0

    init(_ processes: MPIProcesses, threads: Int) { (self.processes, self.threads) = (processes, threads) }

    var replicas: Range<Int> { processes.rank * threads..<(processes.rank + 1) * threads }
    var replicaCount: Int { processes.count * threads }

    /// Whether hosts go on their own between exchanges.
    private var hasLocalSteps: Bool { processes.hostCount > 1 && processes.options.localSteps > 1 }
    /// Whether a step needs no other host.
    private var staysOnHost: Bool { processes.hostCount == 1 || hasLocalSteps }

    /// A host that goes on its own has a part of the batch, whose losses are the parts of the batch's loss.
    var scale: Float { hasLocalSteps ? Float(replicaCount) / Float(processes.hostSize * threads) : 1 }

    // MARK: - Memory

    func zeros(_ count: Int, _ type: ElementType) -> Tensor {
      Tensor(permanent: processes.sharedMemory(count * type.size), shape: [count], type: type)
    }

    func makeGradients(_ count: Int) -> [Tensor] {
      let replicas = processes.hostSize * threads
      let all = zeros(replicas * count, .float32)
      hostGradients = (0..<replicas).map { all.view($0 * count..<($0 + 1) * count, shape: [count]) }
      momentum = hasLocalSteps ? zeros(count, .float32) : nil
      if processes.hostCount > 1 && processes.lane != nil {
        chain = HostChain(processes, count: count)
        outer = momentum.map { OuterOptimizer(processes, velocity: $0) }
      }
      return Array(hostGradients[processes.hostRank * threads..<(processes.hostRank + 1) * threads])
    }

    // MARK: - Parts

    func part(of count: Int) -> Range<Int> {
      staysOnHost ? laneRange(of: count) : processes.part(ofLane: laneRange(of: count), host: processes.host)
    }

    /// What this process's lane has of arrays of this length; nothing where it has no lane.
    private func laneRange(of count: Int) -> Range<Int> {
      processes.lane == nil ? count..<count : laneRange(of: count, lane: processes.hostRank)
    }

    private func laneRange(of count: Int, lane: Int) -> Range<Int> {
      MPIProcesses.blocks(0..<count, part: lane, of: processes.lanes)
    }

    // MARK: - A step

    func begin(_ store: ParameterStore) -> ((_ replica: Int, _ parameter: Int) -> Void)? {
      let lane = laneRange(of: store.values.count)
      outer?.begin(store, lane)
      guard !staysOnHost else { return nil }
      let pieces = self.pieces ?? makePieces(store)
      self.pieces = pieces
      pieces.begin()
      if let chain {
        chain.begin(lane)
        let sender = self.sender ?? BesideThread()
        self.sender = sender
        sender.begin { [hostGradients, firstPiece] in
          chain.addNext(hostGradients, lane) { pieces.isFinal(firstPiece + $0) }
        }
      }
      return { pieces.finish($1, of: $0) }
    }

    /// Those of all lanes, because a replica's gradients are in all of them.
    private func makePieces(_ store: ParameterStore) -> FinalPieces {
      let lanes = (0..<processes.lanes).map { HostChain.messages(laneRange(of: store.values.count, lane: $0)) }
      firstPiece = lanes.prefix(processes.hostRank).reduce(0) { $0 + $1.count }
      let messages = lanes.flatMap(\.self)
      return FinalPieces(
        messages, parameters: store.ranges, replicas: threads, replicaCount: processes.hostSize * threads,
        memory: processes.sharedMemory(FinalPieces.byteCount(pieces: messages.count)))
    }

    func sum(
      _ gradients: [Tensor], team: ThreadTeam, visit: (_ sum: Tensor, _ block: Range<Int>) -> Void
    ) -> Tensor {
      let count = gradients[0].count
      // All gradients of the host are there.
      processes.barrier(processes.onHost)
      let part = part(of: count)
      if staysOnHost {
        let sum = hostGradients[0]
        team.forEachBlock(of: part, size: Self.blockSize) { block in
          FlatMemory.sum(hostGradients, into: sum, range: block)
          visit(sum, block)
        }
        return sum
      }
      guard let chain else { return hostGradients[0] }
      sender?.end()
      let sum = chain.finish(hostGradients, laneRange(of: count), team: team)
      team.forEachBlock(of: part, size: Self.blockSize) { visit(sum, $0) }
      return sum
    }

    func sum(_ numbers: [Double]) -> [Double] {
      guard hasLocalSteps else { return processes.sum(numbers) }
      let sums = processes.sum(numbers, in: processes.onHost)
      // Hosts leave the same steps out, so that none waits for one that does not come.
      let isSound = processes.sum([sums.allSatisfy(\.isFinite) ? 0 : 1])[0] == 0
      return isSound ? sums : sums.map { _ in .nan }
    }

    func spread(_ store: ParameterStore, team: ThreadTeam) {
      if hasLocalSteps {
        processes.barrier(processes.onHost)
        stepsApart += 1
        if stepsApart == processes.options.localSteps { join(store, team: team) }
      } else {
        chain?.spread(store, laneRange(of: store.values.count))
        processes.barrier(processes.onHost)
      }
    }

    var isTogether: Bool { stepsApart == 0 }

    func join(_ store: ParameterStore, team: ThreadTeam) {
      guard hasLocalSteps, stepsApart > 0 else { return }
      stepsApart = 0
      if let outer, let chain {
        let lane = laneRange(of: store.values.count)
        outer.difference(from: store, into: hostGradients[0], lane, team: team)
        outer.step(store, sum: chain.sum([hostGradients[0]], lane, team: team), lane, team: team)
        chain.spread(store, lane)
        outer.begin(store, lane, isNew: true)
      }
      processes.barrier(processes.onHost)
    }

    func collect(_ arrays: [Tensor]) {
      // With local steps each host has its own, and those of rank 0's are saved, but for the momentum of what they do together.
      let parts = hasLocalSteps ? momentum.map { [$0] } ?? [] : arrays
      if let chain { for array in parts { chain.collect(array, laneRange(of: array.count)) } }
      processes.barrier(processes.onHost)
    }

    func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] { processes.gather(tensors) }
  }

  extension MPIProcesses {
    /// A part of a range of blocks, as even as can be.
    /// - Parameter range: begins with a block.
    static func blocks(_ range: Range<Int>, part: Int, of count: Int) -> Range<Int> {
      let size = MPIExchange.blockSize
      let blocks = (range.count + size - 1) / size
      func bound(_ i: Int) -> Int { min(range.upperBound, range.lowerBound + blocks * i / count * size) }
      return bound(part)..<bound(part + 1)
    }

    /// What a host updates of what a lane has.
    func part(ofLane range: Range<Int>, host: Int) -> Range<Int> { Self.blocks(range, part: host, of: hostCount) }
  }
#endif
