import Checkpoints
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import Priors
import Rankers
import Synchronization
import TensorCore
import TestSupport
import Testing
import TextTokenizer
import Training

extension TemporaryFolder {
  var checkpoint: Checkpoint { Checkpoint(url.appendingPathComponent("checkpoint")) }
  var data: URL { url.appendingPathComponent("data") }

  /// Squares and bars of a few colors at 16×16; `splits` are given in turn.
  func writeData(count: Int = 12, splits: [Split] = [.train, .train, .train, .validation]) throws {
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    let colors: [(String, Picture.Color)] = [
      ("red", .init(red: 230, green: 30, blue: 30)), ("green", .init(red: 30, green: 190, blue: 60)),
      ("blue", .init(red: 20, green: 40, blue: 220)),
    ]
    var metadata = ""
    for i in 0..<count {
      let (name, color) = colors[i % colors.count]
      let shape = i % 2 == 0 ? "square" : "bar"
      var picture = Picture(width: 16, height: 16, color: .white)
      picture.paste(Picture(width: i % 2 == 0 ? 6 : 2, height: 6 + i % 5, color: color), x: i % 7, y: i % 4)
      try picture.write(to: data.appendingPathComponent("\(100 + i).png"))
      let split = splits[i % splits.count].rawValue
      metadata += "{\"file_name\": \"\(100 + i).png\", \"text\": [\"a \(name) \(shape)\", \"number \(i)\"], "
      metadata += "\"split\": \"\(split)\"}\n"
    }
    try Data(metadata.utf8).write(to: data.appendingPathComponent("metadata.jsonl"))
  }

  func dataSet(pictureSize: Int = 16) throws -> PictureDataSet {
    try PictureDataSet(contentsOf: data, pictureSize: pictureSize)
  }

  func contents(_ file: URL) throws -> Data { try Data(contentsOf: file) }
}

/// Models that train in no time.
enum Tiny {
  static let imageTokenizer: any TrainableImageTokenizerConfiguration = {
    var c = VQVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (16, 4, 16, 1, 32, 8)
    return c
  }()

  /// With several codes a place, and convolutions at a finer grid.
  static func residual(depth: Int) -> any TrainableImageTokenizerConfiguration {
    guard depth > 1, var c = imageTokenizer as? VQVAE.Configuration else { return imageTokenizer }
    (c.convolutionPatchSize, c.depth) = (2, depth)
    return c
  }

  static let prior: any TrainablePriorConfiguration = {
    var c = TransformerPrior.Configuration()
    (c.width, c.layers, c.heads, c.dropout) = (32, 2, 2, 0.1)
    return c
  }()

  static let discreteVAE: any TrainableImageTokenizerConfiguration = {
    var c = DiscreteVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (16, 4, 16, 1, 32, 8)
    return c
  }()

  static func hierarchy(levels: Int) -> any TrainableImageTokenizerConfiguration {
    var c = VQVAE2.Configuration()
    (c.pictureSize, c.patchSize, c.levels, c.channels, c.blocks, c.codes, c.codeDimensions) = (
      16, 2, levels, 16, 1, 32, 8
    )
    return c
  }

  static let pixelCNN: any TrainablePriorConfiguration = {
    var c = PixelCNN.Configuration()
    (c.channels, c.layers, c.reach, c.dropout) = (16, 2, 2, 0.1)
    return c
  }()

  static let ranker: Ranker.Configuration = {
    var c = Ranker.Configuration()
    (c.width, c.layers, c.heads, c.channels, c.blocks, c.embeddingWidth) = (32, 1, 2, 32, 1, 16)
    return c
  }()

  static func settings(steps: Int, batchSize: Int = 4, seed: UInt64 = 1) -> TrainingSettings {
    var settings = TrainingSettings()
    (settings.bound, settings.batchSize, settings.seed) = (.steps(steps), batchSize, seed)
    settings.vocabularySize = 280
    settings.captionForms = []
    return settings
  }

  private static func resources(
    _ folder: TemporaryFolder, _ threads: Int, _ precision: ElementType, _ observer: TrainingObserver
  ) throws -> TrainingResources {
    TrainingResources(
      checkpoint: folder.checkpoint, dataSet: try folder.dataSet(), threads: threads, precision: precision,
      observer: observer)
  }

  static func trainTokenizer(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init(),
    architecture: any TrainableImageTokenizerConfiguration = imageTokenizer
  ) throws {
    try TokenizerTrainer(resources(folder, threads, precision, observer), architecture: architecture).train(
      settings: settings, resume: resume)
  }

  static func trainPrior(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init(),
    architecture: any TrainablePriorConfiguration = prior, vocabulary: BytePairEncoding? = nil
  ) throws {
    try PriorTrainer(
      resources(folder, threads, precision, observer), architecture: architecture, vocabulary: vocabulary
    ).train(settings: settings, resume: resume)
  }

  static func trainRanker(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init()
  ) throws {
    try RankerTrainer(resources(folder, threads, precision, observer), architecture: ranker).train(
      settings: settings, resume: resume)
  }

  /// Trains a stage of the standard kinds.
  typealias Stage = (TemporaryFolder, TrainingSettings, Bool, Int, ElementType, TrainingObserver) throws -> Void

  static var stages: [Stage] {
    [
      { try trainTokenizer($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
      { try trainPrior($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
      { try trainRanker($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
    ]
  }

  /// A folder with data and both stages.
  static func trained(
    steps: Int = 4, imageTokenizer: any TrainableImageTokenizerConfiguration = imageTokenizer,
    prior: any TrainablePriorConfiguration = prior
  ) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try trainTokenizer(folder, settings(steps: steps), architecture: imageTokenizer)
    try trainPrior(folder, settings(steps: steps), architecture: prior)
    return folder
  }
}

/// Collects a run's events, and ends it after a step.
final class Recorder: Sendable {
  private let events = Mutex<[TrainingEvent]>([])
  private let stop: Int?

  init(stopAfter stop: Int? = nil) { self.stop = stop }

  var observer: TrainingObserver {
    TrainingObserver(
      report: { event in self.events.withLock { $0.append(event) } },
      shouldStop: { self.stop.map { self.step >= $0 } ?? false })
  }

  var step: Int {
    events.withLock { $0.reduce(0) { if case .step(let progress) = $1 { progress.step } else { $0 } } }
  }
  var losses: [Float] {
    events.withLock { $0.compactMap { if case .step(let progress) = $0 { progress.loss } else { nil } } }
  }
  var notes: [String] { events.withLock { $0.compactMap { if case .note(let text) = $0 { text } else { nil } } } }
  var validations: [String] {
    events.withLock { $0.compactMap { if case .validation(let text) = $0 { text } else { nil } } }
  }
  var saves: [Int] { events.withLock { $0.compactMap { if case .saved(let step) = $0 { step } else { nil } } } }
}
