import ArgumentParser
import Basics
import Foundation

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Starts dalle-server: a web page that draws, and OpenAI's images interface over HTTP.",
    discussion: "Takes the options of dalle-server, which lies beside this program; dalle-cli serve --help lists them.")

  @Argument(parsing: .captureForPassthrough, help: "Options of dalle-server.") var options: [String] = []

  mutating func run() throws {
    guard let program = Bundle.main.executableURL?.resolvingSymlinksInPath() else {
      throw PipelineError(.noInput, "cannot tell where this program lies, which dalle-server lies beside")
    }
    let server = program.deletingLastPathComponent().appendingPathComponent("dalle-server").path
    guard FileManager.default.isExecutableFile(atPath: server) else {
      throw PipelineError(
        .noInput,
        "there is no \(server); build it with: swift build -c release --product dalle-server")
    }
    var arguments = ([server] + options).map { strdup($0) } + [nil]
    // It takes the place of this process, so that signals reach it.
    execv(server, &arguments)
    throw PipelineError(.noInput, "cannot start \(server): \(String(cString: strerror(errno)))")
  }
}
