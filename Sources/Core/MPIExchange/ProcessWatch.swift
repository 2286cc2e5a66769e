#if MPI
  import Basics
  import CMPI
  import Foundation
  import Synchronization

  /// Sees to it that processes that train together end together, and that one of them says why.
  ///
  /// A thread of its own looks after the other processes of the host, which it knows by their numbers, and the first process of
  /// each host tells rank 0's host every second that there still is one. So a process that waits for long, as all do while
  /// rank 0 measures and saves, is not taken for dead.
  final class ProcessWatch: @unchecked Sendable {
    /// Where this process is among all.
    struct Place {
      var rank, host, hostRank, hostCount: Int
      /// Processes of each host.
      var hostSizes: [Int]
      /// Of the processes of a host all, in their order, and of all processes.
      var everybody: MPI_Comm
      var hostNames: [String]

      func leader(of host: Int) -> Int { hostSizes[..<host].reduce(0, +) }
      var processes: Int { hostSizes[host] }
    }

    /// What a process knows of itself and the others of its host see.
    private enum State: Int { case running, finished }

    private let place: Place
    private let board: Board
    private let isStopping: @Sendable () -> Bool
    private let endProcess: @Sendable (PipelineError?) -> Never
    private let isDone = Atomic(false)
    private let hasEnded = DispatchSemaphore(value: 0)
    /// When each host was heard last, touched by the watching thread alone.
    private var heard: [ContinuousClock.Instant]

    /// How often is looked, and how often a sign of life is sent; how long none may come, and how long where somebody has asked
    /// this process to end, as mpirun does when it has lost a host.
    private static let (interval, beat) = (Duration.milliseconds(100), Duration.seconds(1))
    private static let (longestSilence, suspiciousSilence) = (Duration.seconds(20), Duration.seconds(3))
    /// How long a process that fails waits for another one to say why.
    private static let patience = Duration.milliseconds(1500)
    private static let (signTag, endTag) = (Int32(1), Int32(2))
    private static let textSize = 480

    /// - Parameters:
    ///   - place: of this process.
    ///   - memory: zeros that the host's processes share, of ``boardSize(processes:)``.
    ///   - isStopping: whether this process was asked to end.
    ///   - end: ends it, with words where it is the one to say them.
    init(
      _ place: Place, memory: UnsafeMutableRawPointer, isStopping: @escaping @Sendable () -> Bool,
      end: @escaping @Sendable (PipelineError?) -> Never
    ) {
      (self.place, self.isStopping, endProcess) = (place, isStopping, end)
      board = Board(memory, processes: place.processes)
      heard = place.hostSizes.map { _ in .now }
      board[place.hostRank].process.store(Int(getpid()), ordering: .releasing)
    }

    static func boardSize(processes: Int) -> Int { Board.size(processes: processes) }

    func start() {
      let thread = Thread { [self] in
        var lastSign = ContinuousClock.now - Self.beat
        while !isDone.load(ordering: .acquiring) {
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
      for other in 0..<place.processes where other != place.hostRank {
        let (process, state) = (board[other].process.load(ordering: .acquiring), board[other].state.load(ordering: .acquiring))
        guard process > 0, state == State.running.rawValue, kill(pid_t(process), 0) != 0, errno == ESRCH else { continue }
        // It may have said why while it was looked at.
        if board.isEnding { endProcess(nil) }
        let rank = place.rank - place.hostRank + other
        end("rank \(rank) (process \(process) on \(place.hostNames[place.host])) has died", culprit: rank)
      }
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
      sent.append((bytes, request))
      sent.removeAll { message in
        var (done, request) = (Int32(0), message.request)
        dalle_mpi_test_all(1, &request, &done)
        return done != 0
      }
    }

    private var sent: [(bytes: [UInt8], request: MPI_Request?)] = []

    private func receive() {
      while true {
        var (there, status) = (Int32(0), MPI_Status())
        guard MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, place.everybody, &there, &status) == MPI_SUCCESS, there != 0 else { return }
        var (bytes, count) = ([UInt8](repeating: 0, count: Self.textSize), Int32(0))
        MPI_Recv(&bytes, Int32(bytes.count), dalle_mpi_byte(), status.MPI_SOURCE, status.MPI_TAG, place.everybody, &status)
        MPI_Get_count(&status, dalle_mpi_byte(), &count)
        if status.MPI_TAG == Self.endTag {
          let text = String(decoding: bytes.prefix(Int(count)), as: UTF8.self)
          if board.beginEnding() { finishEnding(text.isEmpty ? nil : text) }
          endProcess(nil)
        }
        if let host = (0..<place.hostCount).first(where: { place.leader(of: $0) == Int(status.MPI_SOURCE) }) { heard[host] = .now }
      }
    }

    private func listenForSilence() {
      let limit = isStopping() ? Self.suspiciousSilence : Self.longestSilence
      for host in place.host == 0 ? Array(1..<place.hostCount) : [0] where heard[host].duration(to: .now) > limit {
        let seconds = Int(heard[host].duration(to: .now) / .seconds(1))
        end("nothing has been heard of \(place.hostNames[host]) for \(seconds) s", culprit: place.leader(of: host))
      }
    }

    // MARK: - Ending

    /// Ends this process because of something that other processes will meet, too. Where one of them is gone, that is said.
    func end(because reason: String) -> Never {
      Thread.sleep(forTimeInterval: Self.patience / .seconds(1))
      end(reason, culprit: nil)
    }

    /// - Parameter culprit: a rank that cannot say anything.
    private func end(_ reason: String, culprit: Int?) -> Never {
      // Another thread or process of this host is at it, and ends this one, too.
      guard board.beginEnding() else {
        Thread.sleep(forTimeInterval: Self.patience / .seconds(1))
        endProcess(nil)
      }
      let text = "\(reason); all processes end. The last save stands, and `resume` goes on from it"
      let isHeardThere = place.host != 0 && culprit != 0
      finishEnding(isHeardThere ? nil : text, sending: isHeardThere ? text : nil)
    }

    /// Tells the other hosts, and ends.
    /// - Parameters:
    ///   - text: what this process says.
    ///   - message: what rank 0 is to say.
    private func finishEnding(_ text: String?, sending message: String? = nil) -> Never {
      tellOthers(message)
      endProcess(text.map { PipelineError(.inputOutput, $0) })
    }

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

    /// Whether another process has said why all end, or does so now; otherwise the others now know that this one does.
    func isEndSaid() -> Bool {
      let begin = ContinuousClock.now
      while place.rank != 0 && begin.duration(to: .now) < Self.patience {
        if board.isEnding { return true }
        Thread.sleep(forTimeInterval: Self.interval / .seconds(1))
      }
      guard board.beginEnding() else { return true }
      tellOthers(nil)
      return false
    }

    /// What the processes of a host show each other.
    private struct Board {
      struct Slot: ~Copyable {
        let process = Atomic(0)
        let state = Atomic(0)
      }

      private let slots: UnsafeMutablePointer<Slot>
      private let ending: UnsafeMutablePointer<Atomic<Int>>

      init(_ memory: UnsafeMutableRawPointer, processes: Int) {
        slots = memory.bindMemory(to: Slot.self, capacity: processes)
        ending = (memory + processes * MemoryLayout<Slot>.stride).bindMemory(to: Atomic<Int>.self, capacity: 1)
      }

      static func size(processes: Int) -> Int { processes * MemoryLayout<Slot>.stride + MemoryLayout<Atomic<Int>>.stride }

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
