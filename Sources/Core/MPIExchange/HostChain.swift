#if MPI
  import Basics
  import CKernels
  import CMPI
  import Optimization
  import TensorCore

  /// Sums over hosts, in their order, and gives each host its part of the sum: a chain (see ``MPIExchange``) of the processes of
  /// a lane.
  ///
  /// As bfloat16, what rounding takes from a number is added to the number that is sent in its place the next time (error
  /// feedback, Seide et al. 2014), so that nothing is lost for good.
  final class HostChain {
    private let processes: MPIProcesses
    private let lane: MPI_Comm
    private let type: ElementType
    /// What came from the host before, then with this host's added; and this host's part of the sum of all.
    private let partial, total: Tensor
    /// What is sent and received as bfloat16, and what its rounding took; laid out like the others.
    private let outgoing, incoming: Tensor?
    private let error: Tensor?

    /// Elements of a message: a few blocks, so that hosts add one while the next is on its way.
    private static let messageSize = 16 * MPIExchange.blockSize

    init(_ processes: MPIProcesses, count: Int) {
      guard let lane = processes.lane else { preconditionFailure("a process without a lane exchanges nothing") }
      (self.processes, self.lane, type) = (processes, lane, processes.options.type)
      func memory(_ type: ElementType) -> Tensor {
        Tensor(permanent: processes.ownMemory(count * type.size), shape: [count], type: type)
      }
      (partial, total) = (memory(.float32), memory(.float32))
      let isRounded = type == .bfloat16
      (outgoing, incoming, error) =
        isRounded ? (memory(.bfloat16), memory(.bfloat16), memory(.float32)) : (nil, nil, nil)
    }

    private var isFirst: Bool { processes.host == 0 }
    private var isLast: Bool { processes.host == processes.hostCount - 1 }

    /// - Parameters:
    ///   - arrays: of this host, in their order.
    ///   - range: the elements that the lane has.
    /// - Returns: the sum, in this host's part of the range.
    func sum(_ arrays: [Tensor], _ range: Range<Int>, team: ThreadTeam) -> Tensor {
      let messages = Self.messages(range)
      let (addends, sum) = isFirst ? (arrays, arrays[0]) : ([partial] + arrays, partial)
      var received = MPIProcesses.Requests(processes)
      var totals = MPIProcesses.Requests(processes)
      var sent = MPIProcesses.Requests(processes)
      let own = processes.part(ofLane: range, host: processes.host)
      if !isFirst {
        for message in messages { received.begin { receive(message, into: partial, from: processes.host - 1, $0) } }
      }
      let ownMessages = messages.map { $0.clamped(to: own) }.filter { !$0.isEmpty }
      if !isLast {
        for message in ownMessages { totals.begin { receive(message, into: total, from: processes.hostCount - 1, $0) } }
      }
      for (i, message) in messages.enumerated() {
        if !isFirst {
          received.wait(for: i)
          if let incoming { partial.overwrite(with: incoming, range: message) }
        }
        team.forEachBlock(of: message, size: MPIExchange.blockSize) { block in
          FlatMemory.sum(addends, into: sum, range: block)
          if let outgoing, let error { FlatMemory.round(sum, into: outgoing, error: error, range: block) }
        }
        if !isLast {
          sent.begin { send(message, of: sum, to: processes.host + 1, $0) }
        } else {
          for host in 0..<processes.hostCount - 1 {
            let part = message.clamped(to: processes.part(ofLane: range, host: host))
            if !part.isEmpty { sent.begin { send(part, of: partial, to: host, $0) } }
          }
        }
      }
      totals.wait()
      sent.wait()
      guard !isLast else { return partial }
      if let incoming { for message in ownMessages { total.overwrite(with: incoming, range: message) } }
      return total
    }

    /// Gives all hosts the weights that each has updated.
    func spread(_ store: ParameterStore, _ range: Range<Int>) {
      let parts = (0..<processes.hostCount).map { processes.part(ofLane: range, host: $0) }
      let counts = parts.map { Int32($0.count) }
      let starts = parts.map { Int32($0.lowerBound - range.lowerBound) }
      counts.withUnsafeBufferPointer { counts in
        starts.withUnsafeBufferPointer { starts in
          processes.wait {
            MPI_Iallgatherv(
              dalle_mpi_in_place(), 0, dalle_mpi_float(), store.values.floats + range.lowerBound, counts.baseAddress,
              starts.baseAddress, dalle_mpi_float(), lane, $0)
          }
        }
      }
      store.refreshOperands(range)
    }

    /// Gives the first host what each has of an array.
    func collect(_ array: Tensor, _ range: Range<Int>) {
      var requests = MPIProcesses.Requests(processes)
      for host in isFirst ? Array(1..<processes.hostCount) : [processes.host] {
        let part = processes.part(ofLane: range, host: host)
        for message in Self.messages(part) {
          requests.begin {
            let (place, count) = (array.floats + message.lowerBound, Int32(message.count))
            return isFirst
              ? MPI_Irecv(place, count, dalle_mpi_float(), Int32(host), 0, lane, $0)
              : MPI_Isend(place, count, dalle_mpi_float(), 0, 0, lane, $0)
          }
        }
      }
      requests.wait()
    }

    // MARK: - Messages

    /// A range in pieces, each of which is one message.
    private static func messages(_ range: Range<Int>) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: messageSize).map {
        $0..<min($0 + messageSize, range.upperBound)
      }
    }

    /// Where some elements of an array come from or go to, and how many bytes they are.
    private func bytes(_ range: Range<Int>, of array: Tensor) -> (place: UnsafeMutableRawPointer, count: Int32) {
      (array.pointer + range.lowerBound * type.size, Int32(range.count * type.size))
    }

    private func receive(
      _ range: Range<Int>, into array: Tensor, from host: Int, _ request: UnsafeMutablePointer<MPI_Request?>
    ) -> Int32 {
      let (place, count) = bytes(range, of: incoming ?? array)
      return MPI_Irecv(place, count, dalle_mpi_byte(), Int32(host), 0, lane, request)
    }

    private func send(
      _ range: Range<Int>, of array: Tensor, to host: Int, _ request: UnsafeMutablePointer<MPI_Request?>
    ) -> Int32 {
      let (place, count) = bytes(range, of: outgoing ?? array)
      return MPI_Isend(place, count, dalle_mpi_byte(), Int32(host), 0, lane, request)
    }
  }
#endif
