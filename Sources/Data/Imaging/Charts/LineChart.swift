/// A chart of one or more lines over a common horizontal axis.
public struct LineChart: Sendable {
  /// One line. Points that are not finite or larger than 10¹⁰⁰ are gaps.
  public struct Series: Sendable {
    public var name: String
    /// In the order in which they are joined.
    public var points: [(x: Double, y: Double)]

    public init(name: String, points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }
  }

  public var title: String
  public var xLabel: String
  public var yLabel: String
  public var series: [Series]

  public init(title: String, xLabel: String, yLabel: String, series: [Series]) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
  }

  /// The chart as an SVG file of 760 × 400 units.
  public func svg() -> String { drawing().file }

  /// Lines of no more points than this show each of them.
  private static let mostDots = 60

  package func drawing() -> SVG {
    let (width, height) = (760.0, 400.0)
    var svg = SVG(width: width, height: height, title: title)
    let (left, right, top, bottom) = (84.0, 728.0, svg.names(series.map(\.name)), height - 52)
    let lines = series.map(drawablePieces)
    let points = lines.joined().joined()
    let (xAxis, yAxis) = (Axis(points.map(\.x), areCounts: true), Axis(points.map(\.y)))
    func x(_ value: Double) -> Double { left + xAxis.position(of: value) * (right - left) }
    func y(_ value: Double) -> Double { bottom - yAxis.position(of: value) * (bottom - top) }

    for tick in xAxis.ticks {
      svg.line(x(tick), top, x(tick), bottom, opacity: 0.15)
      svg.text(xAxis.label(of: tick), x: x(tick), y: bottom + 18, anchor: .middle)
    }
    for tick in yAxis.ticks {
      svg.line(left, y(tick), right, y(tick), opacity: 0.15)
      svg.text(yAxis.label(of: tick), x: left - 8, y: y(tick) + 4.5, anchor: .end)
    }
    svg.line(left, bottom, right, bottom, opacity: 1)
    svg.line(left, top, left, bottom, opacity: 1)
    svg.text(xLabel, x: (left + right) / 2, y: height - 12, anchor: .middle)
    svg.text(yLabel, x: 20, y: (top + bottom) / 2, anchor: .middle, isUpright: true)
    for (i, pieces) in lines.enumerated() {
      let color = SVG.colors[i % SVG.colors.count]
      let hasDots = pieces.joined().count <= Self.mostDots
      for piece in pieces {
        let points = piece.map { (x: x($0.x), y: y($0.y)) }
        if points.count > 1 { svg.polyline(points, color: color) }
        if points.count == 1 || hasDots { svg.dots(points, radius: piece.count == 1 ? 5 : 2.5, color: color) }
      }
    }
    if points.isEmpty {
      svg.text(
        "no data yet", x: (left + right) / 2, y: (top + bottom) / 2, anchor: .middle, attributes: "fill-opacity=\"0.6\""
      )
    }
    return svg
  }

  /// The runs of points of a line that can be drawn.
  private func drawablePieces(of series: Series) -> [[(x: Double, y: Double)]] {
    // Comparisons with NaN are false.
    series.points.split { !(abs($0.x) < 1e100 && abs($0.y) < 1e100) }.map(Array.init)
  }
}
