import Basics
import Foundation

/// A drawing with a title. Ink is the color of what it stands in, so that a page's drawings follow its light and dark
/// forms; as a file of its own it has a light ground, so that it reads the same in all viewers.
package struct SVG: Sendable {
  /// Okabe and Ito's palette, which color-blind people can tell apart, with grey for black and a darker yellow, last.
  static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#b8a800"]
  /// The room above a drawing that its title and a line of names take.
  static let titleHeight = 44.0
  private static let margin = 16.0

  private let width: Double
  private let height: Double
  private let title: String
  private var elements = ""

  /// - Parameters:
  ///   - width: the units from left to right.
  ///   - height: the units from top to bottom.
  ///   - title: stands in the upper left corner.
  init(width: Double, height: Double, title: String) {
    (self.width, self.height, self.title) = (width, height, title)
    text(title, x: Self.margin, y: 26, attributes: "font-size=\"16\"")
  }

  /// Markup to stand in an HTML page.
  package var inline: String { document("font-family=\"inherit\"") }

  /// The content of a file.
  package var file: String {
    let size = "width=\"\(Self.number(width))\" height=\"\(Self.number(height))\""
    return document(
      size + " font-family=\"Helvetica, Arial, sans-serif\" color=\"#222222\"",
      ground: "<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#ffffff\"/>\n") + "\n"
  }

  private func document(_ attributes: String, ground: String = "") -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.number(width)) \(Self.number(height))" role="img" \
    aria-label="\(Self.escaped(title))" font-size="13" \(attributes)>
    \(ground)\(elements)</svg>
    """
  }

  // MARK: - Elements

  enum Anchor: String { case start, middle, end }

  /// - Parameter isUpright: whether it reads from below upwards, around its anchor.
  mutating func text(
    _ text: String, x: Double, y: Double, anchor: Anchor = .start, isUpright: Bool = false, attributes: String = ""
  ) {
    let place =
      isUpright
      ? "transform=\"translate(\(Self.number(x)) \(Self.number(y))) rotate(-90)\""
      : "x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
    let anchor = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
    elements += "<text \(place)\(anchor) fill=\"currentColor\" \(attributes)>\(Self.escaped(text))</text>\n"
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, opacity: Double) {
    elements += "<line x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" "
    elements += "y2=\"\(Self.number(y2))\" stroke=\"currentColor\" stroke-opacity=\"\(Self.number(opacity))\"/>\n"
  }

  mutating func rectangle(x: Double, y: Double, width: Double, height: Double, color: String) {
    elements += "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\" "
    elements += "height=\"\(Self.number(height))\" rx=\"3\" fill=\"\(color)\"/>\n"
  }

  /// A picture whose pixels stay squares.
  /// - Throws: as `pngData`.
  mutating func image(_ picture: Picture, x: Double, y: Double, width: Double) throws(PipelineError) {
    let height = width * Double(picture.height) / Double(picture.width)
    elements += "<image x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\" "
    elements += "height=\"\(Self.number(height))\" style=\"image-rendering:pixelated\" "
    elements += "href=\"data:image/png;base64,\(try picture.pngData().base64EncodedString())\"/>\n"
  }

  mutating func polyline(_ points: [(x: Double, y: Double)], color: String) {
    let path = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
    elements += "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\" stroke-linejoin=\"round\" "
    elements += "points=\"\(path)\"/>\n"
  }

  mutating func dots(_ points: [(x: Double, y: Double)], radius: Double, color: String, opacity: Double = 1) {
    elements += "<g fill=\"\(color)\" fill-opacity=\"\(Self.number(opacity))\">"
    for point in points {
      elements += "<circle cx=\"\(Self.number(point.x))\" cy=\"\(Self.number(point.y))\" r=\"\(Self.number(radius))\"/>"
    }
    elements += "</g>\n"
  }

  /// - Parameter degrees: how far it is turned, clockwise.
  mutating func ellipse(
    x: Double, y: Double, radii: (Double, Double), degrees: Double, color: String, opacity: Double
  ) {
    elements += "<ellipse rx=\"\(Self.number(radii.0))\" ry=\"\(Self.number(radii.1))\" fill=\"\(color)\" "
    elements += "fill-opacity=\"\(Self.number(opacity))\" stroke=\"\(color)\" stroke-width=\"2\" "
    elements += "transform=\"translate(\(Self.number(x)) \(Self.number(y))) rotate(\(Self.number(degrees)))\"/>\n"
  }

  /// Names in the colors of what they are of, in a line below the title, and in further lines where there is no more room.
  /// - Returns: where the drawing can begin.
  mutating func names(_ names: [String]) -> Double {
    var (x, y) = (Self.margin, Self.titleHeight + 4)
    for (i, name) in names.enumerated() {
      let length = 14 + 7.5 * Double(name.count) + 22
      if x > Self.margin && x + length > width {
        (x, y) = (Self.margin, y + 20)
      }
      rectangle(x: x, y: y - 9, width: 10, height: 10, color: Self.colors[i % Self.colors.count])
      text(name, x: x + 15, y: y)
      x += length
    }
    return y + 16
  }

  // MARK: - Several at once

  /// Drawings beside and below each other, each as wide as its column.
  package static func grid(_ drawings: [SVG], columns: Int, title: String) -> SVG {
    let columns = max(1, min(columns, drawings.count))
    let (width, gap) = (columns == 1 ? 760.0 : 480.0, 12.0)
    let heights = drawings.map { $0.height * width / $0.width }
    let rows = stride(from: 0, to: drawings.count, by: columns).map { heights[$0..<min($0 + columns, heights.count)] }
    let rowHeights = rows.map { $0.max() ?? 0 }
    var sheet = SVG(
      width: Double(columns) * (width + gap) + gap,
      height: titleHeight + rowHeights.reduce(0) { $0 + $1 + gap }, title: title)
    var y = titleHeight
    for (row, height) in rowHeights.enumerated() {
      for (column, i) in (row * columns..<min((row + 1) * columns, drawings.count)).enumerated() {
        let drawing = drawings[i]
        sheet.elements += "<svg x=\"\(number(gap + Double(column) * (width + gap)))\" y=\"\(number(y))\" "
        sheet.elements += "width=\"\(number(width))\" height=\"\(number(heights[i]))\" "
        sheet.elements += "viewBox=\"0 0 \(number(drawing.width)) \(number(drawing.height))\">\n"
        sheet.elements += drawing.elements + "</svg>\n"
      }
      y += height + gap
    }
    return sheet
  }

  /// A picture with a title.
  /// - Throws: as `pngData`.
  package static func framed(_ picture: Picture, width: Double = 480, title: String) throws(PipelineError) -> SVG {
    let height = (width - 2 * margin) * Double(picture.height) / Double(picture.width)
    var svg = SVG(width: width, height: titleHeight + height + 4, title: title)
    try svg.image(picture, x: margin, y: titleHeight, width: width - 2 * margin)
    return svg
  }

  /// `#rrggbb` between the colors of the palette, each with its share.
  static func blend(_ shares: [Double]) -> String {
    var sum = [0.0, 0, 0]
    for (i, share) in shares.enumerated() {
      let color = Int(colors[i % colors.count].dropFirst(), radix: 16) ?? 0
      for channel in 0..<3 { sum[channel] += share * Double(color >> (16 - 8 * channel) & 255) }
    }
    return "#" + sum.map { String(format: "%02x", UInt8(min(255, max(0, $0.rounded())))) }.joined()
  }

  // MARK: - Text

  /// A coordinate with at most two decimals.
  private static func number(_ value: Double) -> String {
    let rounded = (value * 100).rounded() / 100
    return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
  }

  /// Text as it stands in XML and HTML, between tags and in attributes. It goes scalar by scalar: a quotation mark with an
  /// accent on it is one character, and still ends an attribute.
  package static func escaped(_ text: String) -> String {
    var source = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": source += "&amp;"
      case "<": source += "&lt;"
      case ">": source += "&gt;"
      case "\"": source += "&quot;"
      case "'": source += "&#39;"
      default: source.unicodeScalars.append(scalar)
      }
    }
    return source
  }
}
