import CKernels
import Synchronization

/// A team of threads that lives as long as this object. The thread that calls ``run(_:)`` is its first member.
public final class ThreadTeam: @unchecked Sendable {
  private let team: OpaquePointer
  public let count: Int
  private let isRunning = Atomic(false)

  /// More threads than any team has.
  public static let maximumCount = 256

  /// - Throws: `PipelineError` of kind `.usage` where `count` is not 1 to ``maximumCount``, or the system refuses so many.
  public init(count: Int) throws(PipelineError) {
    guard (1...Self.maximumCount).contains(count) else {
      throw PipelineError(.usage, "the number of threads must be 1 to \(Self.maximumCount), not \(count)")
    }
    ck_engine_prepare_thread()
    guard let team = ck_team_create(count) else {
      throw PipelineError(.usage, "the system does not allow \(count) threads; ask for fewer")
    }
    self.team = team
    self.count = count
  }

  deinit { ck_team_destroy(team) }

  /// Has the libraries that compute use no threads of their own below the calling thread, for one that runs a team which another
  /// thread has made.
  package static func prepareThread() { ck_engine_prepare_thread() }

  /// Runs `body(i)` for i in 0 ..< count, each on its own thread, and waits for all.
  /// - Precondition: nothing runs on the team already, neither on another thread nor around this call.
  public func run(_ body: (_ thread: Int) -> Void) {
    precondition(!isRunning.exchange(true, ordering: .acquiring), "a team of threads runs one thing at a time")
    defer { isRunning.store(false, ordering: .releasing) }
    if count == 1 { return body(0) }
    withoutActuallyEscaping(body) { body in
      let box = Box(body)
      ck_team_run(
        team,
        { context, thread in
          guard let context else { return }
          Unmanaged<Box>.fromOpaque(context).takeUnretainedValue().body(thread)
        }, Unmanaged.passUnretained(box).toOpaque())
      withExtendedLifetime(box) {}
      box.body = { _ in }
    }
  }

  /// Inside ``run(_:)``: waits until all threads have come here.
  public func barrier() { if count > 1 { ck_team_barrier(team) } }

  /// Splits 0 ..< `total` into one contiguous range a thread, as even as multiples of `multiple` allow.
  public func range(of thread: Int, total: Int, multiple: Int = 1) -> Range<Int> {
    let units = (total + multiple - 1) / multiple
    func bound(_ i: Int) -> Int { min(units * i / count * multiple, total) }
    return bound(thread)..<bound(thread + 1)
  }

  private final class Box {
    var body: (Int) -> Void
    init(_ body: @escaping (Int) -> Void) { self.body = body }
  }
}
