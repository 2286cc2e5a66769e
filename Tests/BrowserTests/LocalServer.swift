import Foundation
import TestSupport
import Testing

/// The built server, with the bundled checkpoint unless another one is named, on a port of its own.
final class LocalServer {
  /// What the browser's console may say: that the server refused something.
  let expectedComplaints: [String]
  private let options: [String]
  private let checkpoint: URL
  private var port = "0"
  private var process: LocalProcess?

  /// - Parameters:
  ///   - options: further ones of its command line.
  ///   - checkpoint: its folder.
  ///   - expectedComplaints: parts of lines of the browser's console that are no fault.
  init(
    _ options: [String] = [], checkpoint: URL = bundledCheckpoint, expectedComplaints: [String] = []
  ) async throws {
    (self.options, self.checkpoint) = (options, checkpoint)
    self.expectedComplaints = expectedComplaints
    try await start()
  }

  /// Where the page is.
  var address: String { "http://127.0.0.1:\(port)/" }

  /// A connection to it, over which anything can be sent.
  func connect() throws -> Connection { try Connection(port: try #require(Int(port))) }

  /// What it answers to one request.
  func get(_ path: String) async throws -> (status: Int, body: String) {
    let (status, body) = try await Connection.answer(port: try #require(UInt16(port)), "GET", path, body: Data())
    return (status, String(decoding: body, as: UTF8.self))
  }

  /// Starts it; once more after it was stopped, on the same port.
  func start() async throws {
    let process = try LocalProcess(
      try Self.program(), ["--port", port, "--checkpoint", checkpoint.path] + options)
    self.process = process
    do {
      try await until("the server takes connections") {
        !process.isRunning || process.output.contains(/http:\/\/127\.0\.0\.1:\d+\/\n/)
      }
      port = String(try #require(process.output.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)\/\n/)).1)
      try await until("the server has loaded its model") { try await get("/healthz").status == 200 }
    } catch { throw Timeout(description: "\(error); it says: \(process.output)") }
  }

  /// Ends it as a service manager does.
  func stop() async throws {
    let process = try #require(process)
    #expect(try await process.terminate() == 0, "\(process.output)")
  }

  static let bundledCheckpoint = Fixtures.url("../../checkpoints/emoji").standardizedFileURL

  /// Beside the test bundle, where the build puts both.
  private static func program() throws -> URL {
    let runner = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    var folder = runner.resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/" {
      let candidate = folder.appending(path: "dalle-server")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
      folder.deleteLastPathComponent()
    }
    throw Timeout(description: "dalle-server is not beside \(runner.path)")
  }
}
