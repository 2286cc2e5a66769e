import Foundation
import Generation
import Imaging
import TestSupport
import Testing

@testable import ImageServer

struct StreamTests {
  /// Asks until an unfinished picture is among the events: a server that stands still sends the finished one alone.
  static func answerThatShows(partial type: String, _ ask: () async throws -> Answer) async throws -> Answer {
    var answer = try await ask()
    let isShown = try await holdsEventually {
      if try answer.events().contains(where: { $0.type == type }) { return true }
      answer = try await ask()
      return false
    }
    #expect(isShown)
    return answer
  }

  @Test func picturesAppearWhileTheyAreDrawn() async throws {
    let server = try await Shared.server.value
    let answer = try await Self.answerThatShows(partial: "image_generation.partial_image") {
      try await server.generate(
        #"{"prompt": "a red square", "n": 2, "seed": 7, "stream": true, "partial_images": 3, "size": "32x32"}"#)
    }
    #expect(answer.status == 200 && answer.headers["content-type"] == "text/event-stream; charset=utf-8")
    #expect(answer.headers["cache-control"] == "no-store")
    let events = try answer.events()
    #expect(events.allSatisfy { $0.type == $0.object["type"] as? String })
    #expect(Set(events.map(\.type)) == ["image_generation.partial_image", "image_generation.completed"])
    let partial = events.filter { $0.type == "image_generation.partial_image" }.map(\.object)
    #expect(partial.allSatisfy { (0..<3).contains($0["partial_image_index"] as? Int ?? -1) })
    #expect(partial.allSatisfy { $0["size"] as? String == "32x32" && $0["output_format"] as? String == "png" })
    let completed = events.filter { $0.type == "image_generation.completed" }.map(\.object)
      .sorted { ($0["index"] as? Int ?? 0) < ($1["index"] as? Int ?? 0) }
    let expected = try Shared.model().generate("a red square", count: 2, options: .init(seed: 7))
    let pictures = try completed.map {
      try Picture(decoding: try #require(Data(base64Encoded: $0["b64_json"] as? String ?? "")), name: "x")
    }
    #expect(pictures == expected.map { $0.enlarged(by: 2) })
    #expect(completed.map { $0["index"] as? Int } == [0, 1] && completed.map { $0["number"] as? Int } == [0, 1])
    #expect(completed.allSatisfy { $0["seed"] as? Int == 7 && $0["model"] as? String == "checkpoint" })
    #expect(completed.allSatisfy { ($0["usage"] as? [String: Any])?["output_tokens"] as? Int == 32 })
  }

  @Test func eventsAreCalledAfterWhatWasAskedFor() async throws {
    let server = try await Shared.server.value
    let image = FormPart.file("image", try Picture(width: 9, height: 9, color: .black).pngData())
    for (path, name) in [("edits", "image_edit"), ("variations", "image_variation")] {
      let answer = try await Self.answerThatShows(partial: "\(name).partial_image") {
        try await server.post(
          "/v1/images/\(path)",
          form: [
            .field("prompt", "x"), image, .field("stream", "true"), .field("partial_images", "1"),
            .field("progress", "true"),
          ])
      }
      let events = try answer.events()
      let kinds = events.map(\.type).reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } }
      #expect(kinds == ["\(name).queued", "\(name).partial_image", "\(name).completed"])
      // Others may be drawn for at the same time.
      let positions = events.compactMap { $0.object["position"] as? Int }
      #expect(positions == positions.sorted(by: >) && positions.last == 0)
    }
  }

  @Test func whatIsWrongIsAnsweredBeforeTheStreamBegins() async throws {
    let server = try await Shared.server.value
    try await server.generate(#"{"prompt": "x", "stream": true, "n": 99}"#).expectError(400, "n")
  }

  /// With a stream, and waiting for the whole answer.
  @Test(arguments: ["true", "false"]) func whoHasGoneIsNoLongerDrawnFor(stream: String) async throws {
    let server = try await TestServer { $0.requests.pictures = 1_000_000 }
    let body = #"{"prompt": "x", "n": 1000000, "stream": \#(stream)}"#
    let connection = try Connection(port: server.port)
    try await connection.send(
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    )
    try await eventually { server.service.statistics.pictures > 0 }
    connection.leave()
    try await eventually { server.service.statistics.abandoned == 1 }
    #expect(server.service.statistics.unfinished == 0)
    let metrics = String(decoding: try await server.get("/metrics").body, as: UTF8.self)
    #expect(metrics.contains(#"dalle_drawings_total{result="abandoned"} 1"#))
  }
}
