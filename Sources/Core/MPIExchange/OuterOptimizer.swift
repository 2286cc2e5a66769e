#if MPI
  import Basics
  import NN
  import Optimization
  import TensorCore

  /// Makes one step of many that hosts have made on their own (DiLoCo, Douillard et al. 2023, algorithm 1): Nesterov's momentum,
  /// of how far the weights of all hosts have come on average.
  final class OuterOptimizer {
    /// The paper's.
    private static let (learningRate, momentum): (Float, Float) = (0.7, 0.9)

    private let processes: MPIProcesses
    /// The weights when hosts were last together, in this process's lane.
    private let start: Tensor
    /// The momentum, in this process's part.
    private let velocity: Tensor
    private var isBegun = false

    /// - Parameter velocity: zeros that the processes of the host share.
    init(_ processes: MPIProcesses, velocity: Tensor) {
      (self.processes, self.velocity) = (processes, velocity)
      start = Tensor(permanent: processes.ownMemory(4 * velocity.count), shape: velocity.shape)
    }

    /// - Parameter isNew: whether the weights are those of all hosts.
    func begin(_ store: ParameterStore, _ range: Range<Int>, isNew: Bool = false) {
      guard isNew || !isBegun else { return }
      isBegun = true
      start.overwrite(with: store.values, range: range)
    }

    /// How far this host has come, downhill negative as a gradient is.
    func difference(from store: ParameterStore, into array: Tensor, _ range: Range<Int>, team: ThreadTeam) {
      team.forEachBlock(of: range, size: MPIExchange.blockSize) {
        FlatMemory.subtract(start, store.values, into: array, range: $0)
      }
    }

    /// Steps from where hosts were last together.
    /// - Parameters:
    ///   - store: of the weights.
    ///   - sum: of all hosts' differences, in this process's part.
    ///   - range: of its lane.
    ///   - team: whose threads share out the work.
    func step(_ store: ParameterStore, sum: Tensor, _ range: Range<Int>, team: ThreadTeam) {
      team.forEachBlock(of: processes.part(ofLane: range, host: processes.host), size: MPIExchange.blockSize) {
        FlatMemory.outerStep(
          store.values, from: start, velocity: velocity, gradient: sum, range: $0,
          scale: 1 / Float(processes.hostCount),
          learningRate: Self.learningRate, momentum: Self.momentum)
      }
    }
  }
#endif
