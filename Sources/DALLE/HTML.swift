import Foundation
import Media
import TensorCore

/// A piece of HTML. Text becomes one by ``text(_:)``, which escapes it; what is written as a literal is markup.
struct HTML: ExpressibleByStringLiteral, Sendable {
  private(set) var source: String

  init(stringLiteral source: String) { self.source = source }
  /// Markup that is known to be sound.
  init(markup source: String) { self.source = source }

  static let empty: HTML = ""

  /// Text as it is, whatever signs it holds.
  static func text(_ text: String) -> HTML {
    var source = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": source += "&amp;"
      case "<": source += "&lt;"
      case ">": source += "&gt;"
      case "\"": source += "&quot;"
      case "'": source += "&#39;"
      default: source.unicodeScalars.append(character)
      }
    }
    return HTML(markup: source)
  }

  /// `<name key="value">…</name>`
  static func element(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: HTML...) -> HTML {
    let attributes = attributes.map { " \($0)=\"\(HTML.text($1).source)\"" }.joined()
    return HTML(markup: "<\(name)\(attributes)>\(content.map(\.source).joined())</\(name)>")
  }

  static func joined(_ parts: some Sequence<HTML>, by separator: String = "\n") -> HTML {
    HTML(markup: parts.map(\.source).joined(separator: separator))
  }

  static func paragraph(_ content: HTML) -> HTML { element("p", [:], content) }

  /// A picture inside the page itself, each pixel as a square of `scale`, with what it shows below it.
  static func figure(_ picture: Picture, scale: Int, caption: String) throws(PipelineError) -> HTML {
    let data = try picture.pngData().base64EncodedString()
    let image = HTML(
      markup: "<img class=\"pixels\" width=\"\(picture.width * scale)\" height=\"\(picture.height * scale)\" "
        + "alt=\"\(HTML.text(caption).source)\" src=\"data:image/png;base64,\(data)\">")
    return element("figure", [:], image, element("figcaption", [:], .text(caption)))
  }

  /// A drawing with what it shows below it.
  static func figure(svg: String, caption: String) -> HTML {
    element("figure", ["class": "drawing"], HTML(markup: svg), element("figcaption", [:], .text(caption)))
  }

  static func table(header: [HTML], rows: [[HTML]]) -> HTML {
    let head = HTML.element("tr", [:], .joined(header.map { .element("th", [:], $0) }, by: ""))
    let body = rows.map { HTML.element("tr", [:], .joined($0.map { .element("td", [:], $0) }, by: "")) }
    return .element(
      "div", ["class": "scroll"],
      .element("table", [:], .element("thead", [:], head), .element("tbody", [:], .joined(body))))
  }

  static func + (left: HTML, right: HTML) -> HTML { HTML(markup: left.source + right.source) }
  static func += (left: inout HTML, right: HTML) { left.source += right.source }
}
