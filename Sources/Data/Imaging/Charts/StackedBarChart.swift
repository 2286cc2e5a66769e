/// Upright bars beside each other, each of parts that lie on each other, above the low end of the axis: for sums whose last
/// parts are small beside the first, which may be negative.
package struct StackedBarChart: Sendable {
  package struct Bar: Sendable {
    var label: String
    /// As many as the chart has parts; all but the first are not negative.
    var parts: [Double]

    package init(label: String, parts: [Double]) { (self.label, self.parts) = (label, parts) }
  }

  private let title: String
  private let yLabel: String
  private let parts: [String]
  private let bars: [Bar]

  /// - Parameter parts: the names of the parts, the lowest first.
  package init(title: String, yLabel: String, parts: [String], bars: [Bar]) {
    (self.title, self.yLabel, self.parts, self.bars) = (title, yLabel, parts, bars)
  }

  package func drawing() -> SVG {
    let (width, height) = (760.0, 400.0)
    var svg = SVG(width: width, height: height, title: title)
    let (left, right, top, bottom) = (84.0, 728.0, svg.names(parts), height - 36)
    let axis = Axis(bars.flatMap { [$0.parts[0], $0.parts.reduce(0, +)] })
    func y(_ value: Double) -> Double { bottom - axis.position(of: value) * (bottom - top) }
    for tick in axis.ticks {
      svg.line(left, y(tick), right, y(tick), opacity: 0.15)
      svg.text(axis.label(of: tick), x: left - 8, y: y(tick) + 4.5, anchor: .end)
    }
    svg.text(yLabel, x: 20, y: (top + bottom) / 2, anchor: .middle, isUpright: true)
    let step = (right - left) / Double(max(1, bars.count))
    for (i, bar) in bars.enumerated() {
      let x = left + Double(i) * step
      var low = axis.low
      for (part, value) in bar.parts.enumerated() {
        let high = part == 0 ? value : low + value
        svg.rectangle(
          x: x + step * 0.12, y: y(high), width: step * 0.76, height: max(0, y(low) - y(high)),
          color: SVG.colors[part % SVG.colors.count])
        low = high
      }
      svg.text(bar.label, x: x + step / 2, y: bottom + 18, anchor: .middle)
    }
    svg.line(left, bottom, right, bottom, opacity: 1)
    return svg
  }
}
