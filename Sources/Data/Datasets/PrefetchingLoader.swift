import Basics
import Foundation

/// Prepares the next few batches on a thread of its own while the current one is trained on.
///
/// The thread ends, and has ended, when the loader is gone.
public final class PrefetchingLoader: Sendable {
  private let queue: Queue

  /// - Parameters:
  ///   - loader: makes the batches.
  ///   - step: the first step to return.
  ///   - depth: how many batches are kept ready, at least 1.
  public init(_ loader: BatchLoader, startingAt step: Int = 0, depth: Int = 3) {
    let queue = Queue(depth: max(1, depth))
    self.queue = queue
    // The thread holds the queue but not this object, so that it does not keep alive what is to stop it.
    let thread = Thread {
      var step = step
      while queue.waitForRoom() {
        let result: Result<Batch, PipelineError>
        do throws(PipelineError) { result = .success(try loader.batch(at: step)) } catch { result = .failure(error) }
        queue.append(result)
        step += 1
      }
      queue.finish()
    }
    thread.name = "batches"
    thread.start()
  }

  deinit { queue.stop() }

  /// The batch of the next step.
  /// - Throws: what ``BatchLoader/batch(at:)`` threw for that step; the next call goes on with the step after it.
  public func next() throws(PipelineError) -> Batch { try queue.removeFirst().get() }

  /// Everything mutable is touched only while `condition` is locked, which the compiler cannot see.
  private final class Queue: @unchecked Sendable {
    private let condition = NSCondition()
    private let depth: Int
    private var results: [Result<Batch, PipelineError>] = []
    private var isStopping = false
    private var isFinished = false

    init(depth: Int) { self.depth = depth }

    /// Returns false when the thread should end.
    func waitForRoom() -> Bool {
      condition.withLock {
        while results.count >= depth && !isStopping { condition.wait() }
        return !isStopping
      }
    }

    func append(_ result: Result<Batch, PipelineError>) {
      condition.withLock {
        results.append(result)
        condition.broadcast()
      }
    }

    func removeFirst() -> Result<Batch, PipelineError> {
      condition.withLock {
        while results.isEmpty { condition.wait() }
        condition.broadcast()
        return results.removeFirst()
      }
    }

    func finish() {
      condition.withLock {
        isFinished = true
        condition.broadcast()
      }
    }

    /// Asks the thread to end and waits until it has.
    func stop() {
      condition.withLock {
        isStopping = true
        condition.broadcast()
        while !isFinished { condition.wait() }
      }
    }
  }
}
