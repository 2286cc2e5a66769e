import Basics
import Foundation
import Synchronization

/// A thread on which all of an actor's work is done, for models, which belong to one, and for work that takes long, which would
/// keep the tasks of others waiting.
package final class ThreadExecutor: SerialExecutor {
  private let jobs = Mutex<[UnownedJob]>([])
  /// Raised once for each job, and once for the end.
  private let arrivals = DispatchSemaphore(value: 0)

  /// - Parameter name: what the thread is called in a debugger.
  package init(name: String) {
    let thread = Thread { [self] in
      ThreadTeam.prepareThread()
      while let job = nextJob() { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
    thread.name = name
    thread.start()
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
    arrivals.signal()
  }

  /// Ends the thread when all jobs are done. Said by the actor when it goes, so that there will be no others.
  package func end() { arrivals.signal() }

  private func nextJob() -> UnownedJob? {
    arrivals.wait()
    return jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
  }
}
