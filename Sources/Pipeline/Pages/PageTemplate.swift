import Imaging
import Mustache

/// A kind of page, written as a Mustache template: `{{name}}` is text, which is escaped, and `{{{name}}}` is markup.
/// https://mustache.github.io/mustache.5.html
///
/// Its pages need no other file: style, pictures and drawings are inside, unless a server has the style as a file of its own
/// (``Head``). Templates may use these partials:
///
/// | partial | what it shows |
/// | --- | --- |
/// | `{{>figure}}` | the ``Figure`` in whose section it stands |
/// | `{{>table}}` | the ``Table`` in whose section it stands |
/// | `{{>facts}}` | the list `facts` of ``Fact`` |
package struct PageTemplate: Sendable {
  /// The files of a page that a server hands out, where a strict Content-Security-Policy allows neither style nor scripts inside
  /// the page. Their addresses stand in the page's head.
  package struct Head: Sendable {
    private let style: String
    private let script: String
    private let icon: String

    /// - Parameters:
    ///   - style: the address of a file that holds ``PageTemplate/style``.
    ///   - script: the address of a JavaScript module.
    ///   - icon: the address of an SVG.
    package init(style: String, script: String, icon: String) {
      (self.style, self.script, self.icon) = (style, script, icon)
    }
  }

  private let library: MustacheLibrary
  private let head: Head?

  /// - Parameters:
  ///   - head: the files that its pages load; nil for pages that need none.
  ///   - body: the template of what stands between a page's head and its end.
  ///   - partials: those of its own, by name.
  package init(head: Head? = nil, body: String, partials: [String: String] = [:]) {
    self.head = head
    var library = MustacheLibrary()
    let all = Self.shared.merging(partials) { $1 }.merging(["body": body]) { $1 }
    EscapedText.register
    for (name, source) in all {
      // A template that cannot be parsed is a mistake in the program.
      do { try library.register("{{% CONTENT_TYPE: \(EscapedText.name)}}\n" + source, named: name) } catch {
        preconditionFailure("the template \(name): \(error)")
      }
    }
    self.library = library
  }

  /// A page.
  /// - Parameters:
  ///   - title: what its window is called.
  ///   - content: the stored properties that the template names.
  package func page(title: String, _ content: Any) -> String {
    guard let page = library.render(Parts(title: title, head: head, content: content), withTemplate: "page") else {
      preconditionFailure("there is no template of a page")
    }
    return page
  }

  /// What the template of all pages names.
  private struct Parts {
    let title: String
    let head: Head?
    let content: Any
  }

  private static let shared = [
    "page": """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{{title}}</title>
    {{#head}}
    <link rel="stylesheet" href="{{style}}">
    <link rel="icon" href="{{icon}}">
    <script type="module" src="{{script}}"></script>
    {{/head}}
    {{^head}}
    <style>
    \(style)
    </style>
    {{/head}}
    </head>
    <body>
    <main>
    {{#content}}
    {{>body}}
    {{/content}}
    </main>
    </body>
    </html>

    """,
    "figure": """
    <figure{{#svg}} class="drawing"{{/svg}}>\
    {{#picture}}<img class="pixels" width="{{width}}" height="{{height}}" alt="{{caption}}" \
    src="data:image/png;base64,{{png}}">{{/picture}}{{{svg}}}<figcaption>{{caption}}</figcaption></figure>

    """,
    "table": """
    <div class="scroll"><table><thead><tr>{{#header}}<th>{{.}}</th>{{/header}}</tr></thead><tbody>
    {{#rows}}
    <tr>{{#.}}<td>{{.}}</td>{{/.}}</tr>
    {{/rows}}
    </tbody></table></div>

    """,
    "facts": """
    <dl>{{#facts}}<div><dt>{{name}}</dt><dd>{{value}}</dd></div>{{/facts}}</dl>

    """,
  ]
}

/// How text is escaped. swift-mustache's own way goes by characters as a person sees them, and lets a quotation mark with
/// an accent pass, which would end an attribute.
private struct EscapedText: MustacheContentType {
  static let name = "ESCAPED"
  static let register: Void = MustacheContentTypes.register(EscapedText(), named: name)

  func escapeText(_ text: String) -> String { SVG.escaped(text) }
}
