/// What drawings and pages are written with.
package enum SVG {
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
