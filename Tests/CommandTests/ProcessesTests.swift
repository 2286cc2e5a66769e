import ArrayFiles
import Basics
import Checkpoints
import Foundation
import TestSupport
import Testing

/// Several processes that mpirun has started together.
@Suite struct ProcessesTests {
  #if MPI
    /// How processes are laid out on hosts, of which this machine plays several: each then exchanges as over a network.
    private struct Layout: CustomTestStringConvertible {
      var processes, threads: Int
      var perHost: Int?

      var launcher: [String] {
        ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "\(processes)"]
          + (perHost.map { ["-x", "DALLE_RANKS_PER_HOST=\($0)"] } ?? [])
      }
      var testDescription: String { "\(processes)×\(threads), \(perHost.map { "\($0) a host" } ?? "one host")" }
    }

    private static let command = [
      "data", "--preset", "tiny", "--batch-size", "8", "--steps", "6", "--precision", "bfloat16",
    ]

    /// The tensors of a training state, but not when it was saved.
    private static func weights(_ folder: TemporaryFolder) throws -> [String: [Float]] {
      let file = try SafeTensors(contentsOf: Checkpoint(folder.path("checkpoints/local")).trainingStateFile)
      return try Dictionary(uniqueKeysWithValues: file.names.map { ($0, try file.tensor($0).scalars) })
    }

    @Test(arguments: [
      ("train-tokenizer", ["--adversarial", "0.5"]), ("train-prior", ["--dropout", "0.1", "--average-decay", "0.9"]),
      ("train-ranker", []),
    ]) func severalLearnWhatOneDoes(command: String, flags: [String]) throws {
      let layouts = [
        Layout(processes: 2, threads: 2), Layout(processes: 2, threads: 2, perHost: 1),
        Layout(processes: 4, threads: 1, perHost: 3), Layout(processes: 4, threads: 1, perHost: 2),
      ]
      let alone = try Trained.copy()
      try Program.run([command] + Self.command + flags + ["--threads", "4"], in: alone).expectSuccess()
      let expected = try Self.weights(alone)
      for layout in layouts {
        let folder = try Trained.copy()
        let outcome = try Program.run(
          [command] + Self.command + flags + ["--threads", "\(layout.threads)"], in: folder, launcher: layout.launcher)
        outcome.expectSuccess()
        #expect(outcome.outputLines.count == 1, "one process reports: \(outcome)")
        #expect(try Self.weights(folder) == expected, "\(layout.testDescription)")
      }
    }

    @Test func severalEncodeWhatOneDoes() throws {
      let folder = try Trained.copy()
      let layout = Layout(processes: 2, threads: 1)
      try Program.run(["encode", "data", "--output", "alone"], in: folder).expectSuccess()
      let outcome = try Program.run(["encode", "data", "--output", "together"], in: folder, launcher: layout.launcher)
      outcome.expectSuccess()
      #expect(outcome.outputLines == ["together"], "one process reports: \(outcome)")
      for file in ["tokens-00000.safetensors", "metadata.jsonl"] {
        #expect(
          try Data(contentsOf: folder.path("together/\(file)")) == Data(contentsOf: folder.path("alone/\(file)")))
      }
      // What stands in the way is said once.
      let refused = try Program.run(["encode", "data", "--output", "alone"], in: folder, launcher: layout.launcher)
      #expect(refused.status > 0 && refused.errorLines.count { $0.hasPrefix("error: ") } == 1, "\(refused)")
    }

    @Test func aRunGoesOnWithAnotherNumberOfProcesses() throws {
      let (alone, folder) = (try Trained.copy(), try Trained.copy())
      let command = ["train-prior"] + Self.command
      // The rate falls to the end of the run, so that both must have gone on from the same one.
      let short = command.map { $0 == "6" ? "3" : $0 }
      try Program.run(short + ["--threads", "2"], in: alone).expectSuccess()
      let layout = Layout(processes: 2, threads: 1, perHost: 1)
      try Program.run(short + ["--threads", "1"], in: folder, launcher: layout.launcher).expectSuccess()
      for folder in [alone, folder] {
        try Program.run(command + ["--threads", "2", "--resume"], in: folder).expectSuccess()
      }
      #expect(try Self.weights(folder) == Self.weights(alone))
    }

    /// What is lost in rounding comes later, and hosts that go on their own learn, too, and end with the same weights.
    @Test(arguments: [["--exchange", "bfloat16"], ["--local-steps", "4"]])
    func slowNetworksAreSpared(_ flags: [String]) throws {
      let command = [
        "train-tokenizer", "data", "--preset", "tiny", "--batch-size", "8", "--steps", "60", "--seed", "2",
      ]
      let layout = Layout(processes: 2, threads: 1, perHost: 1)
      func losses(_ flags: [String], _ launcher: [String]) throws -> (first: Double, last: Double) {
        let folder = try Trained.copy()
        try Program.run(command + flags + ["--threads", "1"], in: folder, launcher: launcher).expectSuccess()
        let lines = try folder.read("checkpoints/local/log/metrics.jsonl").split(separator: 10)
        let losses = try lines.compactMap { line -> Double? in
          let row = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
          return row?["stage"] as? String == "image-tokenizer" ? row?["loss"] as? Double : nil
        }
        return (losses[0], losses.suffix(10).reduce(0, +) / 10)
      }
      let (exact, spared) = (try losses([], []), try losses(flags, layout.launcher))
      #expect(spared.last != exact.last)
      #expect(spared.last < 0.5 * spared.first, "\(spared) instead of \(exact)")
      if flags.contains("bfloat16") { #expect(abs(spared.last - exact.last) < 0.1 * exact.last) }
    }

    /// The momentum of what hosts do together goes on where it was.
    @Test func aRunInLocalStepsGoesOnWithItsMomentum() throws {
      let folder = try Trained.copy()
      let command = ["train-prior"] + Self.command + ["--threads", "1", "--local-steps", "2"]
      let layout = Layout(processes: 2, threads: 1, perHost: 1)
      try Program.run(command, in: folder, launcher: layout.launcher).expectSuccess()
      let url = Checkpoint(folder.path("checkpoints/local")).trainingStateFile
      let saved = try Data(contentsOf: url)
      let file = try SafeTensors(contentsOf: url)
      let momenta = file.names.filter { $0.hasPrefix("outer_momentum.") }
      #expect(try momenta.contains { try file.tensor($0).scalars.contains { $0 != 0 } })
      func goOn() throws -> [String: [Float]] {
        let more = command.map { $0 == "6" ? "8" : $0 } + ["--resume"]
        try Program.run(more, in: folder, launcher: layout.launcher).expectSuccess()
        return try Self.weights(folder)
      }
      let first = try goOn()
      try saved.write(to: url)
      #expect(try goOn() == first)
      let kept = try file.names.filter { !momenta.contains($0) }.map { ($0, try file.tensor($0)) }
      try SafeTensors.write(kept, metadata: file.metadata, to: url)
      #expect(try goOn() != first)
    }

    /// A process that stands still is told by its silence, which takes 20 seconds to be believed.
    @Test(arguments: [(SIGKILL, nil), (SIGKILL, 1), (SIGSTOP, nil)] as [(Int32, Int?)])
    func ifOneIsNoMoreAllEndAndOneSaysWhy(signal: Int32, perHost: Int?) throws {
      let folder = try Trained.copy()
      let long = [
        "train-prior", "data", "--preset", "tiny", "--batch-size", "4", "--threads", "1", "--save-every", "1",
      ]
      let layout = Layout(processes: 2, threads: 1, perHost: perHost)
      let program = try Program.start(long + ["--steps", "100000"], in: folder, launcher: layout.launcher)
      try program.wait { program.errorsSoFar.contains("step ") }
      kill(try #require(Self.rank(1, in: folder)), signal)
      let outcome = try program.outcome(within: .seconds(30))
      #expect(outcome.status > 0, "\(outcome)")
      let errors = outcome.errorLines.filter { $0.hasPrefix("error: ") }
      #expect(errors.count == 1 && errors[0].contains("rank 1 (process"), "\(outcome)")
      #expect(Self.rank(0, in: folder) == nil && Self.rank(1, in: folder) == nil, "a process is left")
      let step = try #require(
        try Checkpoint(folder.path("checkpoints/local")).readConfiguration().priorTraining?.steps)
      try Program.run(long + ["--steps", "\(step + 2)", "--resume"], in: folder).expectSuccess()
    }

    /// The process that is the rank of a run in a folder.
    private static func rank(_ rank: Int, in folder: TemporaryFolder) -> pid_t? {
      let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
      return processes.first { process in
        let variables = FileManager.default.contents(atPath: "/proc/\(process)/environ")?.split(separator: 0) ?? []
        let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
        return place == folder.url.resolvingSymlinksInPath().path
          && variables.contains { $0.elementsEqual("DALLE_GUARDED=1".utf8) }
          && variables.contains { $0.elementsEqual("OMPI_COMM_WORLD_RANK=\(rank)".utf8) }
      }
    }

    @Test func processesThatDifferAreRefused() throws {
      let folder = try Trained.copy()
      try folder.writeSquares("other")
      try folder.write("a large red square\n", to: "other/red8.txt")
      let launcher = Layout(processes: 1, threads: 1).launcher
      let command = ["train-prior"] + Self.command + ["--threads", "1"]
      let before = try folder.read("checkpoints/local/prior.safetensors")
      for (other, words) in [
        (command + ["--seed", "9"], "\"seed\":9 instead of \"seed\":0"),
        (command.map { $0 == "data" ? "other" : $0 }, "the data set's fingerprint"),
        (command + ["--local-steps", "2"], "the exchange"),
      ] {
        let outcome = try Program.run(
          command + [":"] + launcher.dropFirst() + [Program.url.path] + other, in: folder, launcher: launcher)
        let errors = outcome.errorLines.filter { $0.hasPrefix("error: ") }
        #expect(outcome.status > 0 && errors.count == 1 && errors.first?.contains(words) == true, "\(outcome)")
        #expect(try folder.read("checkpoints/local/prior.safetensors") == before)
      }
    }

    @Test func whatAllGetWrongIsSaidOnce() throws {
      let folder = try Trained.copy()
      let launcher = Layout(processes: 3, threads: 1, perHost: 1).launcher
      for (flags, words) in [
        (["--batch-size", "2"], "too small for 3 processes"), (["--batch-size", "0"], "--batch-size must be"),
        (["--local-steps", "0"], "--local-steps must be 1 or more"),
      ] {
        let outcome = try Program.run(
          ["train-prior", "data", "--preset", "tiny", "--threads", "1"] + flags, in: folder, launcher: launcher)
        let errors = outcome.errorLines.filter { $0.hasPrefix("error: ") }
        #expect(outcome.status > 0 && errors.count == 1 && errors.first?.contains(words) == true, "\(outcome)")
      }
    }
  #else
    @Test func aProgramWithoutMPIDoesNotTrainSeveralTimesIntoOneFolder() throws {
      let folder = try Trained.copy()
      let before = try folder.read("checkpoints/local/prior.safetensors")
      for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        try Program.run(
          ["train-prior", "data", "--preset", "tiny", "--steps", "1"], in: folder, prologue: "export \(variable)=2"
        ).expectFailure(64, "2 processes were started together", "built without MPI")
      }
      #expect(try folder.read("checkpoints/local/prior.safetensors") == before)
      try Program.run(
        ["train-prior", "data", "--preset", "tiny", "--steps", "1"], in: folder,
        prologue: "export OMPI_COMM_WORLD_SIZE=1"
      ).expectSuccess()
    }
  #endif
}
