import Foundation
import Testing

@testable import Imaging

@Suite struct LineChartTests {
  /// Whether an XML document has matching tags and quoted attributes, as far as this chart uses them.
  private func isWellFormed(_ svg: String) -> Bool {
    var open: [String] = []
    for tag in svg.split(separator: "<").map({ $0.prefix { $0 != ">" } }) {
      let name = String(tag.prefix { $0 != " " && $0 != "/" })
      if tag.hasPrefix("/") {
        guard open.popLast() == String(tag.dropFirst()) else { return false }
      } else if !tag.hasSuffix("/") {
        open.append(name)
      }
      if tag.filter({ $0 == "\"" }).count % 2 != 0 { return false }
    }
    return open.isEmpty
  }

  private func chart(_ points: [(x: Double, y: Double)], logarithmic: Bool = false) -> String {
    let series = LineChart.Series(name: "train & <test>", points: points)
    return LineChart(title: "Loss", xLabel: "step", yLabel: "nats", series: [series], hasLogarithmicY: logarithmic)
      .svg()
  }

  @Test func aLineIsDrawnOnRoundTicks() {
    let svg = chart([(0, 0), (50, 3), (100, 7)])
    #expect(isWellFormed(svg))
    #expect(svg.contains("<polyline"))
    #expect(svg.contains(">100</text>") && svg.contains(">8</text>"))
    #expect(svg.contains("train &amp; &lt;test&gt;"))
  }

  @Test(arguments: [false, true])
  func nothingToDrawIsSaid(logarithmic: Bool) {
    #expect(LineChart(title: "", xLabel: "", yLabel: "", series: []).svg().contains("no data yet"))
    #expect(chart([], logarithmic: logarithmic).contains("no data yet"))
    #expect(chart([(1, .nan), (.infinity, 2)], logarithmic: logarithmic).contains("no data yet"))
  }

  @Test func aSinglePointIsADot() {
    #expect(chart([(3, 0.25)]).contains("<circle"))
    #expect(chart([(3, 0.25)], logarithmic: true).contains("<circle"))
  }

  @Test func nanIsAGap() {
    let svg = chart([(0, 1), (1, 2), (2, .nan), (3, 4), (4, 5)])
    #expect(svg.components(separatedBy: "<polyline").count == 3)
    #expect(!svg.contains("nan"))
  }

  @Test func extremeValuesDoNotStopIt() {
    for points in [
      [(0, 1e300), (1, -1e300)], [(0, 1e38), (1, 1e-38)], [(0, 1), (1, 1 + 1e-16)],
      [(0, .leastNonzeroMagnitude), (1, .leastNormalMagnitude / 8)], [(0, 1e17), (1, 1e17 + 16)], [(-5, 0), (5, 0)],
    ] as [[(x: Double, y: Double)]] {
      for logarithmic in [false, true] {
        let svg = chart(points, logarithmic: logarithmic)
        #expect(isWellFormed(svg))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
      }
    }
  }

  @Test func ticksAreRoundAndSpanTheValues() {
    let axis = LineChart.Axis(values: [0.13, 0.87], isLogarithmic: false)
    #expect(axis.ticks.count >= 4 && axis.ticks.count <= 9)
    #expect(axis.low <= 0.13 && axis.high >= 0.87)
    let decades = LineChart.Axis(values: [0.02, 700], isLogarithmic: true)
    #expect(decades.ticks.map(decades.label) == ["0.01", "0.1", "1", "10", "100", "1000"])
  }
}
