import Foundation
import Testing

@testable import Imaging

/// Whether an XML document has matching tags and quoted attributes, as far as charts use them.
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
  return open.isEmpty && !svg.contains("nan") && !svg.contains("inf")
}

@Suite struct LineChartTests {
  private func chart(_ points: [(x: Double, y: Double)]) -> String {
    let series = LineChart.Series(name: "train & <test>", points: points)
    return LineChart(title: "Loss", xLabel: "step", yLabel: "nats", series: [series]).svg()
  }

  @Test func aLineIsDrawnOnRoundTicks() {
    let svg = chart([(0, 0), (50, 3), (100, 7)])
    #expect(isWellFormed(svg))
    #expect(svg.contains("<polyline"))
    #expect(svg.contains(">100</text>") && svg.contains(">8</text>"))
    #expect(svg.contains("train &amp; &lt;test&gt;"))
  }

  @Test func nothingToDrawIsSaid() {
    #expect(LineChart(title: "", xLabel: "", yLabel: "", series: []).svg().contains("no data yet"))
    #expect(chart([]).contains("no data yet"))
    #expect(chart([(1, .nan), (.infinity, 2)]).contains("no data yet"))
    #expect(!chart([(1, 2)]).contains("no data yet"))
  }

  @Test func aSinglePointIsADot() {
    let svg = chart([(3, 0.25)])
    #expect(svg.contains("<circle") && !svg.contains("<polyline"))
  }

  @Test func manyPointsAreALineAlone() {
    #expect(chart((0..<20).map { (Double($0), 1) }).components(separatedBy: "<circle").count == 21)
    #expect(!chart((0..<100).map { (Double($0), 1) }).contains("<circle"))
  }

  @Test func nanIsAGap() {
    let svg = chart([(0, 1), (1, 2), (2, .nan), (3, 4), (4, 5)])
    #expect(svg.components(separatedBy: "<polyline").count == 3)
    #expect(isWellFormed(svg))
  }

  @Test func extremeValuesDoNotStopIt() {
    for points in [
      [(0, 1e300), (1, -1e300)], [(0, 1e38), (1, 1e-38)], [(0, 1), (1, 1 + 1e-16)], [(0, 1e99), (1, -1e99)],
      [(0, .leastNonzeroMagnitude), (1, .leastNormalMagnitude / 8)], [(0, 1e17), (1, 1e17 + 16)], [(-5, 0), (5, 0)],
    ] as [[(x: Double, y: Double)]] {
      #expect(isWellFormed(chart(points)), "\(points)")
    }
  }

  /// A file has its own ground and ink; in a page both are the page's.
  @Test func aPagesDrawingHasThePagesColors() {
    let drawing = LineChart(title: "Loss", xLabel: "", yLabel: "", series: [.init(name: "a", points: [(0, 1)])])
      .drawing()
    #expect(drawing.file.contains("fill=\"#ffffff\"") && drawing.file.contains(" color=\"#222222\""))
    #expect(!drawing.inline.contains("#ffffff") && !drawing.inline.contains("#222222"))
    for svg in [drawing.file, drawing.inline] { #expect(svg.contains("fill=\"currentColor\"")) }
  }
}

@Suite struct AxisTests {
  @Test func ticksAreRoundAndEncloseTheValues() {
    for values in [
      [0.13, 0.87], [0, 1], [3, 3], [-2.5e6, 1e6], [0.001, 0.0012], [-1234.5, -1234.1], [1e6, 1_000_000.7],
      [2e-5, 3e-5],
      [1e99, -1e99], [0, 0],
    ] {
      let axis = Axis(values)
      #expect((3...9).contains(axis.ticks.count), "\(values): \(axis.ticks)")
      #expect(axis.ticks[0] <= values.min()! && axis.ticks.last! >= values.max()!, "\(values): \(axis.ticks)")
      #expect(axis.position(of: axis.ticks[0]) == 0 && axis.position(of: axis.ticks.last!) == 1)
      // Labels are told apart, and say what the ticks are.
      let labels = axis.ticks.map(axis.label)
      #expect(Set(labels).count == labels.count, "\(values): \(labels)")
      for (tick, label) in zip(axis.ticks, labels) {
        #expect(abs(Double(label)! - tick) <= 1e-9 * max(abs(axis.low), abs(axis.high)), "\(tick) is written \(label)")
      }
    }
  }

  @Test func whatIsCountedHasNoTicksBetweenNumbers() {
    let counted = Axis([1, 3], areCounts: true)
    #expect(counted.ticks.map(counted.label) == ["1", "2", "3"])
    for measured in [Axis([1, 2.5]), Axis([1, 2.5], areCounts: true)] {
      #expect(measured.ticks.map(measured.label) == ["1.00", "1.25", "1.50", "1.75", "2.00", "2.25", "2.50"])
    }
  }
}

@Suite struct BarChartTests {
  @Test func lengthsAreInProportion() throws {
    let bars = [("a & b", 4.0), ("none", 0), ("half", 2)].map {
      BarChart.Bar(name: $0.0, value: $0.1, label: "\($0.1)")
    }
    let svg = BarChart(title: "Bars", bars: bars).drawing().inline
    #expect(isWellFormed(svg) && svg.contains("a &amp; b") && svg.contains(">4.0</text>"))
    let widths = svg.matches(of: /<rect [^>]*width="([0-9.]+)"/).compactMap { Double($0.1) }
    #expect(widths.count == 3 && widths[0] == 2 * widths[2] && widths[1] == 1)
    #expect(isWellFormed(BarChart(title: "", bars: []).drawing().inline))
  }
}

@Suite struct ScatterPlotTests {
  private func centers(_ svg: String) -> [(Double, Double)] {
    svg.matches(of: /<circle cx="([-0-9.]+)" cy="([-0-9.]+)"/).map { (Double($0.1)!, Double($0.2)!) }
  }

  @Test func bothAxesHaveTheSameScale() {
    let corners: [(x: Double, y: Double)] = [(0, 0), (10, 0), (0, 5), (.nan, 1)]
    let svg = ScatterPlot(title: "Points", groups: [.init(name: "a", points: corners)]).drawing().inline
    let found = centers(svg)
    #expect(isWellFormed(svg) && found.count == 3)
    #expect(abs((found[1].0 - found[0].0) - 2 * (found[0].1 - found[2].1)) < 0.05)
    // One group needs no name.
    #expect(!svg.contains(">a</text>"))
  }

  @Test func ellipsesAreOneAndTwoDeviations() throws {
    let square: [(x: Double, y: Double)] = [(-4, -4), (4, 4)]
    let ellipse = ScatterPlot.Ellipse(mean: (0, 0), covariance: (4, 0, 1), weight: 1)
    let svg = ScatterPlot(
      title: "", groups: [.init(name: "a", points: square), .init(name: "b", points: [])], ellipses: [ellipse]
    ).drawing().inline
    #expect(isWellFormed(svg) && svg.contains(">a</text>") && svg.contains(">b</text>"))
    let radii = svg.matches(of: /rx="([0-9.]+)" ry="([0-9.]+)" fill="#009e73"/).map { (Double($0.1)!, Double($0.2)!) }
    try #require(radii.count == 2)
    let unit = (centers(svg)[1].0 - centers(svg)[0].0) / 8
    for (deviations, radii) in zip([1.0, 2], radii) {
      #expect(abs(radii.0 - 2 * deviations * unit) < 0.02 && abs(radii.1 - deviations * unit) < 0.02)
    }
    #expect(isWellFormed(ScatterPlot(title: "", groups: []).drawing().inline))
  }
}
