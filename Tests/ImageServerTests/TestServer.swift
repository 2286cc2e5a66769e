import DrawingService
import Foundation
import Generation
import ImageServer
import Logging
import PipelineTestSupport
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// A model that all tests only read.
enum Shared {
  static let folder = Result { try Tiny.trainedWithRanker() }

  /// For tests that leave it as it was.
  static let server = Task { try await TestServer() }

  static func model() throws -> TextToImageModel {
    try TextToImageModel(contentsOf: folder.get().checkpoint.url, threads: 1)
  }
}

/// A server on a free port of this machine, which ends with the test.
final class TestServer: Sendable {
  let service: DrawingService
  let port: Int
  private let group: ServiceGroup
  private let running: Task<Void, any Error>

  /// - Parameters:
  ///   - checkpoint: the folder; the shared one unless given.
  init(
    checkpoint: URL? = nil, queueLength: Int = 64, logger: Logger? = nil,
    _ change: (inout ImageServer.Settings) -> Void = { _ in }
  ) async throws {
    var settings = ImageServer.Settings()
    settings.port = 0
    // Beside other tests, one may stand still for minutes between two lines.
    settings.connections.head = .hours(1)
    settings.connections.body = .hours(1)
    settings.connections.idle = .hours(1)
    settings.connections.reading = .hours(1)
    change(&settings)
    service = DrawingService(
      CheckpointCatalogue(standard: try checkpoint ?? Shared.folder.get().checkpoint.url), threads: 1,
      queueLength: queueLength)
    let (ports, told) = AsyncStream<Int>.makeStream()
    let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
    let server = ImageServer(service, settings, logger: logger ?? silent) { told.yield($0) }
    let group = ServiceGroup(services: [server], logger: silent)
    self.group = group
    running = Task {
      defer { told.finish() }
      try await group.run()
    }
    guard let port = await ports.first(where: { _ in true }) else {
      try await running.value
      throw CancellationError()
    }
    self.port = port
    let service = service
    try await eventually { service.isReady }
  }

  deinit { running.cancel() }

  /// Asks it to finish what was accepted.
  func beginShutdown() async { await group.triggerGracefulShutdown() }

  /// - Throws: what the server has ended with.
  func end() async throws { try await running.value }

  // MARK: - Requests

  func get(_ path: String, _ headers: [String: String] = [:]) async throws -> Answer {
    try await send("GET", path, headers, Data())
  }

  func post(_ path: String, json: String, _ headers: [String: String] = [:]) async throws -> Answer {
    try await send(
      "POST", path, ["Content-Type": "application/json"].merging(headers) { $1 }, Data(json.utf8))
  }

  func generate(_ json: String) async throws -> Answer { try await post("/v1/images/generations", json: json) }

  func post(_ path: String, form: [FormPart]) async throws -> Answer {
    try await send(
      "POST", path, ["Content-Type": "multipart/form-data; boundary=\(FormPart.boundary)"], FormPart.body(form))
  }

  func send(_ method: String, _ path: String, _ headers: [String: String], _ body: Data) async throws -> Answer {
    var head = "\(method) \(path) HTTP/1.1\r\nConnection: close\r\n"
    let all = ["Host": "localhost", "Content-Length": "\(body.count)"].merging(headers) { $1 }
    for (name, value) in all { head += "\(name): \(value)\r\n" }
    return try Answer(try await exchange(Data("\(head)\r\n".utf8) + body))
  }

  /// Sends bytes, and reads all that comes until the connection is closed.
  func exchange(_ bytes: Data) async throws -> Data {
    let connection = try Connection(port: port)
    try await connection.send(bytes)
    return try await connection.readToEnd()
  }
}

/// A part of a form.
struct FormPart {
  static let boundary = "a-boundary"
  var name: String
  var fileName: String?
  var content: Data

  static func field(_ name: String, _ value: String) -> FormPart { FormPart(name: name, content: Data(value.utf8)) }
  static func file(_ name: String, _ content: Data) -> FormPart {
    FormPart(name: name, fileName: "a \"picture\".png", content: content)
  }

