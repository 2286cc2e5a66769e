#if MPI
  import Basics
  import CMPI
  import Foundation
  import Synchronization

  /// Sees to it that processes that train together end together, and that one of them says why.
  ///
  /// That a process was killed its ``Guardian`` says. Beyond that, a thread of its own looks after the other processes of the
  /// host, which it knows by their numbers and by what their threads count, and the first process of each host tells rank 0, and
  /// is told by it, every second that there still is one. So a process that waits for long, as all do while rank 0 measures and
  /// saves, is not taken for dead, and one that was stopped is.
  final class ProcessWatch: @unchecked Sendable {
    /// Where this process is among all.
    struct Place {
      var rank, host, hostRank, hostCount: Int
      /// Processes of each host.
      var hostSizes: [Int]
      /// All processes, in their order.
      var everybody: MPI_Comm
      var hostNames: [String]

      func leader(of host: Int) -> Int { hostSizes[..<host].reduce(0, +) }
      var processes: Int { hostSizes[host] }
    }

    /// What a process knows of itself and the others of its host see.
    private enum State: Int { case running, finished }

    private let place: Place
    private let board: Board
    private let say: @Sendable (PipelineError) -> Void
    private let guardian = getppid()
    private let isDone = Atomic(false)
    /// Whether a thread of this process is at the ending of it.
    private let isEndingHere = Atomic(false)
    private let hasEnded = DispatchSemaphore(value: 0)
    /// When each host was heard last, and what each process of this one had counted when it was seen to count last; touched by
    /// the watching thread alone.
    private var heard: [ContinuousClock.Instant]
    private var seen: [(looks: Int, at: ContinuousClock.Instant)]

    /// How often is looked, how often a sign of life is sent, and how long none may come.
    private static let (interval, beat) = (Duration.milliseconds(100), Duration.seconds(1))
    private static let longestSilence = Duration.seconds(20)
    /// What to do then.
    static let advice = "What was saved stands, and training goes on from it by `resume`"
    /// Between two looks: whoever looks so seldom was stopped, or its machine was asleep.
    private static let deafness = Duration.seconds(5)
    /// How long a process that fails waits for another one to say why.
    private static let patience = Duration.milliseconds(1500)
    private static let (signTag, endTag) = (Int32(1), Int32(2))
    private static let textSize = 480
    /// Of BSD's `sysexits`: EX_IOERR.
    private static let exitCode: Int32 = 74

    /// - Parameters:
    ///   - place: of this process.
    ///   - memory: zeros that the host's processes share, of ``boardSize(processes:)``.
    ///   - say: says a failure.
    init(_ place: Place, memory: UnsafeMutableRawPointer, say: @escaping @Sendable (PipelineError) -> Void) {
      (self.place, self.say) = (place, say)
      board = Board(memory, processes: place.processes)
      heard = place.hostSizes.map { _ in .now }
      seen = (0..<place.processes).map { _ in (0, .now) }
      board[place.hostRank].guardian.store(Int(guardian), ordering: .releasing)
      board[place.hostRank].process.store(Int(getpid()), ordering: .releasing)
    }

    static func boardSize(processes: Int) -> Int { Board.size(processes: processes) }

    func start() {
      let thread = Thread { [self] in
        var (lastSign, lastLook) = (ContinuousClock.now - Self.beat, ContinuousClock.now)
        while !isDone.load(ordering: .acquiring) {
          // A process that was stopped itself has not listened.
          if lastLook.duration(to: .now) > Self.deafness {
            heard = heard.map { _ in .now }
            seen = seen.map { ($0.looks, .now) }
          }
          lastLook = .now
          board[place.hostRank].looks.wrappingAdd(1, ordering: .relaxed)
          if isEndingHere.load(ordering: .acquiring) { break }
          lookAround()
          if place.hostCount > 1 && place.hostRank == 0 {
            if lastSign.duration(to: .now) >= Self.beat {
              sendSigns()
              lastSign = .now
            }
            receive()
            listenForSilence()
          }
          Thread.sleep(forTimeInterval: Self.interval / .seconds(1))
        }
        hasEnded.signal()
      }
      thread.name = "watch"
      thread.start()
    }

    /// Ends watching; all processes have come here.
    func stop() {
      board[place.hostRank].state.store(State.finished.rawValue, ordering: .releasing)
      isDone.store(true, ordering: .releasing)
      hasEnded.wait()
    }

    // MARK: - What is seen

    private func lookAround() {
      if board.isEnding { endProcess(nil) }
      if getppid() != guardian {
        end("the guardian of rank \(place.rank) (process \(guardian)) has died", culprit: nil)
      }
      for other in 0..<place.processes where other != place.hostRank {
        let process = board[other].process.load(ordering: .acquiring)
        guard process > 0 else { continue }
        if Self.exists(process) {
          listen(to: other, process)
          continue
        }
        // It may have come to its end, or said why all end, while it was looked for.
        if board[other].state.load(ordering: .acquiring) == State.finished.rawValue { continue }
        if board.isEnding || Self.exists(board[other].guardian.load(ordering: .acquiring)) { endProcess(nil) }
        end("\(name(other, process)) has died", culprit: rank(other))
      }
    }

    /// Ends all where a process of this host does not count.
    private func listen(to other: Int, _ process: Int) {
      let looks = board[other].looks.load(ordering: .relaxed)
      if looks != seen[other].looks || board[other].state.load(ordering: .acquiring) == State.finished.rawValue {
        seen[other] = (looks, .now)
      }
      let silence = seen[other].at.duration(to: .now)
      guard silence > Self.longestSilence else { return }
      end(
        "\(name(other, process)) stands still: nothing has been heard of it for \(Self.seconds(silence)) s",
        culprit: rank(other))
    }

    private func rank(_ other: Int) -> Int { place.rank - place.hostRank + other }

    private func name(_ other: Int, _ process: Int) -> String {
      "rank \(rank(other)) (process \(process) on \(place.hostNames[place.host]))"
    }

    private static func seconds(_ duration: Duration) -> String { String(format: "%.1f", duration / .seconds(1)) }

    private static func exists(_ process: Int) -> Bool { kill(pid_t(process), 0) == 0 || errno != ESRCH }

    private func endProcess(_ error: PipelineError?) -> Never {
      if let error { say(error) }
      _exit(Self.exitCode)
    }

    private func sendSigns() {
      let hosts = place.host == 0 ? Array(1..<place.hostCount) : [0]
      for host in hosts { send([], tag: Self.signTag, to: place.leader(of: host)) }
    }

    /// Small messages, which MPI takes at once.
    private func send(_ bytes: [UInt8], tag: Int32, to rank: Int) {
      var request: MPI_Request?
      _ = bytes.withUnsafeBytes {
        MPI_Isend($0.baseAddress, Int32($0.count), dalle_mpi_byte(), Int32(rank), tag, place.everybody, &request)
      }
      let message = Message(bytes: bytes, request: request)
      sent.withLock { sent in
        sent.append(message)
        sent.removeAll { message in
          var (done, request) = (Int32(0), message.request)
          dalle_mpi_test_all(1, &request, &done)
          return done != 0
        }
      }
    }

    private struct Message: @unchecked Sendable {
      let bytes: [UInt8]
      let request: MPI_Request?
    }

    /// Whichever thread comes to the end of the process says so to the others, and the watching thread sends signs meanwhile.
    private let sent = Mutex<[Message]>([])

    private func receive() {
      while true {
        var (there, status) = (Int32(0), MPI_Status())
        guard MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, place.everybody, &there, &status) == MPI_SUCCESS, there != 0
        else { return }
        var (bytes, count) = ([UInt8](repeating: 0, count: Self.textSize), Int32(0))
        MPI_Recv(
          &bytes, Int32(bytes.count), dalle_mpi_byte(), status.MPI_SOURCE, status.MPI_TAG, place.everybody, &status)
        MPI_Get_count(&status, dalle_mpi_byte(), &count)
        if status.MPI_TAG == Self.endTag {
          let text = String(decoding: bytes.prefix(Int(count)), as: UTF8.self)
          let isOwn = beginEnding()
          // Rank 0 passes it on, and says what the sender could not.
          if isOwn && place.rank == 0 { tellOthers(nil) }
          endProcess(isOwn && !text.isEmpty ? PipelineError(.inputOutput, text) : nil)
        }
        if let host = (0..<place.hostCount).first(where: { place.leader(of: $0) == Int(status.MPI_SOURCE) }) {
          heard[host] = .now
        }
      }
    }

    private func listenForSilence() {
      for host in place.host == 0 ? Array(1..<place.hostCount) : [0]
      where heard[host].duration(to: .now) > Self.longestSilence {
        let seconds = Self.seconds(heard[host].duration(to: .now))
        let leader = place.leader(of: host)
        end("nothing has been heard of rank \(leader) (\(place.hostNames[host])) for \(seconds) s", culprit: leader)
      }
    }

    // MARK: - Ending

    /// - Returns: false where another process of this host, or another thread, is at it.
    private func beginEnding() -> Bool {
      isEndingHere.store(true, ordering: .releasing)
      guard board.beginEnding() else { return false }
      // Those that were stopped wake, and see it.
      for other in 0..<place.processes where other != place.hostRank {
        let process = board[other].process.load(ordering: .acquiring)
        if process > 0 { kill(pid_t(process), SIGCONT) }
      }
      return true
    }

    /// Ends this process because of something that other processes will meet, too. Where one of them is gone, that is said.
    func end(because reason: String) -> Never {
      Thread.sleep(forTimeInterval: Self.patience / .seconds(1))
      end(reason, culprit: nil)
    }

    /// - Parameter culprit: a rank that cannot say anything.
    private func end(_ reason: String, culprit: Int?) -> Never {
      guard beginEnding() else {
        // Whoever is at it ends this process, too.
        Thread.sleep(forTimeInterval: Self.patience / .seconds(1))
        endProcess(nil)
      }
      let text = "\(reason); all processes end. \(Self.advice)"
      let isForRank0 = place.host != 0 && culprit != 0
      tellOthers(isForRank0 ? text : nil)
      endProcess(isForRank0 ? nil : PipelineError(.inputOutput, text))
    }

    /// Tells the other hosts that all end.
    /// - Parameter message: what rank 0 is to say; nil where it is said.
    private func tellOthers(_ message: String?) {
      for host in 0..<place.hostCount where host != place.host {
        let bytes = host == 0 ? Array((message ?? "").utf8.prefix(Self.textSize)) : []
        send(bytes, tag: Self.endTag, to: place.leader(of: host))
      }
      // What is sent leaves with MPI's next turns.
      for _ in 0..<20 where place.hostCount > 1 {
        var there: Int32 = 0
        MPI_Iprobe(MPI_ANY_SOURCE, Self.endTag, place.everybody, &there, nil)
        Thread.sleep(forTimeInterval: 0.01)
      }
    }

    /// Has all processes end.
    /// - Parameter say: says why; not called where another process has.
    func end(_ say: () -> Void) {
      // What all meet, rank 0 says.
      let begin = ContinuousClock.now
      while place.rank != 0 && begin.duration(to: .now) < Self.patience {
        if board.isEnding { return }
        Thread.sleep(forTimeInterval: Self.interval / .seconds(1))
      }
      guard beginEnding() else { return }
      say()
      tellOthers(nil)
    }

    /// What the processes of a host show each other.
    private struct Board {
      struct Slot: ~Copyable {
        let process = Atomic(0)
        let guardian = Atomic(0)
        let state = Atomic(0)
        /// How often its watch has looked around.
        let looks = Atomic(0)
      }

      private let slots: UnsafeMutablePointer<Slot>
      private let ending: UnsafeMutablePointer<Atomic<Int>>

      init(_ memory: UnsafeMutableRawPointer, processes: Int) {
        slots = memory.bindMemory(to: Slot.self, capacity: processes)
        ending = (memory + processes * MemoryLayout<Slot>.stride).bindMemory(to: Atomic<Int>.self, capacity: 1)
      }

      static func size(processes: Int) -> Int {
        processes * MemoryLayout<Slot>.stride + MemoryLayout<Atomic<Int>>.stride
      }

      subscript(hostRank: Int) -> UnsafeMutablePointer<Slot>.Pointee { _read { yield slots[hostRank] } }

      /// Whether a process of this host has begun to end all.
      var isEnding: Bool { ending.pointee.load(ordering: .acquiring) != 0 }

      /// Begins to end all.
      /// - Returns: false where another one has.
      func beginEnding() -> Bool {
        ending.pointee.compareExchange(expected: 0, desired: 1, ordering: .acquiringAndReleasing).exchanged
      }
    }
  }
#endif
