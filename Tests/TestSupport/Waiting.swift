/// How long a test waits for something. That a machine or a thread stands still between two looks does not count.
public struct Patience {
  private var rest: Duration
  private var lastLook = ContinuousClock.now

  public init(_ rest: Duration = .seconds(60)) { self.rest = rest }

  /// Whether to look once more.
  public mutating func isLeft() -> Bool {
    let now = ContinuousClock.now
    rest -= min(lastLook.duration(to: now), .milliseconds(100))
    lastLook = now
    return rest > .zero
  }
}

/// Waits until something holds. Where other tests keep all threads busy, long.
/// - Parameter interval: the time between two looks.
/// - Returns: whether it came to hold.
public func holdsEventually(
  every interval: Duration = .milliseconds(1), _ condition: () async throws -> Bool
) async throws -> Bool {
  var patience = Patience()
  while try await !condition() {
    guard patience.isLeft() else { return false }
    try await Task.sleep(for: interval)
  }
  return true
}
