import Pages

/// The page on which a person says what to draw.
package enum ServerPage {
  package static let files = [
    PageFile(
      path: "/", contentType: "text/html; charset=utf-8",
      content: Array(
        PageTemplate(body: "<p>POST /v1/images/generations draws.</p>").page(title: "Draw", [String: String]()).utf8))
  ]
}
