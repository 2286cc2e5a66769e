import Imaging
import PipelineTestSupport
import Testing

@testable import Pages

@Suite struct PageTemplateTests {
  private struct Content {
    let text: String
    let figures: [Figure]
    let table: Table
    let facts: [Fact]
  }

  private static let drawing = BarChart(title: "bars", bars: [.init(name: "a", value: 1, label: "1")]).drawing()
  private let template = PageTemplate(
    body: """
      <p title="{{text}}">{{text}}</p>
      {{#figures}}
      {{>figure}}
      {{/figures}}
      {{#table}}
      {{>table}}
      {{/table}}
      {{>facts}}
      {{>own}}
      """, partials: ["own": "<i>{{text}}</i>\n"])

  private func page(_ text: String) throws -> String {
    let picture = Picture(width: 2, height: 3, color: .black)
    return template.page(
      title: text,
      Content(
        text: text,
        figures: [try Figure(picture, scale: 4, caption: text), Figure(Self.drawing, caption: text)],
        table: Table(header: [text], rows: [[text]]), facts: [Fact(text, text)]))
  }

  @Test func everyPlaceEscapesItsText() throws {
    let plain = try page("WORD")
    let count = plain.ranges(of: "WORD").count
    #expect(count == 11)
    for (text, escaped) in [
      ("<b>", "&lt;b&gt;"), ("\"a\" & 'b'", "&quot;a&quot; &amp; &#39;b&#39;"),
      ("{{text}} {{{text}}}", "{{text}} {{{text}}}"),
      // With an accent on it, the sign and the accent are one character.
      ("\"\u{301} onerror=x", "&quot;\u{301} onerror=x"), ("<\u{338}i>", "&lt;\u{338}i&gt;"),
    ] {
      #expect(try page(text) == plain.replacing("WORD", with: escaped), "\(text)")
    }
  }

  @Test func picturesAndDrawingsStandInThePage() throws {
    let html = try page("x")
    #expect(faults(ofPage: html).isEmpty)
    let png = try Picture(width: 2, height: 3, color: .black).pngData().base64EncodedString()
    #expect(
      html.contains(
        "<figure><img class=\"pixels\" width=\"8\" height=\"12\" alt=\"x\" src=\"data:image/png;base64,\(png)\">"))
    #expect(html.contains("<figure class=\"drawing\">\(Self.drawing.inline)<figcaption>x</figcaption></figure>"))
    #expect(html.contains("<th>x</th>") && html.contains("<td>x</td>") && html.contains("<dt>x</dt><dd>x</dd>"))
    #expect(html.hasPrefix("<!DOCTYPE html>\n") && html.hasSuffix("</html>\n"))
  }
}
