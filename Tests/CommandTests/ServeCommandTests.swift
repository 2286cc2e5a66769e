import Foundation
import TestSupport
import Testing

@testable import dalle_cli

/// `dalle-cli serve`, which becomes the program `dalle-server` beside it.
struct ServeCommandTests {
  private func started(_ arguments: String..., in folder: TemporaryFolder) throws -> (RunningProgram, address: String) {
    let program = try Program.start(["serve", "--port", "0", "--threads", "1"] + arguments, in: folder)
    try program.wait { program.outputSoFar.hasSuffix("/\n") && program.errorsSoFar.contains("ready to draw") }
    return (program, program.outputSoFar.trimmingCharacters(in: .newlines))
  }

  @Test(arguments: [SIGTERM, SIGINT]) func aSignalEndsIt(signal: Int32) throws {
    let folder = try Trained.folder.get()
    let (program, address) = try started(in: folder)
    #expect(address.wholeMatch(of: /http:\/\/127\.0\.0\.1:[1-9][0-9]*\//) != nil)
    program.send(signal)
    let outcome = try program.outcome()
    #expect(outcome.status == 0 && outcome.outputLines == [address], "\(outcome)")
    #expect(outcome.errorLines.first == "note: using the checkpoint checkpoints/local")
    #expect(outcome.errors.contains("finishing what was accepted"))
  }

  @Test func aHangupLoadsTheModelAnew() throws {
    let folder = try Trained.copy()
    let (program, _) = try started("--checkpoint", "local", in: folder)
    program.send(SIGHUP)
    try program.wait { program.errorsSoFar.contains("the model local is loaded anew") }
    try folder.write("nothing", to: "checkpoints/local/prior.safetensors")
    program.send(SIGHUP)
    try program.wait { program.errorsSoFar.contains("the model local stays as it is: ") }
    program.send(SIGTERM)
    #expect(try program.outcome().status == 0)
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    let folder = try Trained.folder.get()
    for (arguments, code, words) in [
      (["--port", "70000"], 64, "--port must be 0 to 65535, not 70000"), (["--port", "-1"], 64, "--port"),
      (["--queue-length", "0"], 64, "--queue-length"), (["--largest-count", "65"], 64, "--largest-count"),
      (["--checkpoint-limit", "0"], 64, "--checkpoint-limit"), (["--threads", "0"], 64, "--threads"),
      (["--allow-origin", "example.org/x"], 64, "--allow-origin"), (["--host", ""], 64, "--host"),
      (["--api-key-file", "nothing"], 66, "nothing"), (["--checkpoint", "nothing", "--port", "0"], 66, "nothing"),
      (["--host", "192.0.2.1"], 73, "cannot listen on 192.0.2.1"), (["--nonsense"], 64, "dalle-server --help"),
    ] as [([String], Int32, String)] {
      let outcome = try Program.run(["serve"] + arguments, in: folder)
      #expect(outcome.status == code, "\(arguments): \(outcome)")
      let last = outcome.errorLines.last ?? ""
      #expect(last.hasPrefix("error: ") && last.contains(words), "\(arguments): \(outcome)")
    }
    let help = try Program.run(["serve", "--help"], in: folder)
    #expect(help.status == 0 && help.output.contains("--queue-length"))
  }

  /// Where the server was not built, it says how that is done.
  @Test func withoutTheServerItSaysHowToBuildIt() throws {
    let folder = try TemporaryFolder()
    // Copied by a process of its own: one that is started meanwhile would have the copy open, which then cannot be run.
    let script = "cp \"$0\" \"$1\" && exec \"$1\" serve"
    let outcome = try RunningProgram(["/bin/sh", "-c", script, Program.url.path, folder.path("dalle-cli").path])
      .outcome()
    outcome.expectFailure(66, "swift build -c release --product dalle-server")
  }
}
