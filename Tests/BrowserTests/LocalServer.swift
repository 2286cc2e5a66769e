import Foundation
import TestSupport
import Testing

/// The built server, with the bundled checkpoint, on a port of its own.
final class LocalServer {
  /// What the browser's console may say: that the server refused something.
  let expectedComplaints: [String]
  private let options: [String]
  private var port = "0"
  private var process: LocalProcess?

  /// - Parameters:
  ///   - options: further ones of its command line.
  ///   - expectedComplaints: parts of lines of the browser's console that are no fault.
  init(_ options: [String] = [], expectedComplaints: [String] = []) async throws {
    self.options = options
    self.expectedComplaints = expectedComplaints
    try await start()
  }

  /// Where the page is.
  var address: String { "http://127.0.0.1:\(port)/" }

  /// Starts it; once more after it was stopped, on the same port.
  func start() async throws {
    let process = try LocalProcess(
      try Self.program(), ["--port", port, "--checkpoint", Self.checkpoint.path] + options)
    self.process = process
    do {
      try await until("the server takes connections") {
        !process.isRunning || process.output.contains(/http:\/\/127\.0\.0\.1:\d+\/\n/)
      }
      port = String(try #require(process.output.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)\/\n/)).1)
      let number = try #require(UInt16(port))
      try await until("the server has loaded its model") {
        try await Connection.answer(port: number, "GET", "/healthz", body: Data()).0 == 200
      }
    } catch { throw Timeout(description: "\(error); it says: \(process.output)") }
  }

  /// Ends it as a service manager does.
  func stop() async throws {
    let process = try #require(process)
    #expect(try await process.terminate() == 0, "\(process.output)")
  }

  private static let checkpoint = Fixtures.url("../../checkpoints/emoji").standardizedFileURL

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
