import Foundation

/// A chart of one or more lines, drawn as a self-contained SVG on a light ground, so that it reads the same in light
/// and dark viewers.
public struct LineChart: Sendable {
  /// One line. Points that are not finite or larger than 10¹⁰⁰, and on a logarithmic axis those with y below 10⁻¹⁰⁰,
  /// are gaps.
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
  /// Whether the y axis is logarithmic.
  public var hasLogarithmicY: Bool

  public init(title: String, xLabel: String, yLabel: String, series: [Series], hasLogarithmicY: Bool = false) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
    self.hasLogarithmicY = hasLogarithmicY
  }

  private static let width = 760.0
  private static let height = 440.0
  private static let left = 80.0
  private static let right = 730.0
  private static let top = 48.0
  private static let bottom = 384.0
  /// Okabe and Ito's palette, which color-blind people can tell apart, without its yellow.
  private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]

  /// The chart as an SVG document of 760 × 440 units.
  public func svg() -> String {
    let lines = series.map(drawablePieces)
    let xAxis = Axis(values: lines.joined().joined().map(\.x), isLogarithmic: false)
    let yAxis = Axis(values: lines.joined().joined().map(\.y), isLogarithmic: hasLogarithmicY)
    func x(_ value: Double) -> Double { Self.left + xAxis.position(of: value) * (Self.right - Self.left) }
    func y(_ value: Double) -> Double { Self.bottom - yAxis.position(of: value) * (Self.bottom - Self.top) }
    let middle = (Self.left + Self.right) / 2

    var svg = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(text(Self.width)) \(text(Self.height))" \
      width="\(text(Self.width))" height="\(text(Self.height))" \
      font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222222">
      <rect width="100%" height="100%" rx="6" fill="#ffffff"/>
      <text x="\(text(middle))" y="28" text-anchor="middle" font-size="16">\(escaped(title))</text>
      <text x="\(text(middle))" y="\(text(Self.bottom + 42))" text-anchor="middle">\(escaped(xLabel))</text>
      <text transform="translate(20 \(text((Self.top + Self.bottom) / 2))) rotate(-90)" \
      text-anchor="middle">\(escaped(yLabel))</text>

      """
    svg += "<g stroke=\"#dddddd\">\n"
    for tick in xAxis.ticks { svg += line(x(tick), Self.top, x(tick), Self.bottom) }
    for tick in yAxis.ticks { svg += line(Self.left, y(tick), Self.right, y(tick)) }
    svg += "</g>\n<g stroke=\"#222222\">\n"
    svg += line(Self.left, Self.bottom, Self.right, Self.bottom) + line(Self.left, Self.top, Self.left, Self.bottom)
    svg += "</g>\n"
    for tick in xAxis.ticks {
      svg += "<text x=\"\(text(x(tick)))\" y=\"\(text(Self.bottom + 20))\" text-anchor=\"middle\">"
      svg += "\(xAxis.label(of: tick))</text>\n"
    }
    for tick in yAxis.ticks {
      svg += "<text x=\"\(text(Self.left - 8))\" y=\"\(text(y(tick) + 4.5))\" text-anchor=\"end\">"
      svg += "\(yAxis.label(of: tick))</text>\n"
    }
    for (i, pieces) in lines.enumerated() {
      let color = Self.colors[i % Self.colors.count]
      for piece in pieces {
        let points = piece.map { "\(text(x($0.x))),\(text(y($0.y)))" }
        if points.count == 1 {
          svg += "<circle cx=\"\(text(x(piece[0].x)))\" cy=\"\(text(y(piece[0].y)))\" r=\"3\" fill=\"\(color)\"/>\n"
        } else {
          svg += "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\" stroke-linejoin=\"round\" "
          svg += "points=\"\(points.joined(separator: " "))\"/>\n"
        }
      }
    }
    if lines.allSatisfy(\.isEmpty) {
      svg += "<text x=\"\(text(middle))\" y=\"\(text((Self.top + Self.bottom) / 2))\" text-anchor=\"middle\" "
      svg += "fill=\"#777777\">no data yet</text>\n"
    }
    return svg + legend() + "</svg>\n"
  }

  /// The runs of points of a line that can be drawn.
  private func drawablePieces(of series: Series) -> [[(x: Double, y: Double)]] {
    var pieces: [[(x: Double, y: Double)]] = []
    var piece: [(x: Double, y: Double)] = []
    for point in series.points {
      // Comparisons with NaN are false.
      if abs(point.x) < 1e100 && abs(point.y) < 1e100 && (!hasLogarithmicY || point.y > 1e-100) {
        piece.append(point)
      } else if !piece.isEmpty {
        pieces.append(piece)
        piece = []
      }
    }
    return piece.isEmpty ? pieces : pieces + [piece]
  }

  /// The names of the lines in the upper right corner, on a ground of their own because lines may run below.
  private func legend() -> String {
    guard !series.isEmpty else { return "" }
    let longest = series.map(\.name.count).max() ?? 0
    let boxWidth = min(44 + 7.5 * Double(longest), Self.right - Self.left - 16)
    let boxLeft = Self.right - boxWidth - 8
    var svg = "<rect x=\"\(text(boxLeft))\" y=\"\(text(Self.top + 8))\" width=\"\(text(boxWidth))\" "
    svg += "height=\"\(text(Double(series.count) * 20 + 8))\" rx=\"4\" fill=\"#ffffff\" fill-opacity=\"0.85\" "
    svg += "stroke=\"#dddddd\"/>\n"
    for (i, series) in series.enumerated() {
      let y = Self.top + 24 + Double(i) * 20
      svg += "<g stroke=\"\(Self.colors[i % Self.colors.count])\" stroke-width=\"2\">"
      svg += "\(line(boxLeft + 8, y - 2, boxLeft + 30, y - 2))</g>"
      svg += "<text x=\"\(text(boxLeft + 36))\" y=\"\(text(y + 2.5))\">\(escaped(series.name))</text>\n"
    }
    return svg
  }

  private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<line x1=\"\(text(x1))\" y1=\"\(text(y1))\" x2=\"\(text(x2))\" y2=\"\(text(y2))\"/>\n"
  }

  /// A coordinate with at most two decimals.
  private func text(_ value: Double) -> String {
    let rounded = (value * 100).rounded() / 100
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  private func escaped(_ string: String) -> String {
    string.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }

  /// The range of an axis and its round tick values.
  struct Axis {
    private(set) var low: Double
    private(set) var high: Double
    let isLogarithmic: Bool
    private(set) var ticks: [Double] = []
    /// The distance of two ticks on a linear axis.
    private var step = 1.0

    /// - Parameter values: finite, and positive for a logarithmic axis.
    init(values: [Double], isLogarithmic: Bool) {
      self.isLogarithmic = isLogarithmic
      let smallest = values.min() ?? (isLogarithmic ? 1 : 0)
      let largest = values.max() ?? (isLogarithmic ? 10 : 1)
      if isLogarithmic {
        low = pow(10, log10(smallest).rounded(.down))
        high = pow(10, log10(largest).rounded(.up))
        if high <= low { high = low * 10 }
        makeLogarithmicTicks()
        return
      }
      low = smallest
      high = largest
      // A single value gets room on both sides, and so do values that differ by rounding only.
      if high - low <= 1e-9 * max(abs(low), abs(high)) || high - low < 1e-100 {
        let margin = max(abs(low) / 2, 0.5)
        low -= margin
        high += margin
      }
      let roughStep = (high - low) / 6
      let magnitude = pow(10, log10(roughStep).rounded(.down))
      step = magnitude * ([1, 2, 2.5, 5].first { roughStep <= $0 * magnitude * 1.0001 } ?? 10)
      let first = (low / step).rounded(.down)
      let last = (high / step).rounded(.up)
      low = first * step
      high = last * step
      // Multiples rather than sums, so that rounding errors do not add up.
      ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
    }

    private mutating func makeLogarithmicTicks() {
      let lowest = Int(log10(low).rounded())
      let decades = Int(log10(high).rounded()) - lowest
      let stride = max(1, (decades + 7) / 8)
      let multiples: [Double] = decades <= 2 ? [1, 2, 5] : [1]
      for decade in 0...decades where decade % stride == 0 {
        for multiple in multiples {
          let tick = multiple * pow(10, Double(lowest + decade))
          if tick <= high * 1.0001 { ticks.append(tick) }
        }
      }
    }

    /// 0 at the low end, 1 at the high end.
    func position(of value: Double) -> Double {
      isLogarithmic ? log(value / low) / log(high / low) : (value - low) / (high - low)
    }

    /// A tick's value in as many decimals as the ticks differ by.
    func label(of tick: Double) -> String {
      let size = max(abs(low), abs(high))
      if isLogarithmic {
        return tick >= 1e5 || tick < 1e-3 ? String(format: "%.0e", tick) : String(format: "%g", tick)
      }
      if size >= 1e6 || size < 1e-3 { return String(format: "%.3g", tick) }
      let decimals = max(0, Int((-log10(step)).rounded(.up)))
      let needsOneMore = abs(step * pow(10, Double(decimals)) - (step * pow(10, Double(decimals))).rounded()) > 1e-6
      let label = String(format: "%.\(decimals + (needsOneMore ? 1 : 0))f", tick)
      return label.hasPrefix("-") && Double(label) == 0 ? String(label.dropFirst()) : label
    }
  }
}
