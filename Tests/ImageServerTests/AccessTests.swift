import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import ImageServer

struct AccessTests {
  @Test func aKeyIsWantedWhereThereIsOne() async throws {
    let reports = Reports()
    let logger = Logger(label: "tests") { _ in ReportingLogHandler(reports: reports) }
    let server = try await TestServer(logger: logger) { $0.keys = APIKeys(["sk-first", "sk-second"]) }
    for header in [
      [:], ["Authorization": "Bearer sk-wrong"], ["Authorization": "sk-first"], ["Authorization": "Basic sk-first"],
      ["Authorization": "Bearer "], ["Authorization": "Bearer sk-first2"], ["Authorization": "Bearer sk-firs"],
    ] as [[String: String]] {
      let answer = try await server.post("/v1/images/generations", json: #"{"prompt": "x"}"#, header)
      try answer.expectError(401, code: "invalid_api_key")
      #expect(answer.headers["www-authenticate"] == "Bearer")
      try await server.get("/v1/models", header).expectError(401)
      try await server.get("/metrics", header).expectError(401)
      // What is not there is no secret's place either.
      try await server.get("/v1/nothing", header).expectError(401)
    }
    for key in ["Bearer sk-first", "bearer sk-second"] {
      #expect(try await server.get("/v1/models", ["Authorization": key]).status == 200)
    }
    for path in ["/", "/healthz", "/openapi.json"] { #expect(try await server.get(path).status == 200) }
    #expect(!reports.lines.isEmpty && !reports.lines.contains { $0.contains("sk-") })
  }

  @Test func keysAreReadFromAFile() throws {
    let folder = try TemporaryFolder()
    try folder.write("# of the team\n\n sk-a \r\nsk-b\n", to: "keys")
    let keys = try APIKeys(contentsOf: folder.path("keys"))
    #expect(keys.accept("Bearer sk-a") && keys.accept("Bearer sk-b") && !keys.accept("Bearer # of the team"))
    for (content, words) in [
      ("", "no key"), ("# nothing\n", "no key"), ("a b\n", "without spaces"), ("schlüssel\n", "ASCII"),
    ] {
      try folder.write(content, to: "keys")
      let error = #expect(throws: (any Error).self) { try APIKeys(contentsOf: folder.path("keys")) }
      #expect("\(error.map { "\($0)" } ?? "")".contains(words))
    }
    #expect(throws: (any Error).self) { try APIKeys(contentsOf: folder.path("nothing")) }
    for (key, given) in [("abc", "abc"), ("abc", "abd"), ("abc", "ab"), ("abc", "abcabc"), ("abc", ""), ("a", "aa")] {
      #expect(APIKeys.isSame(Array(key.utf8), Array(given.utf8)) == (key == given))
    }
  }

  @Test func otherOriginsMayUseItWhereTheyAreAllowed() async throws {
    let preflight = ["Origin": "https://example.org", "Access-Control-Request-Method": "POST"]
    let closed = try await TestServer()
    try await closed.send("OPTIONS", "/v1/images/generations", preflight, Data()).expectError(403)
    #expect(try await closed.get("/v1/models", preflight).headers["access-control-allow-origin"] == nil)
    try await closed.send("OPTIONS", "/v1/images/generations", [:], Data()).expectError(405)
    let open = try await TestServer { ($0.allowedOrigin, $0.keys) = ("https://example.org", APIKeys(["sk-a"])) }
    let asked = try await open.send("OPTIONS", "/v1/images/generations", preflight, Data())
    #expect(asked.status == 204 && asked.headers["access-control-allow-origin"] == "https://example.org")
    #expect(asked.headers["access-control-allow-headers"]?.contains("authorization") == true)
    // OpenAI's own library sends more.
    let headers = "authorization,content-type,x-stainless-os"
    let library = try await open.send(
      "OPTIONS", "/v1/images/generations", preflight.merging(["Access-Control-Request-Headers": headers]) { $1 }, Data()
    )
    #expect(library.headers["access-control-allow-headers"] == headers)
    // Browsers send origins in small letters, and compare each sign.
    let large = try await TestServer { $0.allowedOrigin = "https://Example.ORG" }
    #expect(
      try await large.get("/v1/models", preflight).headers["access-control-allow-origin"] == "https://example.org")
    // Also errors can be read by the page.
    let refused = try await open.get("/v1/models", preflight)
    #expect(refused.status == 401 && refused.headers["access-control-allow-origin"] == "https://example.org")
    #expect(refused.headers["vary"] == "Origin")
  }

  /// A browser sends another server's form without asking, and draws for it, if it is let.
  @Test func pagesOfOtherServersDoNotDraw() async throws {
    let server = try await TestServer()
    func draw(_ server: TestServer, _ origin: String) async throws -> Answer {
      try await server.post("/v1/images/generations", json: #"{"prompt": "x"}"#, ["Origin": origin])
    }
    // The tests' requests are to "localhost".
    for origin in [
      "https://example.org", "http://localhost:3000", "http://localhost.example.org", "null", "", "http://",
      "localhost",
    ] {
      try await draw(server, origin).expectError(403, code: "other_origin")
    }
    #expect(server.service.statistics.pictures == 0)
    for origin in ["http://localhost", "https://localhost", "HTTP://LocalHost"] {
      #expect(try await draw(server, origin).status == 200)
    }
    // Its own page draws also where another one may, and where all may.
    let open = try await TestServer { $0.allowedOrigin = "https://example.org" }
    for (origin, status) in [
      ("https://example.org", 200), ("http://localhost", 200), ("https://example.com", 403), ("null", 403),
    ] {
      #expect(try await draw(open, origin).status == status)
    }
    let all = try await TestServer { $0.allowedOrigin = "*" }
    #expect(try await draw(all, "https://example.com").status == 200)
  }

  /// The name of a page that a browser takes for the server's own.
  @Test func otherNamesAreRefusedOnThisMachine() async throws {
    let server = try await Shared.server.value
    for host in ["example.org", "example.org:8080", "localhost.example.org", "127.0.0.1.example.org", "1.2.3.4.nip.io"]
    {
      try await server.get("/v1/models", ["Host": host]).expectError(403, code: "other_host")
    }
    for host in [
      "localhost", "LocalHost:8080", "dalle.localhost:80", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.0.0.2",
    ] {
      #expect(try await server.get("/v1/models", ["Host": host]).status == 200)
    }
    // Where a proxy stands before it, or all the world, the name is anybody's.
    let others: [(inout ImageServer.Settings) -> Void] = [
      { $0.keys = APIKeys(["sk-a"]) }, { $0.allowedOrigin = "https://example.org" }, { $0.host = "0.0.0.0" },
    ]
    for change in others {
      let open = try await TestServer(change)
      let key = ["Host": "draw.example.org", "Authorization": "Bearer sk-a"]
      #expect(try await open.get("/v1/models", key).status == 200)
    }
  }

  @Test func thePageLoadsNothingFromElsewhere() async throws {
    let server = try await Shared.server.value
    let page = try await server.get("/")
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
    let policy = try #require(page.headers["content-security-policy"])
    #expect(policy.hasPrefix("default-src 'none'; ") && policy.hasSuffix("frame-ancestors 'none'"))
    #expect(page.headers["x-content-type-options"] == "nosniff" && page.headers["referrer-policy"] == "no-referrer")
    let tag = try #require(page.headers["etag"])
    for known in [tag, "\"x\", \(tag)"] {
      let again = try await server.get("/", ["If-None-Match": known])
      #expect(again.status == 304 && again.body.isEmpty)
    }
    #expect(try await server.get("/", ["If-None-Match": "\"x\""]).status == 200)
  }
}

/// Keeps the lines of a log.
struct ReportingLogHandler: LogHandler {
  let reports: Reports
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  init(reports: Reports) { self.reports = reports }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    reports.append("\(event.level) \(event.message) \(metadata) \(event.metadata ?? [:])")
  }
}
