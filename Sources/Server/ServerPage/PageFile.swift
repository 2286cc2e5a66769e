/// A file as a browser asks for it.
package struct PageFile: Sendable {
  /// What stands in the address behind the host, such as "/page.css".
  package var path: String
  /// A media type, such as "text/css; charset=utf-8".
  package var contentType: String
  package var content: [UInt8]
}
