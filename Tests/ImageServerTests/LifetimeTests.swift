import Checkpoints
import DrawingService
import Foundation
import Logging
import PipelineTestSupport
import TestSupport
import Testing

@testable import ImageServer

struct LifetimeTests {
  /// Whole requests that wait or are being drawn are answered, others refused, and then it ends.
  @Test func whatWasAcceptedIsAnsweredAtTheEnd() async throws {
    let server = try await TestServer { $0.requests.pictures = 100_000 }
    let answers = (0..<4).map { seed in
      Task { try await server.generate(#"{"prompt": "a red square", "n": 200, "seed": \#(seed)}"#) }
    }
    try await eventually {
      let statistics = server.service.statistics
      return statistics.unfinished + statistics.finished == 4
    }
    await server.beginShutdown()
    try await eventually { !server.service.isReady }
    #expect(throws: DrawingRefusal.isEnding) { try server.service.draw(DrawingOrder("x")) }
    for answer in answers { #expect(try await answer.value.pictures().count == 200) }
    try await server.end()
    #expect(throws: (any Error).self) { try Connection(port: server.port) }
  }

  /// What is drawn is also sent, to whoever takes it late.
  @Test func whatIsNotSentYetIsSentAtTheEnd() async throws {
    let server = try await TestServer { $0.requests.pictures = 1000 }
    let connection = try Connection(port: server.port)
    try await connection.send(LargeAnswer.request(pictures: 600))
    try await eventually { server.service.statistics.finished == 1 }
    await server.beginShutdown()
    try await Task.sleep(for: .milliseconds(500))
    #expect(try Answer(try await connection.readToEnd()).pictures().count == 600)
    try await server.end()
  }

  @Test func requestsAtTheEndAreRefused() async throws {
    let server = try await TestServer()
    let ticket = try server.service.draw(DrawingOrder("x", count: 1_000_000))
    await server.beginShutdown()
    try await eventually { !server.service.isReady }
    #expect(try await server.get("/healthz").status == 503)
    let answer = try await server.generate(#"{"prompt": "x"}"#)
    try answer.expectError(503, words: "ending")
    #expect(answer.headers["retry-after"] != nil)
    ticket.cancel()
    try await server.end()
  }

  /// A port that is taken, and a checkpoint that is not there.
  @Test func aServerThatCannotStartSaysWhy() async throws {
    let server = try await TestServer()
    let taken = await #expect(throws: (any Error).self) { _ = try await TestServer { $0.port = server.port } }
    #expect("\(taken.map { "\($0)" } ?? "")".contains("cannot listen on 127.0.0.1, port \(server.port)"))
    let folder = try TemporaryFolder()
    let service = DrawingService(CheckpointCatalogue(standard: folder.path("nothing")), threads: 1)
    var settings = ImageServer.Settings()
    settings.port = 0
    let missing = ImageServer(service, settings, logger: .init(label: "x") { _ in SwiftLogNoOpLogHandler() })
    await #expect(throws: (any Error).self) { try await missing.run() }
  }

  @Test func aNewCheckpointIsTakenWithoutDroppingARequest() async throws {
    let folder = try Tiny.trained(steps: 1)
    let server = try await TestServer(checkpoint: folder.checkpoint.url)
    let answers = (0..<3).map { seed in
      Task {
        var statuses: [Int] = []
        while server.service.statistics.reloads < 1 {
          statuses.append(try await server.generate(#"{"prompt": "a red square", "seed": \#(seed), "n": 3}"#).status)
        }
        return statuses
      }
    }
    try await eventually { server.service.statistics.finished > 3 }
    await server.service.reload()
    for answer in answers { #expect(try await answer.value.allSatisfy { $0 == 200 }) }
    #expect(server.service.statistics.failed == 0)
    folder.remove()
  }
}
