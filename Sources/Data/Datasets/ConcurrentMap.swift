import Foundation

/// Work on all cores.
enum ConcurrentMap {
  /// - Parameters:
  ///   - count: how many results there are.
  ///   - body: makes the one of a number, on any thread.
  static func results<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
    // Each iteration writes an element of its own, so that no lock is needed.
    [Result](unsafeUninitializedCapacity: count) { buffer, initialized in
      nonisolated(unsafe) let results = buffer.baseAddress
      DispatchQueue.concurrentPerform(iterations: count) { i in
        let result = body(i)
        results.map { ($0 + i).initialize(to: result) }
      }
      initialized = count
    }
  }
}
