import Foundation
import Imaging

/// Drawings of the ladder's page, as SVG that stands inside HTML: colors come from the page, so that they follow its
/// light and dark forms.
enum LadderCharts {
  /// Okabe and Ito's palette, which color-blind people can tell apart.
  static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#b8a800"]

  struct Bar {
    var name: String
    /// Not negative.
    var value: Double
    var label: String
  }

  /// Horizontal bars from 0 on, one below the other, each with its name and its value.
  static func bars(title: String, _ bars: [Bar]) -> String {
    let (width, left, right, step, top) = (760.0, 250.0, 680.0, 30.0, 44.0)
    let largest = max(bars.map(\.value).max() ?? 0, 1e-12)
    var drawing = text(16, 26, title, "font-size=\"16\"")
    for (i, bar) in bars.enumerated() {
      let y = top + Double(i) * step
      let length = max(1, bar.value / largest * (right - left))
      drawing += text(left - 10, y + 16, bar.name, "text-anchor=\"end\"")
      drawing +=
        "<rect x=\"\(n(left))\" y=\"\(n(y))\" width=\"\(n(length))\" height=\"22\" rx=\"3\" fill=\"\(colors[0])\"/>"
      drawing += text(left + length + 8, y + 16, bar.label)
    }
    return document(width: width, height: top + Double(bars.count) * step + 8, title: title, drawing)
  }

  struct Ellipse {
    /// The mean.
    var x: Double, y: Double
    /// The covariance's elements.
    var xx: Double, xy: Double, yy: Double
    /// The share of points that are expected in it, which the drawing shows as opacity.
    var weight: Double
  }

  /// Points in a plane with the ellipses of one and two standard deviations of Gaussians over them. Both axes have the
  /// same scale.
  /// - Parameter groups: points of one color each.
  static func scatter(
    title: String, groups: [(name: String, points: [(x: Double, y: Double)])], ellipses: [Ellipse] = []
  ) -> String {
    let (width, height, margin, top) = (760.0, 520.0, 24.0, 44.0)
    let points = groups.flatMap(\.points)
    let (xs, ys) = (points.map(\.x), points.map(\.y))
    let (lowX, highX, lowY, highY) = (xs.min() ?? 0, xs.max() ?? 1, ys.min() ?? 0, ys.max() ?? 1)
    let scale = min(
      (width - 2 * margin) / max(highX - lowX, 1e-9), (height - top - margin) / max(highY - lowY, 1e-9))
    func x(_ value: Double) -> Double { width / 2 + (value - (lowX + highX) / 2) * scale }
    func y(_ value: Double) -> Double { (top + height - margin) / 2 - (value - (lowY + highY) / 2) * scale }
    var drawing = text(16, 26, title, "font-size=\"16\"")
    var legendX = width - margin
    for (i, group) in groups.enumerated() {
      drawing += "<g fill=\"\(colors[i % colors.count])\" fill-opacity=\"0.45\">"
      for point in group.points { drawing += "<circle cx=\"\(n(x(point.x)))\" cy=\"\(n(y(point.y)))\" r=\"2\"/>" }
      drawing += "</g>"
    }
    for (i, group) in groups.enumerated().reversed() where groups.count > 1 {
      drawing += text(legendX, 26, group.name, "text-anchor=\"end\" style=\"fill:\(colors[i % colors.count])\"")
      legendX -= 9 * Double(group.name.count) + 20
    }
    for (i, ellipse) in ellipses.enumerated() {
      // The covariance's axes: eigenvalues and the angle of the first eigenvector of a symmetric 2×2 matrix.
      let middle = (ellipse.xx + ellipse.yy) / 2
      let radius = (pow((ellipse.xx - ellipse.yy) / 2, 2) + pow(ellipse.xy, 2)).squareRoot()
      let angle = atan2(ellipse.xy, (ellipse.xx - ellipse.yy) / 2) / 2
      let color = colors[(i + 1) % colors.count]
      for deviations in [1.0, 2.0] {
        let a = deviations * max(0, middle + radius).squareRoot() * scale
        let b = deviations * max(0, middle - radius).squareRoot() * scale
        drawing +=
          "<ellipse rx=\"\(n(a))\" ry=\"\(n(b))\" fill=\"\(color)\" fill-opacity=\"\(n(0.06 + 0.25 * ellipse.weight))\" "
          + "stroke=\"\(color)\" stroke-width=\"2\" transform=\"translate(\(n(x(ellipse.x))) \(n(y(ellipse.y)))) "
          + "rotate(\(n(-angle * 180 / .pi)))\"/>"
      }
    }
    return document(width: width, height: height, title: title, drawing)
  }

