#if MPI
  import Foundation
  import Synchronization

  /// A thread that does one thing again and again beside the threads that compute, from when it is told to begin until it is
  /// told to end.
  ///
  /// It is the only one of the process that uses the lane's communicator in that time: whoever begins and ends it uses the lane
  /// before and after. Others may be in MPI meanwhile, on other communicators, as the watch is, or a replica that gathers in the
  /// midst of its step: MPI is started for several threads (`MPI_THREAD_MULTIPLE`).
  final class BesideThread: @unchecked Sendable {
    /// What the thread itself holds, so that it ends with its owner.
    private final class Work: @unchecked Sendable {
      var turn: () -> Bool = { false }
      let mayBegin = DispatchSemaphore(value: 0)
      let hasEnded = DispatchSemaphore(value: 0)
      let isToEnd = Atomic(false)
      let isOver = Atomic(false)
    }

    private let work = Work()
    /// Between two turns of which the first had nothing to do: the cores are for those who compute.
    private static let pause: UInt32 = 200

    init() {
      let thread = Thread { [work] in
        while true {
          work.mayBegin.wait()
          if work.isOver.load(ordering: .acquiring) { return }
          while !work.isToEnd.load(ordering: .acquiring) { if !work.turn() { usleep(Self.pause) } }
          work.hasEnded.signal()
        }
      }
      thread.name = "exchange"
      thread.start()
    }

    deinit {
      work.isOver.store(true, ordering: .releasing)
      work.mayBegin.signal()
    }

    /// - Parameter turn: is done again and again; false where there was nothing to do.
    func begin(_ turn: @escaping () -> Bool) {
      work.turn = turn
      work.isToEnd.store(false, ordering: .releasing)
      work.mayBegin.signal()
    }

    /// Returns when the turn that is on has ended, after which there is none.
    func end() {
      work.isToEnd.store(true, ordering: .releasing)
      work.hasEnded.wait()
      work.turn = { false }
    }
  }
#endif
