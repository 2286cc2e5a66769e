import ArgumentParser
import BaselineCommands
import Basics
import CommandSupport
import Foundation
import MPIExchange

/// The root command.
@main
struct DalleCLI: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dalle-cli",
    abstract: "Trains a text-to-image model on captioned pictures, and draws with it.",
    version: programVersion,
    subcommands: [
      TrainTokenizer.self, TrainPrior.self, TrainRanker.self, TrainUpsampler.self, Generate.self, Prepare.self,
      Compose.self,
      TrainVocabulary.self, Tokenize.self, Reconstruct.self, Encode.self, Import.self, Evaluate.self, Serve.self,
      Baselines.self,
      Inspect.self,
      Benchmark.self,
    ])

  /// Refuses a command that there is not, which would otherwise be told as an argument too many, or not at all behind `help`.
  /// - Throws: `PipelineError` of kind `.usage` with the name that is most like it.
  static func checkCommandNames(_ arguments: [String]) throws(PipelineError) {
    var command: any ParsableCommand.Type = Self.self
    for name in arguments.first == "help" ? arguments.dropFirst()[...] : arguments[...] {
      let known = command.configuration.subcommands
      if known.isEmpty || name.hasPrefix("-") || name == "help" { return }
      guard let next = known.first(where: { Self.name(of: $0) == name }) else {
        let names = known.map(Self.name)
        let others =
          command == Self.self ? "dalle-cli help lists them all" : "there are \(names.joined(separator: ", "))"
        throw PipelineError(
          .usage,
          "there is no command \"\(name)\""
            + (names.nearest(to: name).map { "; did you mean \($0)?" } ?? ": \(others)"))
      }
      command = next
    }
  }

  private static func name(of command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? FlagNames.kebab("\(command)")
  }

  /// Runs the command, and turns a failure that a person can cause into one line and its exit code.
  static func main() {
    ignoreFailingWrites()
    do {
      try checkCommandNames(Array(CommandLine.arguments.dropFirst()))
      var command = try parseAsRoot()
      try command.run()
    } catch {
      // What all processes that were started together get wrong the first one says; mpirun then ends the others.
      if Launcher.rank(ProcessInfo.processInfo.environment) > 0 { Thread.sleep(forTimeInterval: 3) }
      end(with: error, hint: "dalle-cli help SUBCOMMAND says what it takes")
    }
  }
}
