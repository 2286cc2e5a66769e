import Foundation

/// What is wrong with a page: a tag that is not closed in its order, and whatever would be loaded from elsewhere. It should
/// be nothing.
/// - Parameter files: the addresses that it may name: of the server that it comes from.
public func faults(ofPage html: String, files: Set<String> = []) -> [String] {
  var faults: [String] = []
  var open: [Substring] = []
  let void: Set<Substring> = [
    "meta", "link", "img", "input", "circle", "rect", "ellipse", "line", "polyline", "!DOCTYPE",
  ]
  for match in html.matches(of: /<(\/?)([A-Za-z!][A-Za-z0-9]*)((?:[^>"]|"[^"]*")*?)(\/?)>/) {
    if match.1 == "/" {
      if open.popLast() != match.2 { faults.append("</\(match.2)> closes nothing") }
    } else if match.4.isEmpty && !void.contains(match.2) {
      open.append(match.2)
    }
  }
  faults += open.map { "<\($0)> is not closed" }
  if html.replacing("xmlns=\"http://www.w3.org/2000/svg\"", with: "").contains("http") { faults.append("http") }
  for match in html.matches(of: /(?:src|href)="([^"]{0,20})/) {
    if !match.1.hasPrefix("data:image/png;base6") && !match.1.hasPrefix("#") && !files.contains(String(match.1)) {
      faults.append("a link to \(match.1)")
    }
  }
  for loading in ["url(", "@import"] where html.contains(loading) { faults.append(loading) }
  return faults
}
