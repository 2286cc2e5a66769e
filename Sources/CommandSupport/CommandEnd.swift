import ArgumentParser
import Basics
import Foundation

/// Of the command line and the server.
package let programVersion = "0.2.0"

extension ParsableCommand {
  /// A reader that goes away (`dalle-cli … | head`) and a limit on the size of files end a write with an error instead of the
  /// process.
  package static func ignoreFailingWrites() {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Ends the process after a failure that a person can cause: with one line and its exit code.
  /// - Parameter hint: what to do where the arguments cannot be understood.
  package static func end(with error: any Error, hint: String) -> Never {
    if let error = error as? PipelineError {
      Console.line("error: \(FlagNames.spelled(error.message))")
      Foundation.exit(error.exitCode)
    }
    if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
    // Help and the version are no failures.
    let code = exitCode(for: error)
    if code == .success { exit(withError: error) }
    var message = message(for: error)
    if message.hasSuffix(".") { message.removeLast() }
    Console.line("error: \(message)\(code == .validationFailure ? "; \(hint)" : "")")
    Foundation.exit(code.rawValue)
  }
}
