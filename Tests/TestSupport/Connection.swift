import Foundation

/// A connection to a program on this machine, over which anything can be sent.
public final class Connection: Sendable {
  private let descriptor: Int32

  /// - Throws: `POSIXError` where nobody listens.
  public init(port: Int) throws {
    #if os(Linux)
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // A test that hangs fails instead. Beside other tests, a server may stand still for minutes.
    var limit = timeval(tv_sec: 3600, tv_usec: 0)
    for direction in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, direction, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if status != 0 { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  }

  deinit { close(descriptor) }

  /// Closes this side; what comes from the other one can be read still.
  public func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// What blocks is done elsewhere than on the threads on which a server answers.
  private func elsewhere<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: .init(catching: work)) }
    }
  }

  /// - Returns: whether all of it was taken.
  @discardableResult
  public func send(_ bytes: Data) async throws -> Bool {
    try await elsewhere { [descriptor] in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EINTR { continue }
        // The server may have answered and closed.
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  public func send(_ text: String) async throws { try await send(Data(text.utf8)) }

  /// All that comes until the other end closes.
  public func readToEnd() async throws -> Data { try await read { _ in false } }

  /// What comes until it is enough.
  public func read(until isEnough: @escaping @Sendable (Data) -> Bool) async throws -> Data {
    try await elsewhere { [descriptor] in
      var all = Data()
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while !isEnough(all) {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EINTR { continue }
        if count == 0 || count < 0 && errno == ECONNRESET { break }
        guard count > 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        all += buffer[..<count]
      }
      return all
    }
  }

  /// Ends it as a process that is killed does.
  public func leave() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
