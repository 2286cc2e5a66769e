import Foundation
import Imaging
import Pages
import PipelineTestSupport
import Testing

@Suite struct HTMLTests {
  @Test func textIsNeverMarkup() {
    let text = "<b>\"5\" & 'co'</b> é 👩🏽‍🚀"
    #expect(HTML.text(text).source == "&lt;b&gt;&quot;5&quot; &amp; &#39;co&#39;&lt;/b&gt; é 👩🏽‍🚀")
    // What is escaped already is text, too.
    #expect(HTML.text("&lt;").source == "&amp;lt;")
    let element = HTML.element("p", ["title": "\" onclick=\"x"], .text("<i>"), "<br>")
    #expect(element.source == "<p title=\"&quot; onclick=&quot;x\">&lt;i&gt;<br></p>")
  }

  @Test func tablesHaveARowALine() {
    let table = HTML.table(header: ["a", "b"], rows: [["1", .text("<")], ["3", "4"]]).source
    #expect(table.contains("<thead><tr><th>a</th><th>b</th></tr></thead>"))
    #expect(table.contains("<tr><td>1</td><td>&lt;</td></tr>\n<tr><td>3</td><td>4</td></tr>"))
  }

  @Test func picturesAreInThePageItself() throws {
    var picture = Picture(width: 3, height: 2, color: .white)
    picture.paste(Picture(width: 1, height: 1, color: .black), x: 2, y: 1)
    let figure = try HTML.figure(picture, scale: 4, caption: "\"x\" > y")
    let data = try #require(figure.source.firstMatch(of: /src="data:image\/png;base64,([^"]+)"/)?.1)
    #expect(try Picture(decoding: #require(Data(base64Encoded: String(data))), name: "figure") == picture)
    #expect(figure.source.contains("width=\"12\" height=\"8\" alt=\"&quot;x&quot; &gt; y\""))
    let page = HTML.page(title: "<title>", [figure])
    #expect(faults(ofPage: page).isEmpty && page.contains("<title>&lt;title&gt;</title>"))
  }

  /// What the tests of pages rely on.
  @Test(arguments: [
    "<p>", "</p>", "<p><b></p></b>", "<img src=\"x.png\">", "<a href=\"https://x\">y</a>", "<p style=\"url(x)\"></p>",
    "<style>@import</style>",
  ])
  func pagesThatAreNotWholeAreFound(html: String) { #expect(!faults(ofPage: html).isEmpty) }
}
