import ArgumentParser
import Basics
import Checkpoints
import CommandSupport
import DrawingService
import Foundation
import ImageServer
import Logging

/// The server's only command.
@main
struct DalleServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dalle-server",
    abstract: "A web page that draws, and OpenAI's images interface over HTTP, from a model that is loaded once.",
    discussion: """
      Its address is printed when it takes connections. SIGTERM and Ctrl-C finish what was accepted and refuse the rest; SIGHUP \
      loads the models anew, which also happens by itself when their files have changed.
      """,
    version: programVersion)

  @OptionGroup var checkpoint: CheckpointOptions
  @Option(help: "The address to listen on; 0.0.0.0 is all of IPv4, :: all there are.") var host = "127.0.0.1"
  @Option(parsing: .unconditional, help: "The port to listen on; 0 takes one that is free.") var port = 8080
  @Option(
    parsing: .unconditional,
    help: "How many requests wait at most beside those that are being drawn; others are told to come again (429).")
  var queueLength = DrawingService.standardQueueLength
  @Option(parsing: .unconditional, help: "The most pictures of one request.") var largestCount = 16
  @Option(parsing: .unconditional, help: "How many checkpoints are in memory at most.") var checkpointLimit = 2
  @Option(
    help: "A file with keys, one a line, of which clients must send one; anybody may draw unless given.",
    completion: .file())
  var apiKeyFile: String?
  @Option(
    help: ArgumentHelp(
      "The origin whose web pages may use the interface (CORS), such as https://example.org, or * for all.",
      valueName: "origin"))
  var allowOrigin: String?
  @Flag(help: "Log each request for health and metrics, too.") var verbose = false
  @OptionGroup var threads: ThreadOptions

  mutating func run() async throws {
    func check(_ isValid: Bool, _ message: String) throws(PipelineError) {
      if !isValid { throw PipelineError(.usage, message) }
    }
    try check(!host.isEmpty, "--host names nothing")
    try check((0...65535).contains(port), "--port must be 0 to 65535, not \(port)")
    try check((1...10_000).contains(queueLength), "--queue-length must be 1 to 10000, not \(queueLength)")
    try check((1...64).contains(largestCount), "--largest-count must be 1 to 64, not \(largestCount)")
    try check((1...64).contains(checkpointLimit), "--checkpoint-limit must be 1 to 64, not \(checkpointLimit)")
    if let allowOrigin {
      try check(
        allowOrigin == "*" || allowOrigin.wholeMatch(of: /https?:\/\/[^\/\s,*]+/) != nil,
        "--allow-origin must be * or an origin such as https://example.org, without a path, not \"\(allowOrigin)\"")
    }
    var settings = ImageServer.Settings()
    (settings.host, settings.port, settings.allowedOrigin) = (host, port, allowOrigin)
    settings.requests.pictures = largestCount
    settings.software = "dalle-server \(programVersion)"
    settings.keys = try apiKeyFile.map { path throws(PipelineError) in
      try APIKeys(contentsOf: URL(fileURLWithPath: path))
    }
    let folder = try checkpoint.forReading(needing: \.isComplete).url
    let logger = makeLogger()
    let service = DrawingService(
      CheckpointCatalogue(standard: folder, others: CheckpointOptions.othersFolder(beside: folder)),
      threads: try threads.count(), queueLength: queueLength, checkpointLimit: checkpointLimit
    ) { report in
      switch report {
      case .loaded(let name): logger.info("the model \(name) is loaded")
      case .reloaded(let name): logger.info("the model \(name) is loaded anew")
      case .dropped(let name): logger.info("the model \(name) makes room")
      case .keptOld(let name, let error): logger.warning("the model \(name) stays as it is: \(error.message)")
      }
    }
    let address = host.contains(":") ? "[\(host)]" : host
    try await ImageServer(service, settings, logger: logger) { port in
      // What a script waits for. That nobody reads it is no reason to end.
      try? Console.result("http://\(address):\(port)/")
    }.runUntilSignal()
  }

  private func makeLogger() -> Logger {
    var logger = Logger(label: "dalle-server") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = verbose ? .debug : .info
    return logger
  }

  /// Runs the server, and turns a failure that a person can cause into one line and its exit code.
  static func main() async {
    ignoreFailingWrites()
    do {
      var command = try parseAsRoot()
      if var command = command as? Self { try await command.run() } else { try command.run() }
    } catch {
      end(with: error, hint: "dalle-server --help says what it takes")
    }
  }
}
