import Foundation
import Imaging
import TestSupport
import Testing

extension BrowserTests {
  /// A server with others' drawings before one's own, and one with several models, in a real browser.
  @Suite struct CompanyTests {
    private static let patient = "window.said.some((text) => text.endsWith('Trying again by itself'))"
    private static let waiting = #"window.said.some((text) => /^Waiting: number \d+ in the queue\.$/.test(text))"#

    private static func hasSaid(_ condition: String, _ browser: Browser) async throws -> Bool {
      try await browser.value(condition) as? Bool == true
    }

    /// One of the server's figures.
    private static func figure(_ name: String, of server: LocalServer) async throws -> Int {
      let samples = try await server.get("/metrics").body.split(separator: "\n").map {
        $0.split(separator: " ")
      }
      return try #require(samples.first { $0[0] == name }.flatMap { Int($0[1]) })
    }

    /// Others, each of whom wants as many pictures as one request may ask for, until there is no room for more of them.
    private static func crowd(at server: LocalServer, room: Int) async throws -> [Connection] {
      let body = #"{"prompt": "a castle", "n": 16, "candidates": 64}"#
      var crowd: [Connection] = []
      while try await figure("dalle_drawings_in_progress", of: server) < room, crowd.count < 4 * room {
        let connection = try server.connect()
        try await connection.send(
          "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        crowd.append(connection)
        // Their pictures are drawn in turn: all are begun soon, and none is finished for long.
        try await until("it is begun") { try await figure("dalle_queue_length", of: server) == 0 }
      }
      return crowd
    }

    /// First there is no room at all, then a place in the queue, then the drawing.
    @Test func whoComesLateIsToldAndDrawnForInTheEnd() async throws {
      let server = try await LocalServer(["--queue-length", "8"], expectedComplaints: ["429 (Too Many Requests)"])
      try await Browser.visit(server) { browser in
        try await browser.value(
          """
          (() => {
            window.said = [];
            const status = document.getElementById("status");
            new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
            // The server may ask for a minute of patience.
            const { setTimeout } = window;
            window.setTimeout = (action, milliseconds) => setTimeout(action, milliseconds / 20);
          })()
          """)
        try await browser.value("document.getElementById('count').value = 1")
        // On a busy machine the others may have what they want before the page asks.
        for drawings in 1...5 {
          // The eight of the queue, and 32 of which something is drawn.
          let crowd = try await Self.crowd(at: server, room: 40)
          try await browser.value("document.getElementById('caption').value = ''")
          try await browser.type("a red heart" + Browser.Key.enter, into: "#caption")
          let drawn = "\(Browser.completeDrawings) === \(drawings)"
          try await browser.wait(for: "\(drawn) || \(Self.patient)")
          for connection in crowd.prefix(12) { connection.leave() }
          // Whoever was taken and has stayed gets the next picture before a newcomer's first.
          try await browser.wait(for: drawn)
          for connection in crowd { connection.leave() }
          if try await Self.hasSaid("\(Self.patient) && \(Self.waiting)", browser) { break }
        }
        #expect(try await Self.hasSaid(Self.patient, browser))
        #expect(try await Self.hasSaid(Self.waiting, browser))
        #expect(try await browser.value("document.getElementById('problem').hidden") as? Bool == true)
      }
      try await server.stop()
    }

    @Test func oneOfSeveralModelsIsChosen() async throws {
      let folder = try TemporaryFolder()
      try FileManager.default.createDirectory(at: folder.path("checkpoints"), withIntermediateDirectories: true)
      for name in ["first", "second"] {
        try FileManager.default.createSymbolicLink(
          at: folder.path("checkpoints/\(name)"), withDestinationURL: LocalServer.bundledCheckpoint)
      }
      let server = try await LocalServer(checkpoint: folder.path("checkpoints/first"))
      try await Browser.visit(server) { browser in
        #expect(try await browser.value("document.getElementById('model-field').hidden") as? Bool == false)
        #expect(
          try await browser.value("[...document.getElementById('model').options].map(({ value }) => value)")
            as? [String] == ["first", "second"])
        try await browser.type("second", into: "#model")
        #expect(
          try await browser.text("document.getElementById('model-facts').textContent").hasPrefix("Model second: "))
        try await browser.type("a red heart" + Browser.Key.enter, into: "#caption")
        try await browser.wait(for: "\(Browser.completeDrawings) === 1")
        let file = try await browser.download(".drawing figure:first-child [data-part=download]")
        #expect(try Picture.pngText(of: file).contains { $0 == ("Checkpoint", "second") })
      }
      try await server.stop()
    }
  }
}