  static func body(_ parts: [FormPart]) -> Data {
    var body = Data()
    for part in parts {
      body += Data("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(part.name)\"".utf8)
      if let fileName = part.fileName {
        body += Data("; filename=\"\(fileName.replacing("\"", with: "%22"))\"\r\nContent-Type: image/png".utf8)
      }
      body += Data("\r\n\r\n".utf8) + part.content + Data("\r\n".utf8)
    }
    return body + Data("--\(boundary)--\r\n".utf8)
  }
}

/// An answer of more bytes than the system keeps for a client: the caption stands in every picture, some 20 kB of it.
enum LargeAnswer {
  static func request(pictures count: Int) -> String {
    let body = #"{"prompt": "\#(String(repeating: "🟥", count: 4000))", "n": \#(count)}"#
    return "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }
}

/// What the server answers.
struct Answer {
  var status: Int
  /// By their names in lower case.
  var headers: [String: String] = [:]
  var body: Data

  init(_ bytes: Data) throws {
    let end = try #require(bytes.firstRange(of: Data("\r\n\r\n".utf8)), "no answer: \(bytes.count) bytes")
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    status = try #require(Int(lines[0].split(separator: " ")[1]))
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      headers[parts[0].lowercased()] = parts.count > 1 ? parts[1] : ""
    }
    body = Data(bytes[end.upperBound...])
    if headers["transfer-encoding"] == "chunked" { body = try Self.joined(body) }
  }

  /// The chunks without what is between them.
  private static func joined(_ chunks: Data) throws -> Data {
    var (rest, whole) = (chunks[...], Data())
    while let line = rest.firstRange(of: Data("\r\n".utf8)) {
      let size = try #require(Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16))
      if size == 0 { return whole }
      whole += rest[line.upperBound..<line.upperBound + size]
      rest = rest[(line.upperBound + size + 2)...]
    }
    throw CocoaError(.fileReadCorruptFile)
  }

  func json() throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: body) as? [String: Any], "\(String(decoding: body, as: UTF8.self))")
  }

  /// The PNGs of an answer with pictures.
  func pictures() throws -> [Data] {
    let data = try #require(try json()["data"] as? [[String: Any]], "\(String(decoding: body, as: UTF8.self))")
    return try data.map { picture in
      let text = try #require(picture["b64_json"] as? String)
      return try #require(Data(base64Encoded: text))
    }
  }

  /// Server-sent events: their types and their objects.
  func events() throws -> [(type: String, object: [String: Any])] {
    try String(decoding: body, as: UTF8.self).components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { block in
      let lines = block.components(separatedBy: "\n")
      let type = try #require(lines[0].hasPrefix("event: ") ? String(lines[0].dropFirst(7)) : nil)
      let data = try #require(lines[1].hasPrefix("data: ") ? Data(lines[1].dropFirst(6).utf8) : nil)
      return (type, try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any]))
    }
  }

  /// An error in the interface's form.
  func expectError(
    _ status: Int, _ parameter: String? = nil, code: String? = nil, words: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let text = String(decoding: body, as: UTF8.self)
    #expect(self.status == status, "\(text)", sourceLocation: sourceLocation)
    let error = try #require(try json()["error"] as? [String: Any], sourceLocation: sourceLocation)
    #expect(Set(error.keys) == ["message", "type", "param", "code"], sourceLocation: sourceLocation)
    #expect(error["param"] as? String == parameter, "\(text)", sourceLocation: sourceLocation)
    if let code { #expect(error["code"] as? String == code, "\(text)", sourceLocation: sourceLocation) }
    let message = try #require(error["message"] as? String, sourceLocation: sourceLocation)
    #expect(words.map(message.contains) ?? true && !message.contains("\n"), "\(text)", sourceLocation: sourceLocation)
    let type =
      switch status {
      case 429: "rate_limit_error"
      case 500...: "server_error"
      default: "invalid_request_error"
      }
    #expect(error["type"] as? String == type, "\(text)", sourceLocation: sourceLocation)
  }
}

func eventually(_ condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
  let holds = try await holdsEventually(condition)
  try #require(holds, "it did not come", sourceLocation: sourceLocation)
}
