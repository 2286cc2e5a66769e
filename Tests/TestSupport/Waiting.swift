/// Waits until something holds. Where other tests keep all threads busy, long.
/// - Parameter interval: the time between two looks.
/// - Returns: whether it came to hold.
public func holdsEventually(
  every interval: Duration = .milliseconds(1), _ condition: () async throws -> Bool
) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(60)
  var looks = 0
  while try await !condition() {
    looks += 1
    guard .now < end || looks < 1000 else { return false }
    try await Task.sleep(for: interval)
  }
  return true
}
