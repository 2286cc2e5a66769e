import Basics
import Foundation

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The names and keywords of one of CLDR's annotation files.
/// https://unicode.org/reports/tr35/tr35-general.html#Annotations
final class EmojiAnnotations: NSObject, XMLParserDelegate {
  /// By the emoji's code points, without presentation selectors.
  private(set) var names: [[UInt32]: String] = [:]
  /// Likewise.
  private(set) var keywords: [[UInt32]: [String]] = [:]
  /// Of the annotation that is being read, and what has been read of its words.
  private var current: (key: [UInt32], isName: Bool, words: String)?
  private var isWhole = false
  /// The first.
  private var failure: (line: Int, code: Int)?

  /// Reads keywords, `<annotation cp="😀">face | grin</annotation>`, and names, which have `type="tts"`.
  /// - Parameters:
  ///   - content: a file's.
  ///   - path: the file's, for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it is not XML.
  init(_ content: Data, path: String) throws(PipelineError) {
    super.init()
    let parser = XMLParser(data: content)
    parser.delegate = self
    // On Linux the result is true for some of what is broken, and the reasons have no words.
    _ = parser.parse()
    if let (line, code) = failure {
      throw PipelineError(.badData, "\(path) is not XML in line \(line): libxml2 has error \(code)")
    }
    guard isWhole else { throw PipelineError(.badData, "\(path) is not XML: it is empty") }
  }

  func parser(
    _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    let type = attributes["type"]
    guard element == "annotation", type == nil || type == "tts", let emoji = attributes["cp"] else { return }
    current = (emoji.unicodeScalars.map(\.value).filter { $0 != 0xFE0F }, type != nil, "")
  }

  func parserDidEndDocument(_ parser: XMLParser) { isWhole = true }

  func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) {
    failure = failure ?? (parser.lineNumber, (error as NSError).code)
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) { current?.words += text }

  func parser(_ parser: XMLParser, didEndElement element: String, namespaceURI: String?, qualifiedName: String?) {
    guard element == "annotation", let (key, isName, words) = current else { return }
    if isName {
      names[key] = words.trimmingCharacters(in: .whitespacesAndNewlines)
    } else {
      keywords[key] = words.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    current = nil
  }
}
