import Foundation
import NIOCore

/// Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
enum EventStream {
  static let contentType = "text/event-stream; charset=utf-8"

  /// One event. JSON has no line breaks of its own.
  static func event(_ type: String, _ value: some Encodable) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeString("event: \(type)\ndata: ")
    buffer.writeBytes(JSON.encode(value))
    buffer.writeString("\n\n")
    return buffer
  }
}
