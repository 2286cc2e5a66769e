import ArgumentParser
import Corpus
import DALLE
import Foundation
import Media
import TensorCore

extension Preset: ExpressibleByArgument {}
extension Split: ExpressibleByArgument {}
extension Picture.Fit: ExpressibleByArgument {}
extension ElementType: ExpressibleByArgument {
  public init?(argument: String) { self.init(rawValue: argument) }
  public static var allValueStrings: [String] { ["float32", "bfloat16"] }
}

/// How many threads a command uses.
struct ThreadOptions: ParsableArguments {
  @Option(help: "Threads to use; all cores unless given.")
  var threads: Int?

  func count() throws(PipelineError) -> Int {
    let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
    guard (1...1024).contains(count) else {
      throw PipelineError(.usage, "--threads must be 1 to 1024, not \(count)")
    }
    return count
  }
}

/// Which checkpoint a command works on.
struct CheckpointOptions: ParsableArguments {
  @Option(name: .customLong("checkpoint"), help: "A folder under checkpoints/, or a path.")
  var name: String?

  /// The checkpoint that training writes: checkpoints/local unless named.
  func forTraining() -> Checkpoint { Checkpoint(Self.url(of: name ?? "local")) }

  /// The checkpoint to draw with: the one named, else checkpoints/local where both stages are there, else the bundled
  /// one. What was taken without being named is said.
  func forReading() -> Checkpoint {
    if let name { return Checkpoint(Self.url(of: name)) }
    let local = Checkpoint(Self.url(of: "local"))
    if local.isComplete {
      Console.note("using \(local.url.relativePath)")
      return local
    }
    let bundled = Checkpoint(Self.url(of: "emoji"))
    Console.note("using the bundled checkpoint \(bundled.url.relativePath)")
    return bundled
  }

  private static func url(of name: String) -> URL {
    if name.contains("/") || name == "." || name == ".." { return URL(fileURLWithPath: name) }
    let here = URL(fileURLWithPath: "checkpoints").appendingPathComponent(name)
    let manager = FileManager.default
    // Run from elsewhere, the checkpoints beside the package are still found.
    if !manager.fileExists(atPath: here.path) {
      var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
      while folder.path != "/" {
        let candidate = folder.appendingPathComponent("checkpoints").appendingPathComponent(name)
        if manager.fileExists(atPath: candidate.path) { return candidate }
        folder.deleteLastPathComponent()
      }
    }
    return here
  }
}

/// Which pictures a command works on.
struct DataOptions: ParsableArguments {
  @Argument(
    help: """
      A folder of captioned pictures: pictures and metadata.jsonl, pictures with a .txt beside each, or WebDataset \
      .tar shards. Left out, it is data/emoji, which is prepared when missing.
      """)
  var data: String?

  @Option(help: "How pictures become square: pad (white) or crop (centre).")
  var fit: Picture.Fit?

  @Flag(help: "A bad picture or caption ends the command instead of being skipped.")
  var strict = false

  static let standardFolder = "data/emoji"

  func open(pictureSize: Int, fit standardFit: Picture.Fit = .pad) throws(PipelineError) -> PictureDataSet {
    let url = URL(fileURLWithPath: data ?? Self.standardFolder)
    if data == nil && !FileManager.default.fileExists(atPath: url.path) {
      Console.note("preparing \(Self.standardFolder), the default data set")
      _ = try EmojiDataSet.prepare(to: url, report: { Console.note($0) })
    }
    return try PictureDataSet(
      contentsOf: url, pictureSize: pictureSize, fit: fit ?? standardFit, strict: strict,
      report: { Console.note($0) })
  }
}

/// What both training commands take.
struct TrainingOptions: ParsableArguments {
  @Option(help: "Train this many steps.") var steps: Int?
  @Option(help: "Train this many passes over the pictures.") var epochs: Double?
  @Option(help: "Train this long.") var minutes: Double?
  @Option(help: "How large the model is.") var preset: Preset = .small
  @Option(help: "Pictures a step.") var batchSize: Int?
  @Option(help: "The learning rate at its peak.") var learningRate: Float?
  @Option(help: "Names all random numbers of the run.") var seed: UInt64 = 0
  @Option(help: "Steps between two saves; every ninety seconds unless given.") var saveEvery: Int?
  @Option(help: "Operands of matrix products; bfloat16 where the CPU is fast at it.") var precision: ElementType?
  @Option(help: "Largest shift of a picture in training, as a share of its side.") var maximumShift: Float?
  @Option(help: "Largest change of a picture's scale in training, as a share.") var maximumScaling: Float?
  @Flag(help: "Mirror pictures in training; not where left and right matter.") var horizontalFlip = false
  @Flag(help: "Go on where the last save was.") var resume = false
  @OptionGroup var checkpoint: CheckpointOptions
  @OptionGroup var threads: ThreadOptions
  @OptionGroup var data: DataOptions

  func settings() throws(PipelineError) -> TrainingSettings {
    var settings = TrainingSettings()
    let bounds = [steps.map(TrainingBound.steps), epochs.map(TrainingBound.epochs), minutes.map(TrainingBound.minutes)]
      .compactMap { $0 }
    guard bounds.count <= 1 else {
      throw PipelineError(.usage, "--steps, --epochs and --minutes exclude one another; give one of them")
    }
    settings.bound = bounds.first
    settings.preset = preset
    settings.batchSize = batchSize
    settings.learningRate = learningRate
    settings.seed = seed
    settings.saveEvery = saveEvery
    if maximumShift != nil || maximumScaling != nil || horizontalFlip {
      for (name, value) in [("--maximum-shift", maximumShift), ("--maximum-scaling", maximumScaling)] {
        if let value, !(0..<1).contains(value) {
          throw PipelineError(.usage, "\(name) must be 0 up to 1, not \(value)")
        }
      }
      settings.augmentation = Augmentation(
        maximumShift: maximumShift ?? 0, maximumScaling: maximumScaling ?? 0, horizontalFlip: horizontalFlip)
    }
    return settings
  }

  /// The precision to train in, said on stderr where it was not asked for.
  func chosenPrecision() -> ElementType {
    if let precision { return precision }
    Console.note("precision \(Engine.preferredPrecision.rawValue), by \(Engine.name)")
    return Engine.preferredPrecision
  }

  /// Prints a run's events.
  func observer() -> TrainingObserver {
    StopSignal.install()
    return TrainingObserver(
      report: { event in
        switch event {
        case .step(let p):
          LiveLine.show(
            String(
              format: "step %d  %3.0f%%  loss %.4f  %.0f pictures/s  %@ left", p.step, 100 * p.fraction, p.loss,
              p.picturesPerSecond, described(seconds: p.secondsLeft)))
        case .note(let text): Console.note(text)
        case .validation(let text): Console.line("      " + text)
        case .saved: break
        }
      }, shouldStop: { StopSignal.wasReceived })
  }
}
