import Decoding
import Pages

/// The page on which a person says what to draw and sees it appear. It has no style and no script inside and loads nothing from
/// elsewhere, so that the strictest Content-Security-Policy lets it pass: `default-src 'none'` and `'self'` for styles, scripts,
/// pictures and connections, pictures also from `blob:` and `data:`.
///
/// Its parts are files, in the folder `Files`, and are compiled into the program: a program that is copied somewhere has them.
package enum ServerPage {
  /// All that a browser needs, the page itself at "/" among them.
  /// - Parameter sampling: what the page shows where nobody has said otherwise.
  package static func files(sampling: SamplingOptions = .init()) -> [PageFile] {
    [PageFile(path: "/", contentType: "text/html; charset=utf-8", content: Array(page(sampling).utf8))] + fixedFiles
  }

  private static let fixedFiles = [
    PageFile(
      path: "/page.css", contentType: "text/css; charset=utf-8",
      content: Array(PageTemplate.style.utf8) + Array("\n".utf8) + PackageResources.page_css),
    script("page", PackageResources.page_js), script("beginning", PackageResources.beginning_js),
    script("drawings", PackageResources.drawings_js), script("history", PackageResources.history_js),
    script("interface", PackageResources.interface_js),
    PageFile(path: "/icon.svg", contentType: "image/svg+xml", content: PackageResources.icon_svg),
  ]

  private static func script(_ name: String, _ content: [UInt8]) -> PageFile {
    PageFile(path: "/\(name).js", contentType: "text/javascript; charset=utf-8", content: content)
  }

  /// What the template names: what is drawn with where nobody says otherwise.
  private struct Content {
    private let temperature: String
    private let guidance: String
    private let topK: String
    private let topP: String

    init(_ options: SamplingOptions) {
      (temperature, guidance) = ("\(options.temperature)", "\(options.guidance)")
      (topK, topP) = ("\(options.topK)", "\(options.topP)")
    }
  }

  private static func page(_ sampling: SamplingOptions) -> String {
    PageTemplate(
      head: .init(style: "/page.css", script: "/page.js", icon: "/icon.svg"),
      body: String(decoding: PackageResources.page_html, as: UTF8.self)
    ).page(title: "Draw a picture", Content(sampling))
  }
}
