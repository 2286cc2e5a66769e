import Foundation

/// Points in a plane, with the ellipses of one and two standard deviations of Gaussians over them. Both axes have the same
/// scale.
package struct ScatterPlot: Sendable {
  /// Points of one color; those that are not finite are left out.
  package struct Group: Sendable {
    var name: String
    var points: [(x: Double, y: Double)]

    package init(name: String, points: [(x: Double, y: Double)]) {
      (self.name, self.points) = (name, points.filter { $0.x.isFinite && $0.y.isFinite })
    }
  }

  /// A Gaussian.
  package struct Ellipse: Sendable {
    /// The mean.
    var x: Double, y: Double
    /// The covariance's elements.
    var xx: Double, xy: Double, yy: Double
    /// The share of points that are expected in it, which the drawing shows as opacity.
    var weight: Double

    package init(mean: (x: Double, y: Double), covariance: (xx: Double, xy: Double, yy: Double), weight: Double) {
      (x, y) = mean
      (xx, xy, yy) = covariance
      self.weight = weight
    }
  }

  private let title: String
  private let groups: [Group]
  private let ellipses: [Ellipse]
  /// Points of colors between those of the ellipses.
  private var blended: [(x: Double, y: Double, color: String)] = []

  package init(title: String, groups: [Group], ellipses: [Ellipse] = []) {
    (self.title, self.groups, self.ellipses) = (title, groups, ellipses)
  }

  /// - Parameters:
  ///   - shares: of each point, how far it belongs to each ellipse: its color lies between theirs accordingly (Bishop, PRML,
  ///     figure 9.5).
  ///   - ellipses: the first has the palette's first color, and so on.
  package init(title: String, points: [(x: Double, y: Double)], shares: [[Double]], ellipses: [Ellipse] = []) {
    self.init(title: title, groups: [], ellipses: ellipses)
    blended = zip(points, shares).filter { $0.0.x.isFinite && $0.0.y.isFinite }.map {
      ($0.x, $0.y, SVG.blend($1))
    }
  }

  package func drawing() -> SVG {
    let (width, height, margin) = (760.0, 520.0, 24.0)
    var svg = SVG(width: width, height: height, title: title)
    let top = groups.count > 1 ? svg.names(groups.map(\.name)) : SVG.titleHeight
    let points = groups.flatMap(\.points) + blended.map { ($0.x, $0.y) }
    let (xs, ys) = (points.map(\.x), points.map(\.y))
    let (lowX, highX, lowY, highY) = (xs.min() ?? 0, xs.max() ?? 1, ys.min() ?? 0, ys.max() ?? 1)
    let scale = min(
      (width - 2 * margin) / max(highX - lowX, 1e-9), (height - top - margin) / max(highY - lowY, 1e-9))
    func x(_ value: Double) -> Double { width / 2 + (value - (lowX + highX) / 2) * scale }
    func y(_ value: Double) -> Double { (top + height - margin) / 2 - (value - (lowY + highY) / 2) * scale }
    for (i, group) in groups.enumerated() {
      svg.dots(
        group.points.map { (x($0.x), y($0.y)) }, radius: 2, color: SVG.colors[i % SVG.colors.count], opacity: 0.45)
    }
    for point in blended { svg.dots([(x(point.x), y(point.y))], radius: 3, color: point.color, opacity: 0.8) }
    for (i, ellipse) in ellipses.enumerated() {
      // The covariance's axes: eigenvalues and the angle of the first eigenvector of a symmetric 2×2 matrix.
      let middle = (ellipse.xx + ellipse.yy) / 2
      let radius = (pow((ellipse.xx - ellipse.yy) / 2, 2) + pow(ellipse.xy, 2)).squareRoot()
      let angle = atan2(ellipse.xy, (ellipse.xx - ellipse.yy) / 2) / 2
      for deviations in [1.0, 2.0] {
        svg.ellipse(
          x: x(ellipse.x), y: y(ellipse.y),
          radii: (
            deviations * max(0, middle + radius).squareRoot() * scale,
            deviations * max(0, middle - radius).squareRoot() * scale
          ), degrees: -angle * 180 / .pi, color: SVG.colors[(i + groups.count) % SVG.colors.count],
          opacity: 0.06 + 0.25 * ellipse.weight)
      }
    }
    return svg
  }
}
