import Optimization
import TensorCore
import Testing

struct LearningRateScheduleTests {
  @Test func values() {
    let schedule = LearningRateSchedule(peak: 2, warmUpSteps: 4, finalShare: 0.1)
    func expect(_ rate: Float, _ expected: Float) { #expect(abs(rate - expected) < 1e-6) }
    expect(schedule.rate(step: 0, progress: 0), 0.5)
    expect(schedule.rate(step: 2, progress: 0), 1.5)
    expect(schedule.rate(step: 3, progress: 0), 2)
    expect(schedule.rate(step: 100, progress: 0.5), 2 * 0.55)
    expect(schedule.rate(step: 100, progress: 1.0 / 3), 2 * (0.1 + 0.9 * 0.75))
    expect(schedule.rate(step: 100, progress: 1), 0.2)
    // A run that lasts longer than was said stays at the end, and no warm-up is no division by zero.
    expect(schedule.rate(step: 100, progress: 1.5), 0.2)
    expect(LearningRateSchedule(peak: 1, warmUpSteps: 0).rate(step: 0, progress: 0), 1)
  }
}
