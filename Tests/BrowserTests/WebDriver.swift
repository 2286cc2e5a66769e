import Foundation
import TestSupport
import Testing

/// A session of the WebDriver protocol: HTTP with JSON. https://www.w3.org/TR/webdriver2/
struct WebDriver: Sendable {
  /// Why the driver refused a command.
  struct Refusal: Error, CustomStringConvertible {
    let description: String
  }

  private let port: UInt16
  /// The path of the session.
  private let session: String

  /// - Parameters:
  ///   - port: the driver's.
  ///   - capabilities: what the browser shall be able to do, as the protocol names it.
  init(port: UInt16, capabilities: [String: Any]) async throws {
    let reply = try await Self.send(
      port, "POST", "/session", JSONSerialization.data(withJSONObject: ["capabilities": ["alwaysMatch": capabilities]]))
    let id = try #require((reply as? [String: Any])?["sessionId"] as? String)
    self.port = port
    session = "/session/\(id)"
  }

  /// Ends the session, which closes the browser.
  func quit() async throws { _ = try await Self.send(port, "DELETE", session, Data()) }

  /// Sends a command.
  /// - Parameters:
  ///   - path: behind the session's.
  ///   - body: the parameters.
  @discardableResult
  func post(_ path: String, _ body: [String: Any] = [:]) async throws -> Any {
    try await Self.send(port, "POST", "\(session)/\(path)", JSONSerialization.data(withJSONObject: body))
  }

  private static func send(_ port: UInt16, _ method: String, _ path: String, _ body: Data) async throws -> Any {
    let (status, data) = try await Connection.answer(port: port, method, path, body: body)
    guard status == 200 else {
      throw Refusal(description: "\(path): \(status) \(String(decoding: data, as: UTF8.self).prefix(800))")
    }
    return try #require((try JSONSerialization.jsonObject(with: data) as? [String: Any])?["value"])
  }
}
