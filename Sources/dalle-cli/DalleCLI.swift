import ArgumentParser
import Foundation
import TensorCore

/// The root command.
@main
struct DalleCLI: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dalle-cli",
    abstract: "Trains a text-to-image model on captioned pictures, and draws with it.",
    version: "0.1.0",
    subcommands: [
      TrainTokenizer.self, TrainPrior.self, Generate.self, Prepare.self, TrainVocabulary.self, Tokenize.self,
      Reconstruct.self, Evaluate.self, Inspect.self, Benchmark.self,
    ])

  /// Runs the command, and turns a failure that a person can cause into one line and its exit code.
  static func main() async {
    // A reader that goes away (`dalle-cli … | head`) ends a write with an error instead of the process.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as PipelineError {
      Console.line("error: \(error.message)")
      Foundation.exit(error.kind.rawValue)
    } catch {
      exit(withError: error)
    }
  }
}
