import CKernels

/// A team of threads that lives as long as this object. The thread that calls ``run(_:)`` is its first member.
public final class ThreadTeam: @unchecked Sendable {
  private let team: OpaquePointer
  public let count: Int

  /// - Throws: `PipelineError` where the system refuses more threads.
  public init(count: Int) throws(PipelineError) {
    precondition(count > 0)
    ck_engine_prepare_thread()
    guard let team = ck_team_create(count) else {
      throw PipelineError(.usage, "the system does not allow \(count) threads; ask for fewer with --threads")
    }
    self.team = team
    self.count = count
  }

  deinit { ck_team_destroy(team) }

  /// Runs `body(i)` for i in 0 ..< count, each on its own thread, and waits for all.
  public func run(_ body: (_ thread: Int) -> Void) {
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
