/// Waits until something holds. Where other tests keep all threads busy, long.
/// - Returns: whether it came to hold.
public func holdsEventually(_ condition: () -> Bool) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(60)
  var looks = 0
  while !condition() {
    looks += 1
    guard .now < end || looks < 1000 else { return false }
    try await Task.sleep(for: .milliseconds(1))
  }
  return true
}
