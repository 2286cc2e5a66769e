import Basics
import Foundation

/// Prepares the next few batches on threads of its own while the current one is trained on.
///
/// The threads end, and have ended, when the loader is gone.
public final class PrefetchingLoader: Sendable {
  private let queue: Queue

  /// - Parameters:
  ///   - loader: makes the batches.
  ///   - step: the first step to return.
  ///   - depth: how many batches are kept ready, at least one a thread.
  ///   - threads: that prepare batches, at least 1.
  public init(_ loader: BatchLoader, startingAt step: Int = 0, depth: Int = 3, threads: Int = 1) {
    let threads = max(1, threads)
    let queue = Queue(startingAt: step, depth: max(threads, depth), threads: threads)
    self.queue = queue
    for _ in 0..<threads {
      // The thread holds the queue but not this object, so that it does not keep alive what is to stop it.
      let thread = Thread {
        while let step = queue.takeStep() {
          let result: Result<Batch, PipelineError>
          do throws(PipelineError) { result = .success(try loader.batch(at: step)) } catch { result = .failure(error) }
          queue.put(result, of: step)
        }
        queue.finish()
      }
      thread.name = "batches"
      thread.start()
    }
  }

  deinit { queue.stop() }

  /// The batch of the next step.
  /// - Throws: what ``BatchLoader/batch(at:)`` threw for that step; the next call goes on with the step after it.
  public func next() throws(PipelineError) -> Batch { try queue.removeFirst().get() }

  /// Everything mutable is touched only while `condition` is locked, which the compiler cannot see.
  private final class Queue: @unchecked Sendable {
    private let condition = NSCondition()
    private let depth: Int
    /// Of the steps that are done and not asked for yet.
    private var results: [Int: Result<Batch, PipelineError>] = [:]
    /// The step that is asked for next, and the one that is prepared next.
    private var first, next: Int
    private var running: Int
    private var isStopping = false

    init(startingAt step: Int, depth: Int, threads: Int) {
      (first, next, self.depth, running) = (step, step, depth, threads)
    }

    /// Waits for room; nil when the thread should end.
    func takeStep() -> Int? {
      condition.withLock {
        while next - first >= depth && !isStopping { condition.wait() }
        if isStopping { return nil }
        defer { next += 1 }
        return next
      }
    }

    func put(_ result: Result<Batch, PipelineError>, of step: Int) {
      condition.withLock {
        results[step] = result
        condition.broadcast()
      }
    }

    func removeFirst() -> Result<Batch, PipelineError> {
      condition.withLock {
        while true {
          if let result = results.removeValue(forKey: first) {
            first += 1
            condition.broadcast()
            return result
          }
          condition.wait()
        }
      }
    }

    func finish() {
      condition.withLock {
        running -= 1
        condition.broadcast()
      }
    }

    /// Asks the threads to end and waits until they have.
    func stop() {
      condition.withLock {
        isStopping = true
        condition.broadcast()
        while running > 0 { condition.wait() }
      }
    }
  }
}
