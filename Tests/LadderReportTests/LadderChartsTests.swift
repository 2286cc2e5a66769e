import Testing

@testable import LadderReport

@Suite struct LadderChartsTests {
  @Test func ticksEncloseTheValues() {
    for values in [[0, 1.0], [3, 3], [-2.5e6, 1e6], [0.001, 0.0012], [-1234.5, -1234.1]] {
      let ticks = LadderCharts.ticks(values)
      #expect(ticks.values[0] <= values[0] && ticks.values.last! >= values[1], "\(values): \(ticks.values)")
      #expect(Set(ticks.values.map(ticks.label)).count == ticks.values.count, "\(values)")
    }
  }
}
