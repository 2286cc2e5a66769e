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
    /// The weights when hosts were last together, in this process's lane, and the momentum in its part.
    private let start, velocity: Tensor
    private var isBegun = false

    init(_ processes: MPIProcesses, count: Int) {
      self.processes = processes
      func memory() -> Tensor { Tensor(permanent: processes.ownMemory(4 * count), shape: [count]) }
      (start, velocity) = (memory(), memory())
    }

    /// - Parameter isNew: whether the weights are those of all hosts.
    func begin(_ store: ParameterStore, _ range: Range<Int>, isNew: Bool = false) {
      guard isNew || !isBegun else { return }
      isBegun = true
      start.view(range, shape: [range.count]).overwrite(with: store.values.view(range, shape: [range.count]))
    }

    /// How far this host has come, downhill negative as a gradient is.
    func difference(from store: ParameterStore, into array: Tensor, _ range: Range<Int>) {
      for i in range { array.floats[i] = start.floats[i] - store.values.floats[i] }
    }

    /// Steps from where hosts were last together.
    /// - Parameters:
    ///   - sum: of all hosts' differences, in this process's part.
    ///   - range: of its lane.
    func step(_ store: ParameterStore, sum: Tensor, _ range: Range<Int>) {
      let scale = 1 / Float(processes.hostCount)
      for i in processes.part(ofLane: range, host: processes.host) {
        let gradient = sum.floats[i] * scale
        velocity.floats[i] = Self.momentum * velocity.floats[i] + gradient
        store.values.floats[i] = start.floats[i] - Self.learningRate * (gradient + Self.momentum * velocity.floats[i])
      }
    }
  }
#endif
