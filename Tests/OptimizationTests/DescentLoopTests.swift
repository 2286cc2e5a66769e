import Basics
import Testing

@testable import Optimization

@Suite struct DescentLoopTests {
  private func loop(_ bound: TrainingBound) -> DescentLoop {
    DescentLoop(schedule: LearningRateSchedule(peak: 1, warmUpSteps: 1), bound: bound, stepsPerEpoch: 4)
  }

  @Test func aRunGoesToItsBoundAndEndsAnnealed() throws {
    for (bound, steps) in [(TrainingBound.steps(6), 6), (.epochs(1.5), 6)] {
      var rates: [Float] = []
      var told: [Int] = []
      try loop(bound).run(
        advice: "",
        step: { (step, rate, fraction) throws(PipelineError) in
          #expect(step == rates.count && abs(fraction - Double(step) / 6) < 1e-9)
          rates.append(rate)
          return .init(loss: 1, gradientNorm: 1)
        },
        after: { (progress, _) throws(PipelineError) in
          told.append(progress.step)
          #expect(progress.isComplete == (progress.step == steps))
          return true
        })
      #expect(rates.count == steps && told == Array(1...steps))
      #expect(rates == rates.sorted(by: >) && rates[0] == 1 && rates[5] < 0.1)
    }
  }

  @Test func aRunGoesOnWhereAnotherEnded() throws {
    var steps: [Int] = []
    try loop(.steps(5)).run(
      from: (3, 10), advice: "",
      step: { (step, _, _) throws(PipelineError) in
        steps.append(step)
        return .init(loss: 1, gradientNorm: 1)
      },
      after: { (progress, _) throws(PipelineError) in
        #expect(progress.seconds >= 10)
        return true
      })
    #expect(steps == [3, 4])
  }

  @Test func itEndsWhenAsked() throws {
    var count = 0
    try loop(.minutes(60)).run(
      advice: "", step: { (_, _, _) throws(PipelineError) in .init(loss: 1, gradientNorm: 1) },
      after: { (_, _) throws(PipelineError) in
        count += 1
        return count < 3
      })
    #expect(count == 3)
  }

  /// Steps that are left out now and then are passed over; twenty in a row are not.
  @Test func aLossThatIsNoNumberEndsIt() throws {
    func run(_ isBad: @escaping (Int) -> Bool) throws {
      try loop(.steps(100)).run(
        advice: "lower it",
        step: { (step, _, _) throws(PipelineError) in
          .init(loss: isBad(step) ? .nan : 1, gradientNorm: isBad(step) ? .infinity : 1)
        }, after: { (_, _) throws(PipelineError) in true })
    }
    try run { $0 % 20 != 19 }
    let error = #expect(throws: PipelineError.self) { try run { $0 >= 30 } }
    #expect(error?.kind == .usage && error?.message.contains("at step 50; lower it") ?? false)
  }

  @Test func everyRowComesOnceAnEpoch() {
    var order = BatchOrder(rows: 5, seed: 1) { 100 + $0 }
    let batches = (0..<5).map { _ in order.next(3) }
    let rows = batches.joined().map(\.row)
    #expect(Set(rows[..<5]) == Set(0..<5) && Set(rows[5..<10]) == Set(0..<5) && rows[..<5] != rows[5..<10])
    // A batch that reaches into the next epoch has rows of both.
    #expect(batches.joined().map(\.epoch) == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    var large = BatchOrder(rows: 2, seed: 1) { $0 }
    #expect(large.next(7).count == 7)
  }
}
