import Basics
import Foundation
import Synchronization
import TensorCore
import Testing

struct ThreadTeamTests {
  @Test(arguments: [1, 2, 3, 5])
  func runsEachThreadOnce(count: Int) throws {
    let team = try ThreadTeam(count: count)
    // Each thread has a place of its own, and no lock beside the team's own order of things.
    var runs = [Int](repeating: 0, count: count)
    for round in 1...200 {
      runs.withUnsafeMutableBufferPointer { runs in
        nonisolated(unsafe) let runs = runs
        team.run { thread in runs[thread] += 1 }
      }
      #expect(runs == [Int](repeating: round, count: count))
    }
  }

  @Test(arguments: [0, -1, 257, 100_000])
  func numbersOfThreadsThatMakeNoSense(count: Int) {
    let error = #expect(throws: PipelineError.self) { try ThreadTeam(count: count) }
    #expect(error?.kind == .usage && error?.message.contains("1 to 256, not \(count)") ?? false)
  }

  #if compiler(>=6.2)
    /// The threads would wait for each other for ever.
    @Test func aTeamRunsOneThingAtATime() async {
      await #expect(processExitsWith: .failure) {
        let team = try ThreadTeam(count: 2)
        team.run { thread in if thread == 0 { team.run { _ in } } }
      }
    }
  #endif

  /// Between two barriers every thread sees what all others wrote before the first one.
  @Test(arguments: [2, 3])
  func barriersSeparatePhases(count: Int) throws {
    let team = try ThreadTeam(count: count)
    let phases = 500
    var seen = [Int](repeating: 0, count: count)
    var turns = [Int](repeating: 0, count: count)
    seen.withUnsafeMutableBufferPointer { seen in
      turns.withUnsafeMutableBufferPointer { turns in
        nonisolated(unsafe) let (seen, turns) = (seen, turns)
        team.run { thread in
          for phase in 1...phases {
            turns[thread] = phase
            team.barrier()
            if turns.allSatisfy({ $0 == phase }) { seen[thread] += 1 }
            team.barrier()
          }
        }
      }
    }
    #expect(seen == [Int](repeating: phases, count: count))
  }

  @Test(arguments: [1, 2, 3, 7])
  func rangesCoverEverythingOnce(count: Int) throws {
    let team = try ThreadTeam(count: count)
    for total in [0, 1, 5, 16, 31, 32, 100, 1021] {
      for multiple in [1, 16, 32] {
        let ranges = (0..<count).map { team.range(of: $0, total: total, multiple: multiple) }
        #expect(ranges.flatMap(Array.init) == Array(0..<total))
        #expect(ranges.allSatisfy { $0.isEmpty || $0.lowerBound % multiple == 0 })
        let sizes = ranges.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 2 * multiple)
      }
    }
  }

  /// Each thread has a tape of its own.
  @Test func threadsRecordApart() throws {
    let team = try ThreadTeam(count: 3)
    let parameter = Parameter(Tensor([3], shape: [1]))
    let results = Mutex([Float](repeating: 0, count: 3))
    for _ in 0..<50 {
      team.run { thread in
        let (_, gradients) = valueAndGradient(parameters: [parameter]) { (parameter() * Float(thread + 1)).sum() }
        results.withLock { $0[thread] = gradients[0].item }
      }
      #expect(results.withLock { $0 } == [1, 2, 3])
    }
  }
}
