import Foundation

/// A connection to a program on this machine, for one request of HTTP/1.1. Foundation's own client on Linux refuses headers that have
/// no space behind the colon, and such are the driver's.
struct LoopbackConnection: ~Copyable {
  struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
  }

  private let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Failure("cannot connect to port \(port)") }
  }

  deinit { close(descriptor) }

  /// - Returns: the status and the body of the answer.
  static func answer(port: UInt16, _ method: String, _ path: String, body: Data) async throws -> (Int, Data) {
    // On a thread of its own, because it waits.
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            let connection = try LoopbackConnection(port: port)
            let head = """
              \(method) \(path) HTTP/1.1\r
              Host: 127.0.0.1:\(port)\r
              Content-Type: application/json; charset=utf-8\r
              Content-Length: \(body.count)\r
              Connection: close\r
              \r

              """
            try connection.send(Data(head.utf8) + body)
            return try connection.receive()
          })
      }
    }
  }

  private func send(_ data: Data) throws {
    var rest = data[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure("cannot send") }
      rest = rest.dropFirst(count)
    }
  }

  private func receive() throws -> (Int, Data) {
    var data = Data()
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let end = data.firstRange(of: Data("\r\n\r\n".utf8)) {
        let head = String(decoding: data[..<end.lowerBound], as: UTF8.self)
        let length = head.firstMatch(of: /content-length:\s*(\d+)/.ignoresCase()).flatMap { Int($0.1) } ?? 0
        if data.count - end.upperBound >= length {
          let status = head.firstMatch(of: /^HTTP\/1\.1 (\d+)/).flatMap { Int($0.1) } ?? 0
          return (status, data[end.upperBound...].prefix(length))
        }
      }
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { throw Failure("the connection ended") }
      data += buffer[..<count]
    }
  }
}
