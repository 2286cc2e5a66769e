#if MPI
  import Basics
  import CMPI
  import Foundation
  import NN
  import Optimization
  import TensorCore

  /// The processes that MPI has started together.
  ///
  /// Those of one machine, a host, share memory: weights and what the optimizer keeps are there once, each process sums and
  /// updates its part of them where it lies, and nothing is sent. Between hosts the k-th process of each, a lane, exchanges the
  /// k-th part of all.
  package final class MPIProcesses: JoinedProcesses, @unchecked Sendable {
    package let rank: Int
    package let count: Int
    let options: ExchangeOptions
    /// This process's host and its number there.
    let host, hostRank: Int
    let hostCount, hostSize: Int
    /// As many as the host that has fewest has processes.
    let lanes: Int
    let all, onHost: MPI_Comm
    /// The processes of this one's lane, a host each; nil for one that has none.
    let lane: MPI_Comm?
    private let watch: ProcessWatch

    package var resumeExactly: Bool {
      hostCount == 1 || (options.type == .float32 && options.localSteps == 1)
    }

    /// Starts MPI.
    /// - Parameters:
    ///   - options: how they exchange what they learn.
    ///   - ranksPerHost: makes hosts of so many neighbouring processes of one machine, for tests.
    ///   - say: see ``Launcher/start(_:options:say:)``.
    /// - Throws: `PipelineError` of kind `.usage` where MPI does not start.
    init(
      options: ExchangeOptions, ranksPerHost: Int?, say: @escaping @Sendable (PipelineError) -> Void
    ) throws(PipelineError) {
      self.options = options
      var threadSupport: Int32 = 0
      guard dalle_mpi_initialize(&threadSupport) == MPI_SUCCESS, threadSupport == MPI_THREAD_MULTIPLE else {
        throw PipelineError(.usage, "this MPI does not let several threads communicate (MPI_THREAD_MULTIPLE)")
      }
      let world = Self.duplicate(dalle_mpi_world())
      let worldRank = Self.rank(in: world)
      let onHost = try Self.hostCommunicator(world, ranksPerHost: ranksPerHost)
      (hostRank, hostSize) = (Self.rank(in: onHost), Self.size(of: onHost))
      // Hosts are numbered by their least rank, and processes host by host: rank 0 stays what it is.
      let hosts = Self.gathered(Self.gathered(worldRank, in: onHost)[0], in: world)
      let leaders = Set(hosts).sorted()
      let sizes = leaders.map { leader in hosts.count { $0 == leader } }
      host = leaders.firstIndex(of: hosts[worldRank]) ?? 0
      hostCount = leaders.count
      lanes = sizes.min() ?? 1
      rank = sizes[..<host].reduce(0, +) + hostRank
      count = hosts.count
      self.onHost = onHost
      all = Self.split(world, color: 0, key: rank)
      lane = hostRank < lanes ? Self.split(world, color: hostRank, key: host) : nil
      if lane == nil { _ = Self.split(world, color: lanes, key: rank) }
      let names = Self.gatheredNames(in: world)
      watch = ProcessWatch(
        ProcessWatch.Place(
          rank: rank, host: host, hostRank: hostRank, hostCount: hostCount, hostSizes: sizes,
          everybody: Self.duplicate(all), hostNames: leaders.map { names[$0] }),
        memory: try Self.sharedMemory(ProcessWatch.boardSize(processes: hostSize), in: onHost), say: say)
      watch.start()
    }

    // MARK: - Training together

    package func makeExchange(threads: Int) -> any GradientExchange { MPIExchange(self, threads: threads) }

    package func sum(_ numbers: [Double]) -> [Double] { sum(numbers, in: all) }

    /// The sums over the processes of a communicator.
    func sum(_ numbers: [Double], in comm: MPI_Comm) -> [Double] {
      var numbers = numbers
      numbers.withUnsafeMutableBufferPointer { numbers in
        wait {
          MPI_Iallreduce(
            dalle_mpi_in_place(), numbers.baseAddress, Int32(numbers.count), dalle_mpi_double(), dalle_mpi_sum(), comm,
            $0)
        }
      }
      return numbers
    }

    package func agree(on terms: [(name: String, value: String)]) throws(PipelineError) {
      let terms = [("the exchange", "\(options)")] + terms
      let own = terms.map {
        [
          (
            name: $0.name,
            tensor: Tensor(bytes: Array($0.value.utf8), shape: [$0.value.utf8.count], scale: 1, offset: 0)
          )
        ]
      }
      let all = gather([own.flatMap(\.self)])
      func text(_ tensor: Tensor) -> String { String(decoding: tensor.scalars.map { UInt8($0) }, as: UTF8.self) }
      for (i, term) in terms.enumerated() {
        let first = text(all[0][i].tensor)
        guard first != term.value else { continue }
        func rest(of text: String, without other: String) -> String {
          let items = text.split(separator: ",").filter { !other.split(separator: ",").contains($0) }
          return items.isEmpty ? "nothing" : items.joined(separator: ", ")
        }
        throw PipelineError(
          .usage,
          "rank \(rank) (\(Self.hostName)) was started otherwise than rank 0, which must not be; \(term.name): "
            + "\(rest(of: term.value, without: first)) instead of \(rest(of: first, without: term.value))")
      }
    }

    static var hostName: String { ProcessInfo.processInfo.hostName }

    // MARK: - Ending together

    package func finish() {
      barrier(all)
      watch.stop()
      MPI_Finalize()
    }

    package func end(_ say: () -> Void) { watch.end(say) }

    // MARK: - Waiting

    /// Begins something and waits until it is done.
    /// - Parameter begin: gives the request and what MPI returned.
    func wait(_ begin: (UnsafeMutablePointer<MPI_Request?>) -> Int32) {
      var requests = Requests(self)
      requests.begin(begin)
      requests.wait()
    }

    func barrier(_ comm: MPI_Comm) { wait { MPI_Ibarrier(comm, $0) } }

    /// Ends the process where MPI has failed.
    fileprivate func check(_ code: Int32) {
      guard code != MPI_SUCCESS else { return }
      var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING))
      var length: Int32 = 0
      MPI_Error_string(code, &text, &length)
      let words = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      watch.end(because: "the exchange with other processes failed (\(words))")
    }

    /// What is on its way. Waiting yields the core to whoever computes on it, and ends where another process has ended.
    struct Requests {
      private let processes: MPIProcesses
      private var requests: [MPI_Request?] = []

      init(_ processes: MPIProcesses) { self.processes = processes }

      mutating func begin(_ begin: (UnsafeMutablePointer<MPI_Request?>) -> Int32) {
        var request: MPI_Request?
        processes.check(begin(&request))
        requests.append(request)
      }

      /// Whether all of them are done, or that of a number. Asking gets on with all that is on its way.
      mutating func areDone(_ number: Int? = nil) -> Bool {
        let range = number.map { $0..<$0 + 1 } ?? 0..<requests.count
        var done: Int32 = 0
        let code = requests.withUnsafeMutableBufferPointer {
          dalle_mpi_test_all(Int32(range.count), $0.baseAddress.map { $0 + range.lowerBound }, &done)
        }
        processes.check(code)
        return done != 0
      }

      /// Waits for all of them, or for that of a number.
      mutating func wait(for number: Int? = nil) {
        var polls = 0
        while !areDone(number) {
          polls += 1
          if polls > 20_000 { usleep(50) } else if polls > 200 { sched_yield() }
        }
      }
    }

    // MARK: - Communicators

    private static func rank(in comm: MPI_Comm) -> Int {
      var rank: Int32 = 0
      MPI_Comm_rank(comm, &rank)
      return Int(rank)
    }

    private static func size(of comm: MPI_Comm) -> Int {
      var size: Int32 = 0
      MPI_Comm_size(comm, &size)
      return Int(size)
    }

    private static func duplicate(_ comm: MPI_Comm?) -> MPI_Comm {
      var copy: MPI_Comm?
      MPI_Comm_dup(comm, &copy)
      guard let copy else { preconditionFailure("MPI gave no communicator") }
      dalle_mpi_return_errors(copy)
      return copy
    }

    private static func split(_ comm: MPI_Comm, color: Int, key: Int) -> MPI_Comm {
      var part: MPI_Comm?
      MPI_Comm_split(comm, Int32(color), Int32(key), &part)
      guard let part else { preconditionFailure("MPI gave no communicator") }
      dalle_mpi_return_errors(part)
      return part
    }

    /// The processes that share memory.
    private static func hostCommunicator(_ world: MPI_Comm, ranksPerHost: Int?) throws(PipelineError) -> MPI_Comm {
      var shared: MPI_Comm?
      guard dalle_mpi_split_by_host(world, &shared) == MPI_SUCCESS, let shared else {
        throw PipelineError(.usage, "this MPI does not tell which processes share memory")
      }
      let comm = duplicate(shared)
      guard let ranksPerHost else { return comm }
      return split(comm, color: rank(in: comm) / max(1, ranksPerHost), key: rank(in: comm))
    }

    /// The numbers of all processes of a communicator.
    private static func gathered(_ number: Int, in comm: MPI_Comm) -> [Int] {
      var (own, all) = (Int64(number), [Int64](repeating: 0, count: size(of: comm)))
      MPI_Allgather(&own, 8, dalle_mpi_byte(), &all, 8, dalle_mpi_byte(), comm)
      return all.map(Int.init)
    }

    /// The names of the machines that all processes of a communicator are on.
    private static func gatheredNames(in comm: MPI_Comm) -> [String] {
      let length = 64
      var own = Array(hostName.utf8.prefix(length)) + [UInt8](repeating: 0, count: max(0, length - hostName.utf8.count))
      var all = [UInt8](repeating: 0, count: length * size(of: comm))
      MPI_Allgather(&own, Int32(length), dalle_mpi_byte(), &all, Int32(length), dalle_mpi_byte(), comm)
      return stride(from: 0, to: all.count, by: length).map {
        String(decoding: all[$0..<$0 + length].prefix { $0 != 0 }, as: UTF8.self)
      }
    }

    // MARK: - Memory

    /// Zeros that the processes of this host share, to the end of the process. All must come here.
    func sharedMemory(_ byteCount: Int) -> UnsafeMutableRawPointer {
      do { return try Self.sharedMemory(byteCount, in: onHost) } catch { watch.end(because: error.message) }
    }

    /// - Throws: `PipelineError` of kind `.inputOutput` where there is no room for it.
    private static func sharedMemory(_ byteCount: Int, in comm: MPI_Comm) throws(PipelineError)
      -> UnsafeMutableRawPointer
    {
      let isMaker = rank(in: comm) == 0
      let made = isMaker ? dalle_mpi_make_memory(byteCount) : 0
      let maker = gathered(Int(getpid()), in: comm)[0]
      let makersFile = Int32(gathered(Int(made), in: comm)[0])
      let file = isMaker || makersFile < 0 ? made : dalle_mpi_open_memory(Int32(maker), makersFile)
      let memory = makersFile < 0 || file < 0 ? nil : dalle_mpi_map_memory(file, byteCount)
      // The maker keeps it open until all have it.
      let haveIt = gathered(memory == nil ? 0 : 1, in: comm)
      if file >= 0 { close(file) }
      guard let memory, !haveIt.contains(0) else {
        throw PipelineError(.inputOutput, "the processes of \(hostName) cannot share \(byteCount) bytes of memory")
      }
      return memory
    }

    /// Zeros of this process alone, which take no room before they are written.
    func ownMemory(_ byteCount: Int) -> UnsafeMutableRawPointer {
      guard let memory = dalle_mpi_map_memory(-1, byteCount) else {
        watch.end(because: "there is no room for \(byteCount) bytes")
      }
      return memory
    }

    // MARK: - Gathering

    /// What all replicas have, in their order.
    /// - Parameter tensors: of each of this process's replicas.
    func gather(_ tensors: [[NamedTensor]]) -> [[NamedTensor]] {
      let own = PackedTensors.packed(tensors)
      let sizes = ofEach(own.count)
      var all = [UInt8](repeating: 0, count: sizes.reduce(0, +))
      var starts = [Int32(0)]
      for size in sizes.dropLast() { starts.append(starts[starts.count - 1] + Int32(size)) }
      let counts = sizes.map { Int32($0) }
      own.withUnsafeBufferPointer { own in
        all.withUnsafeMutableBufferPointer { all in
          counts.withUnsafeBufferPointer { counts in
            starts.withUnsafeBufferPointer { starts in
              wait {
                MPI_Iallgatherv(
                  own.baseAddress, Int32(own.count), dalle_mpi_byte(), all.baseAddress, counts.baseAddress,
                  starts.baseAddress, dalle_mpi_byte(), self.all, $0)
              }
            }
          }
        }
      }
      return zip(starts, counts).flatMap { start, count in
        PackedTensors.unpacked(all[Int(start)..<Int(start + count)])
      }
    }

    /// Each process's number, in their order.
    private func ofEach(_ number: Int) -> [Int] {
      var numbers = [Double](repeating: 0, count: count)
      numbers[rank] = Double(number)
      return sum(numbers).map { Int($0) }
    }
  }
#endif
