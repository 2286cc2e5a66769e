import Basics
import Synchronization

/// What the drawing service has done, for whoever watches it.
package struct DrawingStatistics: Sendable, Equatable {
  /// Orders that wait.
  package var waiting = 0
  /// Orders that are accepted and not finished, the waiting ones among them.
  package var unfinished = 0
  /// Pictures that were completed, candidates among them.
  package var pictures = 0
  /// Image tokens that were drawn.
  package var tokens = 0
  /// Orders that were finished, that could not be drawn, that were not taken, and whose givers went away.
  package var finished = 0
  /// From the beginning of the first picture to the end of the last, summed up over finished orders.
  package var finishedSeconds = 0.0
  package var failed = 0
  package var refused = 0
  package var abandoned = 0
  /// Times that a checkpoint was loaded in the place of an older one, and that this failed.
  package var reloads = 0
  package var failedReloads = 0
}

/// Takes orders in from any task, and hands them to the drawing thread.
final class Reception: Sendable {
  struct Arrival: Sendable {
    var order: DrawingOrder
    var mailbox: Mailbox
  }

  enum Phase { case loading, open, ending }

  /// How an order ended.
  enum Ending { case finished(seconds: Double), failed, abandoned }

  private struct State {
    var phase = Phase.loading
    var arrivals: [Arrival] = []
    var statistics = DrawingStatistics()
    /// Pictures of accepted orders that are not drawn yet.
    var picturesAhead = 0
    /// How long a picture takes in the company that pictures were drawn in lately.
    var secondsAPicture = 0.0
    var waitingForEnd: [CheckedContinuation<Void, Never>] = []
  }

  /// Orders of which some pictures were begun, that may be unfinished beside those that wait.
  private static let ordersUnderWay = 32

  private let queueLength: Int
  private let state = Mutex(State())

  init(queueLength: Int) { self.queueLength = queueLength }

  var phase: Phase { state.withLock { $0.phase } }
  var statistics: DrawingStatistics { state.withLock { $0.statistics } }

  /// Takes orders from now on, unless it is ending already.
  func open() { state.withLock { if $0.phase == .loading { $0.phase = .open } } }

  /// - Throws: where an order is not taken.
  func take(_ order: DrawingOrder) throws(DrawingRefusal) -> Mailbox {
    let result: Result<Mailbox, DrawingRefusal> = state.withLock { state in
      if let refusal = refuse(&state) { return .failure(refusal) }
      let mailbox = Mailbox()
      state.arrivals.append(Arrival(order: order, mailbox: mailbox))
      state.statistics.waiting += 1
      state.statistics.unfinished += 1
      state.picturesAhead += order.pictureCount
      return .success(mailbox)
    }
    return try result.get()
  }

  /// - Throws: where no order would be taken now.
  func checkRoom() throws(DrawingRefusal) { if let refusal = state.withLock({ refuse(&$0) }) { throw refusal } }

  /// Why no order is taken; nil where one is.
  private func refuse(_ state: inout State) -> DrawingRefusal? {
    let refusal: DrawingRefusal
    let isFull =
      state.statistics.waiting >= queueLength || state.statistics.unfinished >= queueLength + Self.ordersUnderWay
    switch state.phase {
    case .open where !isFull: return nil
    case .open:
      let seconds = state.secondsAPicture * Double(state.picturesAhead)
      refusal = .queueIsFull(seconds: Int(min(max(seconds.rounded(.up), 1), 60)))
    case .loading: refusal = .isLoading
    case .ending: refusal = .isEnding
    }
    state.statistics.refused += 1
    return refusal
  }

  /// The next orders, in the order in which they came.
  /// - Parameter most: how many of them.
  func takeArrivals(_ most: Int) -> [Arrival] {
    state.withLock { state in
      let first = Array(state.arrivals.prefix(most))
      state.arrivals.removeFirst(first.count)
      return first
    }
  }

  func hasBegun() { state.withLock { $0.statistics.waiting -= 1 } }

  /// - Parameters:
  ///   - wasBegun: whether ``hasBegun()`` was said of it.
  ///   - undrawn: pictures of the order that will not be drawn.
  func hasEnded(_ ending: Ending, wasBegun: Bool, undrawn: Int) {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      if !wasBegun { state.statistics.waiting -= 1 }
      state.statistics.unfinished -= 1
      state.picturesAhead -= undrawn
      switch ending {
      case .finished(let seconds):
        state.statistics.finished += 1
        state.statistics.finishedSeconds += seconds
      case .failed: state.statistics.failed += 1
      case .abandoned: state.statistics.abandoned += 1
      }
      guard state.phase == .ending, state.statistics.unfinished == 0 else { return [] }
      defer { state.waitingForEnd = [] }
      return state.waitingForEnd
    }
    for continuation in waiting { continuation.resume() }
  }

  /// - Parameters:
  ///   - seconds: since the pictures before these were drawn, or since drawing began.
  func hasDrawn(pictures: Int, tokens: Int, seconds: Double) {
    state.withLock { state in
      state.statistics.pictures += pictures
      state.statistics.tokens += tokens
      state.picturesAhead -= pictures
      guard pictures > 0 else { return }
      let each = seconds / Double(pictures)
      state.secondsAPicture += (each - state.secondsAPicture) * (state.secondsAPicture == 0 ? 1 : 0.1)
    }
  }

  func hasReloaded(_ hasSucceeded: Bool) {
    state.withLock { state in
      if hasSucceeded { state.statistics.reloads += 1 } else { state.statistics.failedReloads += 1 }
    }
  }

  /// Takes nothing any more, and waits until all that was taken has ended.
  func drain() async {
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLock { state in
        state.phase = .ending
        if state.statistics.unfinished > 0 { state.waitingForEnd.append(continuation) }
        return state.statistics.unfinished == 0
      }
      if isEmpty { continuation.resume() }
    }
  }
}
