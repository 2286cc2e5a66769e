import ArrayFiles
import Basics
import Checkpoints
import Foundation
import TestSupport
import Testing

/// Runs that are killed at random moments and resumed.
///
/// `DALLE_KILLS=300 swift test … --filter KillTests` does what a few kills in every run of the tests stand for.
@Suite struct KillTests {
  private static let kills = ProcessInfo.processInfo.environment["DALLE_KILLS"].flatMap(Int.init) ?? 6

  /// A stage, and what it begins with: stage 1 alone has something to replace, the others build on it.
  enum Stage: String, CaseIterable {
    case tokenizer, upsampler, prior, ranker

    var command: [String] {
      ["train-\(rawValue)", "data", "--preset", "tiny", "--batch-size", "4", "--steps", "40", "--save-every", "1"]
        + ["--seed", "3", "--threads", "2", "--precision", "float32"]
    }
    var state: String { self == .tokenizer ? "image-tokenizer" : rawValue }
    var weights: String { "checkpoints/local/\(state).safetensors" }
  }

  /// What the files of a checkpoint say together: the step that all of them are of, 0 where there is no run of this stage.
  private func step(of stage: Stage, in folder: TemporaryFolder) throws -> Int {
    let checkpoint = Checkpoint(folder.path("checkpoints/local"))
    let configuration = try checkpoint.readConfiguration()
    let training =
      switch stage {
      case .tokenizer: configuration.tokenizerTraining
      case .upsampler: configuration.upsamplerTraining
      case .prior: configuration.priorTraining
      case .ranker: configuration.rankerTraining
      }
    // The run is told from the one that was there before by its seed.
    guard let training, training.settings.seed == 3 else { return 0 }
    let state = try SafeTensors(contentsOf: checkpoint.trainingStateFile)
    #expect(state.metadata["stage"] == stage.state && state.metadata["step"] == "\(training.steps)")
    // Saved as bfloat16, the first eight bits of float32's significand.
    let saved = try SafeTensors(contentsOf: folder.path(stage.weights))
    for name in saved.names where state.names.contains("weights.\(name)") {
      let (weights, exact) = (try saved.tensor(name).scalars, try state.tensor("weights.\(name)").scalars)
      #expect(zip(weights, exact).allSatisfy { abs($0 - $1) <= abs($1) / 256 }, "\(name) is of another step")
    }
    return training.steps
  }

  @Test(arguments: Stage.allCases) func aKillLeavesOneSaveOrTheOther(_ stage: Stage) throws {
    let unbroken = try Trained.copy()
    try Program.run(stage.command, in: unbroken).expectSuccess()
    let weights = try unbroken.read(stage.weights)

    var random = Philox(seed: 1, stream: UInt64(stage.rawValue.utf8.count))
    var left = Self.kills
    while left > 0 {
      let folder = try Trained.copy()
      var (isResuming, last, kills) = (false, 0, 0)
      while true {
        let program = try Program.start(stage.command + (isResuming ? ["--resume"] : []), in: folder)
        if left > 0 && kills < 4 {
          // Saves follow each other within milliseconds, so most kills are amidst one.
          try? program.wait { program.errorsSoFar.contains("step ") }
          usleep(UInt32(random.index(below: 150_000)))
          program.send(SIGKILL)
        }
        let outcome = try program.outcome()
        if outcome.status == 0 { break }
        try #require(outcome.status == -SIGKILL, "\(outcome)")
        (left, kills) = (left - 1, kills + 1)
        let step = try step(of: stage, in: folder)
        #expect(step >= last, "a save was lost")
        (last, isResuming) = (step, step > 0)
      }
      #expect(try step(of: stage, in: folder) == 40)
      #expect(try folder.read(stage.weights) == weights, "the weights are not those of the unbroken run")
      let rest = try FileManager.default.contentsOfDirectory(atPath: folder.path("checkpoints/local").path)
      #expect(!rest.contains { $0.hasPrefix(".save-") || $0.hasSuffix(".partial") }, "\(rest)")
    }
  }

  @Test func aFolderHasOneWriter() throws {
    let folder = try Trained.copy()
    let long = try Program.start(
      ["train-prior", "data", "--preset", "tiny", "--batch-size", "4", "--steps", "100000", "--save-every", "1"],
      in: folder)
    try long.wait { long.errorsSoFar.contains("step ") }
    try Program.run(Stage.prior.command, in: folder).expectFailure(73, "another run is writing to")
    try Program.run(Stage.tokenizer.command, in: folder).expectFailure(73, "another run is writing to")
    // Who only draws is not kept out.
    try Program.run(["generate", "a red square", "--checkpoint", "local", "--output", "x.png"], in: folder)
      .expectSuccess()
    long.send(SIGTERM)
    _ = try long.outcome()
    try Program.run(Stage.prior.command, in: folder).expectSuccess()
  }
}
