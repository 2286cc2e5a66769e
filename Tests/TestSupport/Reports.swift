import Synchronization

/// Collects what is reported, from any thread.
public final class Reports: Sendable {
  private let storage = Mutex<[String]>([])

  public init() {}

  public var lines: [String] { storage.withLock { $0 } }
  public func append(_ line: String) { storage.withLock { $0.append(line) } }
}
