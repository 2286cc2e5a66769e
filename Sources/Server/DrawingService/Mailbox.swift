import Synchronization

/// Events of an order on their way from the drawing thread to whoever gave it.
///
/// A reader that is slower than the drawing sees fewer unfinished pictures: of each picture only the last that was not
/// read is kept, so that what waits is bounded.
final class Mailbox: Sendable {
  private struct State {
    var events: [DrawingEvent] = []
    var reader: CheckedContinuation<DrawingEvent?, any Error>?
    var end: Result<Void, any Error>?
    var isAbandoned = false
  }

  private let state = Mutex(State())

  /// Whether nobody will read any more.
  var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

  func send(_ event: DrawingEvent) {
    let reader = state.withLock { state -> CheckedContinuation<DrawingEvent?, any Error>? in
      if state.isAbandoned { return nil }
      if let reader = state.reader {
        state.reader = nil
        return reader
      }
      state.events.removeAll { event.replaces($0) }
      state.events.append(event)
      return nil
    }
    reader?.resume(returning: event)
  }

  /// After what was sent comes the end, or an error.
  func finish(_ result: Result<Void, any Error> = .success(())) {
    let reader = state.withLock { state in
      if state.end == nil { state.end = result }
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(with: result.map { nil })
  }

  func abandon() {
    let reader = state.withLock { state in
      state.isAbandoned = true
      state.events = []
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(throwing: CancellationError())
  }

  /// - Throws: what ``finish(_:)`` was told, and `CancellationError` where the task was cancelled.
  func next() async throws -> DrawingEvent? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result: Result<DrawingEvent?, any Error>? = state.withLock { state in
          if state.isAbandoned { return .failure(CancellationError()) }
          if !state.events.isEmpty { return .success(state.events.removeFirst()) }
          if let end = state.end { return end.map { nil } }
          state.reader = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      abandon()
    }
  }
}

extension DrawingEvent {
  /// Whether an event that was not read yet has nothing to say any more.
  fileprivate func replaces(_ other: DrawingEvent) -> Bool {
    switch (self, other) {
    case (.queued, .queued): true
    case (.partial(let new), .partial(let old)): new.index == old.index
    case (.completed(let new), .partial(let old)): new.index == old.index
    default: false
    }
  }
}
