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

    // MARK: - Summing

    /// A sum on its way.
    private struct Passage {
      /// The pieces of what the lane has, in the order in which all hosts send them: from the end, where the gradients are final
      /// first, because a model lists what is used first before what is used last.
      let messages: [Range<Int>]
      /// Those that are sent on, so far.
      var count = 0
      var received, totals, sent: MPIProcesses.Requests
    }

    private var passage: Passage?

    /// Begins a sum.
    /// - Parameter range: the elements that the lane has.
    func begin(_ range: Range<Int>) {
      let messages = Array(Self.messages(range).reversed())
      let none = MPIProcesses.Requests(processes)
      var passage = Passage(messages: messages, received: none, totals: none, sent: none)
      if !isFirst {
        for message in messages {
          passage.received.begin { receive(message, into: partial, from: processes.host - 1, $0) }
        }
      }
      if !isLast {
        for message in ownMessages(of: range, messages) {
          passage.totals.begin { receive(message, into: total, from: processes.hostCount - 1, $0) }
        }
      }
      self.passage = passage
    }

    /// What this host gets of the sum.
    private func ownMessages(of range: Range<Int>, _ messages: [Range<Int>]) -> [Range<Int>] {
      let own = processes.part(ofLane: range, host: processes.host)
      return messages.map { $0.clamped(to: own) }.filter { !$0.isEmpty }
    }

    /// Adds a message and sends it on, if that needs no waiting: where the one from the host before is there.
    /// - Parameters:
    ///   - arrays: of this host, in their order.
    ///   - range: that was begun with.
    ///   - isFinal: whether all arrays have the elements of a message, by its number in the range.
    /// - Returns: false where there was none to be added.
    func addNext(_ arrays: [Tensor], _ range: Range<Int>, ifFinal isFinal: (Int) -> Bool) -> Bool {
      guard var passage else { preconditionFailure("no sum is on its way") }
      self.passage = nil
      defer { self.passage = passage }
      // What is on its way goes on only while somebody asks.
      _ = passage.sent.areDone()
      guard passage.count < passage.messages.count, isFirst || passage.received.areDone(passage.count),
        isFinal(passage.messages.count - 1 - passage.count)
      else { return false }
      add(arrays, range, &passage) { message, body in
        for start in stride(from: message.lowerBound, to: message.upperBound, by: MPIExchange.blockSize) {
          body(start..<min(start + MPIExchange.blockSize, message.upperBound))
        }
      }
      return true
    }

    /// Adds all that is left, and waits for the sum.
    /// - Returns: the sum, in this host's part of the range.
    func finish(_ arrays: [Tensor], _ range: Range<Int>, team: ThreadTeam) -> Tensor {
      guard var passage else { preconditionFailure("no sum is on its way") }
      self.passage = nil
      while passage.count < passage.messages.count {
        if !isFirst { passage.received.wait(for: passage.count) }
        add(arrays, range, &passage) { team.forEachBlock(of: $0, size: MPIExchange.blockSize, $1) }
      }
      passage.totals.wait()
      passage.sent.wait()
      guard !isLast else { return partial }
      if let incoming {
        for message in ownMessages(of: range, passage.messages) { total.overwrite(with: incoming, range: message) }
      }
      return total
    }

    /// A sum from its beginning to its end; see ``finish(_:_:team:)``.
    func sum(_ arrays: [Tensor], _ range: Range<Int>, team: ThreadTeam) -> Tensor {
      begin(range)
      return finish(arrays, range, team: team)
    }

    /// Adds the message that is next and sends it on.
    /// - Parameter forEachBlock: of a message.
    private func add(
      _ arrays: [Tensor], _ range: Range<Int>, _ passage: inout Passage,
      forEachBlock: (_ message: Range<Int>, _ body: (Range<Int>) -> Void) -> Void
    ) {
      let message = passage.messages[passage.count]
      let (addends, sum) = isFirst ? (arrays, arrays[0]) : ([partial] + arrays, partial)
      if !isFirst, let incoming { partial.overwrite(with: incoming, range: message) }
      forEachBlock(message) { block in
        FlatMemory.sum(addends, into: sum, range: block)
        if let outgoing, let error { FlatMemory.round(sum, into: outgoing, error: error, range: block) }
      }
      if !isLast {
        passage.sent.begin { send(message, of: sum, to: processes.host + 1, $0) }
      } else {
        for host in 0..<processes.hostCount - 1 {
          let part = message.clamped(to: processes.part(ofLane: range, host: host))
          if !part.isEmpty { passage.sent.begin { send(part, of: partial, to: host, $0) } }
        }
      }
      passage.count += 1
    }

    // MARK: - Weights, and what the optimizer keeps

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
    static func messages(_ range: Range<Int>) -> [Range<Int>] {
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
