import Foundation
import TestSupport
import Testing

/// The built server, with the bundled checkpoint, on a port of its own.
final class LocalServer {
  let url: URL
  /// What the browser's console may say: that the server refused something.
  let expectedComplaints: [String]
  private let port: UInt16
  private let arguments: [String]
  private var process: LocalProcess?

  /// - Parameters:
  ///   - options: further ones of its command line.
  ///   - expectedComplaints: parts of lines of the browser's console that are no fault.
  init(_ options: [String] = [], expectedComplaints: [String] = []) async throws {
    port = try LoopbackConnection.unusedPort()
    url = try #require(URL(string: "http://127.0.0.1:\(port)/"))
    arguments = ["--port", "\(port)", "--checkpoint", Self.checkpoint.path] + options
    self.expectedComplaints = expectedComplaints
    try await start()
  }

  /// Starts it, also once more after it was stopped.
  func start() async throws {
    let process = try LocalProcess(try Self.program(), arguments)
    self.process = process
    let port = port
    do {
      try await until("the server has loaded its model") {
        (try? await LoopbackConnection.answer(port: port, "GET", "/healthz", body: Data()))?.0 == 200
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
