import Foundation
import TestSupport

extension Connection {
  /// One request of HTTP/1.1. Foundation's own client on Linux refuses headers that have no space behind the colon, and such are the
  /// driver's.
  /// - Returns: the status and the body of the answer.
  static func answer(port: UInt16, _ method: String, _ path: String, body: Data) async throws -> (Int, Data) {
    let connection = try Connection(port: Int(port))
    let head = """
      \(method) \(path) HTTP/1.1\r
      Host: 127.0.0.1:\(port)\r
      Content-Type: application/json; charset=utf-8\r
      Content-Length: \(body.count)\r
      Connection: close\r
      \r

      """
    try await connection.send(Data(head.utf8) + body)
    guard let answer = answer(in: try await connection.read { answer(in: $0) != nil }) else {
      throw POSIXError(.ECONNRESET)
    }
    return answer
  }

  /// - Returns: nil where it is not complete.
  private static func answer(in data: Data) -> (Int, Data)? {
    guard let end = data.firstRange(of: Data("\r\n\r\n".utf8)) else { return nil }
    let head = String(decoding: data[..<end.lowerBound], as: UTF8.self)
    let length = head.firstMatch(of: /content-length:\s*(\d+)/.ignoresCase()).flatMap { Int($0.1) } ?? 0
    guard data.count - end.upperBound >= length else { return nil }
    let status = head.firstMatch(of: /^HTTP\/1\.1 (\d+)/).flatMap { Int($0.1) } ?? 0
    return (status, data[end.upperBound...].prefix(length))
  }
}
