import DrawingService
import Foundation
import Logging
import NIOCore
import TestSupport
import Testing

@testable import ImageServer

struct BoundsTests {
  private func head(_ length: Int, _ type: String = "application/json") -> String {
    "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(type)\r\nContent-Length: \(length)\r\n\r\n"
  }

  /// A body that is too large is refused by its length, before it is sent, and in pieces as soon as it is too much.
  @Test func bodiesAreBounded() async throws {
    let server = try await TestServer { $0.connections.lingering = .milliseconds(20) }
    try Answer(try await server.exchange(Data(head(1 << 30).utf8))).expectError(413, code: "request_too_large")
    let form = "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    try Answer(try await server.exchange(Data("\(form)Content-Length: 16777217\r\n\r\n".utf8))).expectError(413)
    let chunk = "10000\r\n\(String(repeating: "x", count: 0x10000))\r\n"
    let chunked =
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    let answer = try Answer(try await server.exchange(Data((chunked + chunk + chunk).utf8)))
    try answer.expectError(413)
    #expect(answer.headers["connection"] == "close")
    // Of characters, as the document says, and not of bytes.
    let prompt = String(repeating: "é", count: 4000)
    #expect(try await server.generate(#"{"prompt": "\#(prompt)"}"#).status == 200)
    try await server.generate(#"{"prompt": "\#(prompt)e"}"#).expectError(400, "prompt", words: "4001 characters")
  }

  /// Chunks that are none are the client's fault, and nothing to log as the server's.
  @Test func aBodyThatIsNotWholeIsRefused() async throws {
    let reports = Reports()
    let server = try await TestServer(
      logger: Logger(label: "tests") { _ in ReportingLogHandler(reports: reports) }
    ) { $0.connections.lingering = .hours(1) }
    let connection = try Connection(port: server.port)
    // The answer to Expect tells that the head has been read.
    try await connection.send(
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    _ = try await connection.read { $0.suffix(4) == Data("\r\n\r\n".utf8) }
    try await connection.send("no chunk\r\n")
    try Answer(try await connection.readToEnd()).expectError(400, words: "not whole")
    #expect(!reports.lines.isEmpty && !reports.lines.contains { $0.hasPrefix("error") })
  }

  @Test func headersAreBounded() async throws {
    let server = try await Shared.server.value
    for head in [
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: \(String(repeating: "x", count: 20_000))\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + (0..<200).map { "X-\($0): x\r\n" }.joined() + "\r\n",
      "nonsense\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n",
    ] {
      let bytes = try await server.exchange(Data(head.utf8))
      let status = bytes.isEmpty ? 400 : try Answer(bytes).status
      #expect(status == 400, "\(head.prefix(30))")
    }
    #expect(try await server.get("/healthz").status == 200)
  }

  /// Whoever sends nothing, or a byte now and then, is sent away.
  @Test func slowClientsAreEnded() async throws {
    let server = try await TestServer {
      ($0.connections.head, $0.connections.body, $0.connections.idle) = (.seconds(1), .seconds(1), .seconds(1))
    }
    for sent in [
      "", "GET /heal", head(100), head(100) + "{\"prompt\"", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
      let connection = try Connection(port: server.port)
      if !sent.isEmpty { try await connection.send(sent) }
      // This ends, because the server closes.
      let bytes = try await connection.readToEnd()
      let status = bytes.isEmpty ? nil : try Answer(bytes).status
      #expect(sent.hasPrefix("GET /healthz") ? status == 200 : status ?? 400 >= 400)
    }
    let dripping = try Connection(port: server.port)
    #expect(try await holdsEventually(every: .milliseconds(20)) { try await !dripping.send(Data("x".utf8)) })
  }

  /// Answers that nobody takes fill what the system keeps of them, and then requests are read no further.
  @Test func whoReadsNothingIsEnded() async throws {
    let server = try await TestServer { $0.connections.reading = .milliseconds(200) }
    let connection = try Connection(port: server.port)
    let requests = Data(String(repeating: "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 1000).utf8)
    #expect(try await holdsEventually { try await !connection.send(requests) })
    #expect(try await server.get("/healthz").status == 200)
  }

  /// What is more than the system keeps takes a while, and longer than any of the times that a connection has for something.
  @Test func aLargeAnswerIsSentToItsEnd() async throws {
    let server = try await TestServer {
      $0.requests.pictures = 1000
      ($0.connections.idle, $0.connections.reading) = (.milliseconds(100), .seconds(5))
    }
    let connection = try Connection(port: server.port)
    try await connection.send(LargeAnswer.request(pictures: 600))
    let bytes = try await connection.read { _ in
      Thread.sleep(forTimeInterval: 0.03)
      return false
    }
    #expect(try Answer(bytes).pictures().count == 600)
  }

  @Test func whoDoesNotStopIsEnded() async throws {
    let server = try await TestServer { $0.connections.lingering = .milliseconds(20) }
    for (beginning, more) in [
      ("GET /healthz HTTP/1.1\r\n", "X-Header: x\r\n"), ("GET /", "x"), (head(1 << 40), "x"), ("\u{0}", "\u{0}"),
    ] {
      let connection = try Connection(port: server.port)
      try await connection.send(beginning)
      let endless = Data(String(repeating: more, count: 10_000).utf8)
      #expect(try await holdsEventually { try await !connection.send(endless) })
    }
  }

  @Test func connectionsAreUsedAgain() async throws {
    let server = try await Shared.server.value
    let connection = try Connection(port: server.port)
    for _ in 0..<3 {
      let body = #"{"prompt": "x"}"#
      try await connection.send(head(body.utf8.count) + body)
      let answer = try await connection.read {
        guard $0.firstRange(of: Data("\r\n\r\n".utf8)) != nil, let answer = try? Answer($0) else { return false }
        return answer.headers["content-length"] == "\(answer.body.count)"
      }
      #expect(try Answer(answer).status == 200)
    }
  }

  /// Requests that come before the answer to the one before them are answered one after the other.
  @Test func requestsMayFollowOneAnother() async throws {
    let server = try await TestServer {
      ($0.connections.idle, $0.connections.body) = (.milliseconds(300), .milliseconds(300))
    }
    let body = #"{"prompt": "x", "n": 16}"#
    let many = String(repeating: head(body.utf8.count) + body, count: 5)
    let text = String(decoding: try await server.exchange(Data(many.utf8)), as: UTF8.self)
    #expect(text.matches(of: /HTTP\/1\.1 200 OK/).count == 5)
  }

  @Test func whoAsksBeforeSendingIsTold() async throws {
    let server = try await Shared.server.value
    let body = #"{"prompt": "x"}"#
    let asking = head(body.utf8.count).replacing(
      "\r\n\r\n", with: "\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    let connection = try Connection(port: server.port)
    try await connection.send(asking)
    let first = try await connection.read { $0.suffix(4) == Data("\r\n\r\n".utf8) }
    #expect(String(decoding: first, as: UTF8.self).hasPrefix("HTTP/1.1 100 Continue\r\n"))
    try await connection.send(body)
    #expect(try Answer(try await connection.readToEnd()).status == 200)
    let tooMuch = asking.replacing("Content-Length: \(body.utf8.count)", with: "Content-Length: 99999999")
    try Answer(try await server.exchange(Data(tooMuch.utf8))).expectError(413)
  }

  /// Asks again until it is answered with `status`: what happens to other connections is seen when the server comes to it.
  private func until(
    _ status: Int, sourceLocation: SourceLocation = #_sourceLocation, _ ask: () async throws -> Answer
  ) async throws {
    var last = ""
    let holds = try await holdsEventually {
      let answer = try await ask()
      last = "\(answer.status) \(String(decoding: answer.body, as: UTF8.self))"
      return answer.status == status
    }
    try #require(holds, "\(last)", sourceLocation: sourceLocation)
  }

  /// Begins a request that is not ended, until `ask` finds no room beside it.
  ///
  /// What is asked may be read first, and then it is the beginning that finds none, and is begun again.
  /// - Returns: those begun; one of them holds its room.
  private func fill(
    _ server: TestServer, with beginning: String, sourceLocation: SourceLocation = #_sourceLocation,
    until ask: () async throws -> Answer
  ) async throws -> [Connection] {
    var begun = [Connection]()
    try await until(503, sourceLocation: sourceLocation) {
      let connection = try Connection(port: server.port)
      try await connection.send(beginning)
      begun.append(connection)
      return try await ask()
    }
    return begun
  }

  /// Bodies that are bounded each are bounded together, too.
  @Test func allBodiesTogetherAreBounded() async throws {
    let server = try await TestServer { $0.requests.allBytes = 1000 }
    let waiting = try await fill(server, with: head(2000) + String(repeating: " ", count: 900)) {
      try await server.generate(#"{"prompt": "\#(String(repeating: "x", count: 200))"}"#)
    }
    for connection in waiting { connection.leave() }
    try await until(200) { try await server.generate(#"{"prompt": "x"}"#) }
  }

  /// Forms, which may be large and come slowly, leave room for captions.
  @Test func formsTakeNothingFromCaptions() async throws {
    let server = try await TestServer { $0.requests.allBytes = 1000 }
    let head =
      "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000\r\n\r\n"
    let slow = try await fill(server, with: head + String(repeating: " ", count: 1000)) {
      try await server.post("/v1/images/edits", form: [.field("prompt", "x")])
    }
    #expect(try await server.generate(#"{"prompt": "x"}"#).status == 200)
    for connection in slow { connection.leave() }
  }

  /// Whoever closes the own side of a connection counts as gone, and is told.
  @Test func whoEndsSendingIsToldThatNothingIsDrawn() async throws {
    let server = try await TestServer { $0.requests.pictures = 1_000_000 }
    let connection = try Connection(port: server.port)
    let body = #"{"prompt": "x", "n": 1000000}"#
    try await connection.send(head(body.utf8.count) + body)
    connection.endSending()
    try Answer(try await connection.readToEnd()).expectError(499, code: "client_closed_request")
  }

  @Test func connectionsAreBounded() async throws {
    let server = try await TestServer { ($0.connections.connections, $0.connections.head) = (2, .seconds(1)) }
    // Two that say nothing take all there are, until they are ended.
    let idle = [try Connection(port: server.port), try Connection(port: server.port)]
    #expect(try await server.get("/healthz").status == 200)
    for connection in idle { #expect(try await connection.readToEnd().isEmpty) }
  }

  /// One that is full whenever somebody comes.
  @Test func aFullQueueSaysSo() async throws {
    let server = try await TestServer(queueLength: 0)
    let answer = try await server.generate(#"{"prompt": "x"}"#)
    try answer.expectError(429, code: "rate_limit_exceeded", words: "try again")
    #expect((1...60).contains(Int(answer.headers["retry-after"] ?? "") ?? 0))
    #expect(server.service.statistics.refused == 1)
  }

  @Test func unknownPathsAndMethods() async throws {
    let server = try await Shared.server.value
    try await server.get("/v1/images").expectError(404)
    try await server.get("/../../etc/passwd").expectError(404)
    try await server.get("/%2e%2e/%2e%2e/etc/passwd").expectError(404)
    let answer = try await server.get("/v1/images/generations")
    try answer.expectError(405, code: "method_not_allowed")
    #expect(answer.headers["allow"] == "POST")
    try await server.post("/v1/models", json: "{}").expectError(405)
    // An answer to HEAD has no body, whatever it says; the next answer would begin with it.
    for (path, status) in [("/healthz", 200), ("/nothing", 404), ("/v1/images/generations", 405)] {
      let answer = try await server.send("HEAD", path, [:], Data())
      #expect(answer.status == status && answer.body.isEmpty, "\(path)")
    }
    #expect(try await server.post("/healthz", json: "{}").headers["allow"] == "HEAD, GET")
    // Rules of a proxy know a path by one name.
    for path in ["/metrics/", "//metrics", "/healthz/"] { try await server.get(path).expectError(404) }
    try await server.send("PATCH", "/healthz", [:], Data()).expectError(405)
  }
}