  struct Curve {
    var name: String
    var points: [(x: Double, y: Double)]
  }

  /// Lines over a common horizontal axis.
  static func curves(title: String, xLabel: String, yLabel: String, _ curves: [Curve]) -> String {
    let (width, height) = (760.0, 360.0)
    let (left, right, top, bottom) = (96.0, 736.0, 44.0, 308.0)
    let points = curves.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
    let xTicks = ticks(points.map(\.x)), yTicks = ticks(points.map(\.y))
    func x(_ value: Double) -> Double { left + share(value, xTicks.values) * (right - left) }
    func y(_ value: Double) -> Double { bottom - share(value, yTicks.values) * (bottom - top) }
    var drawing = text(16, 26, title, "font-size=\"16\"")
    for tick in xTicks.values {
      drawing += line(x(tick), top, x(tick), bottom)
      drawing += text(x(tick), bottom + 18, xTicks.label(tick), "text-anchor=\"middle\"")
    }
    for tick in yTicks.values {
      drawing += line(left, y(tick), right, y(tick))
      drawing += text(left - 8, y(tick) + 4.5, yTicks.label(tick), "text-anchor=\"end\"")
    }
    drawing += text((left + right) / 2, height - 12, xLabel, "text-anchor=\"middle\"")
    drawing +=
      "<g transform=\"translate(18 \(n((top + bottom) / 2))) rotate(-90)\">\(text(0, 0, yLabel, "text-anchor=\"middle\""))</g>"
    for (i, curve) in curves.enumerated() {
      let color = colors[i % colors.count]
      let finite = curve.points.filter { $0.x.isFinite && $0.y.isFinite }
      let path = finite.map { "\(n(x($0.x))),\(n(y($0.y)))" }.joined(separator: " ")
      drawing +=
        "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2.5\" stroke-linejoin=\"round\" "
        + "points=\"\(path)\"/>"
      for point in finite where finite.count <= 60 {
        drawing += "<circle cx=\"\(n(x(point.x)))\" cy=\"\(n(y(point.y)))\" r=\"3\" fill=\"\(color)\"/>"
      }
      let place = bottom - 12 - 18 * Double(curves.count - 1 - i)
      drawing += text(right - 10, place, curve.name, "text-anchor=\"end\" style=\"fill:\(color)\"")
    }
    return document(width: width, height: height, title: title, drawing)
  }

  // MARK: - Parts

  /// Round numbers that enclose the values, and how to write them.
  static func ticks(_ values: [Double]) -> (values: [Double], label: (Double) -> String) {
    var (low, high) = (values.min() ?? 0, values.max() ?? 1)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-30) {
      let margin = max(abs(low) / 2, 0.5)
      (low, high) = (low - margin, high + margin)
    }
    // Whole numbers, which rounds are, get ticks at whole numbers.
    let rough = values.allSatisfy { $0 == $0.rounded() } ? max((high - low) / 5, 1) : (high - low) / 5
    let magnitude = pow(10, log10(rough).rounded(.down))
    let step = magnitude * ([1, 2, 2.5, 5].first { rough <= $0 * magnitude * 1.0001 } ?? 10)
    let (first, last) = ((low / step).rounded(.down), (high / step).rounded(.up))
    let decimals = max(0, Int((-log10(step)).rounded(.up)) + (step / magnitude == 2.5 ? 1 : 0))
    return ((0...Int(last - first)).map { (first + Double($0)) * step }, { String(format: "%.\(decimals)f", $0 + 0) })
  }

  private static func share(_ value: Double, _ ticks: [Double]) -> Double {
    (value - ticks[0]) / (ticks[ticks.count - 1] - ticks[0])
  }

  private static func document(width: Double, height: Double, title: String, _ drawing: String) -> String {
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(n(width)) \(n(height))\" role=\"img\" "
      + "aria-label=\"\(SVG.escaped(title))\" font-family=\"inherit\" font-size=\"13\">\(drawing)</svg>"
  }

  private static func text(_ x: Double, _ y: Double, _ text: String, _ attributes: String = "") -> String {
    "<text x=\"\(n(x))\" y=\"\(n(y))\" fill=\"currentColor\" \(attributes)>\(SVG.escaped(text))</text>"
  }

  private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<line x1=\"\(n(x1))\" y1=\"\(n(y1))\" x2=\"\(n(x2))\" y2=\"\(n(y2))\" stroke=\"currentColor\" "
      + "stroke-opacity=\"0.18\"/>"
  }

  /// A number as short as a drawing needs it.
  private static func n(_ value: Double) -> String {
    let text = String(format: "%.2f", value)
    return text.contains(".") ? String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed()) : text
  }
}
