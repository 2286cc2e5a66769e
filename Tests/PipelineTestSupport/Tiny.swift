import Captions
import Checkpoints
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import Priors
import Rankers
import TensorCore
import TestSupport
import TextTokenizer
import Training

extension TemporaryFolder {
  public var checkpoint: Checkpoint { Checkpoint(url.appendingPathComponent("checkpoint")) }
  public var data: URL { url.appendingPathComponent("data") }

  /// Squares and bars of a few colors at 16×16; `splits` are given in turn.
  public func writeData(count: Int = 12, splits: [Split] = [.train, .train, .train, .validation]) throws {
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

  /// Gives what ``writeData(count:splits:)`` has written keywords, which it has none of.
  public func writeKeywords() throws {
    let file = data.appendingPathComponent("metadata.jsonl")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").enumerated().map { i, line in
      line.replacing("\"split\"", with: "\"keywords\": [\"flat\", \"shape\(i)\", \"thing\"], \"split\"")
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: file)
  }

  /// Has its pictures called by some names in turn.
  public func writeNames(_ names: [String]) throws {
    let file = data.appendingPathComponent("metadata.jsonl")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").enumerated().map { i, line in
      line.replacing(#/"text": \[[^\]]*\]/#, with: "\"text\": \"\(names[i % names.count])\"")
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: file)
  }

  /// Where tests put the WordNet that runs find; there is none unless they do.
  public var wordNet: URL { url.appendingPathComponent("wordnet") }

  public func dataSet(pictureSize: Int = 16) throws -> PictureDataSet {
    try PictureDataSet(contentsOf: data, pictureSize: pictureSize)
  }

  public func contents(_ file: URL) throws -> Data { try Data(contentsOf: file) }
}

/// Models that train in no time.
public enum Tiny {
  public static let imageTokenizer: any TrainableImageTokenizerConfiguration = {
    var c = VQVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (16, 4, 16, 1, 32, 8)
    return c
  }()

  /// With several codes a place, and convolutions at a finer grid.
  public static func residual(depth: Int) -> any TrainableImageTokenizerConfiguration {
    guard depth > 1, var c = imageTokenizer as? VQVAE.Configuration else { return imageTokenizer }
    (c.convolutionPatchSize, c.depth) = (2, depth)
    return c
  }

  public static let prior: any TrainablePriorConfiguration = {
    var c = TransformerPrior.Configuration()
    (c.width, c.layers, c.heads, c.dropout) = (32, 2, 2, 0.1)
    return c
  }()

  public static let discreteVAE: any TrainableImageTokenizerConfiguration = {
    var c = DiscreteVAE.Configuration()
    (c.pictureSize, c.patchSize, c.channels, c.blocks, c.codes, c.codeDimensions) = (16, 4, 16, 1, 32, 8)
    return c
  }()

  public static func hierarchy(levels: Int) -> any TrainableImageTokenizerConfiguration {
    var c = VQVAE2.Configuration()
    (c.pictureSize, c.patchSize, c.levels, c.channels, c.blocks, c.codes, c.codeDimensions) = (
      16, 2, levels, 16, 1, 32, 8
    )
    return c
  }

  public static let pixelCNN: any TrainablePriorConfiguration = {
    var c = PixelCNN.Configuration()
    (c.channels, c.layers, c.reach, c.dropout) = (16, 2, 2, 0.1)
    return c
  }()

  public static let upsampler: Upsampler.Configuration = {
    var c = Upsampler.Configuration()
    (c.inputSize, c.pictureSize, c.patchSize, c.channels, c.blocks) = (16, 32, 1, 16, 1)
    return c
  }()

  public static let ranker: Ranker.Configuration = {
    var c = Ranker.Configuration()
    (c.width, c.layers, c.heads, c.channels, c.blocks, c.embeddingWidth) = (32, 1, 2, 32, 1, 16)
    return c
  }()

  public static func settings(steps: Int, batchSize: Int = 4, seed: UInt64 = 1) -> TrainingSettings {
    var settings = TrainingSettings()
    (settings.bound, settings.batchSize, settings.seed) = (.steps(steps), batchSize, seed)
    settings.vocabularySize = 280
    settings.captionForms = []
    return settings
  }

  private static func resources(
    _ folder: TemporaryFolder, _ threads: Int, _ precision: ElementType, _ observer: TrainingObserver,
    pictureSize: Int = 16
  ) throws -> TrainingResources {
    TrainingResources(
      checkpoint: folder.checkpoint, dataSet: try folder.dataSet(pictureSize: pictureSize), threads: threads,
      precision: precision,
      observer: observer, wordNetFolder: folder.wordNet)
  }

  public static func trainTokenizer(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init(),
    architecture: any TrainableImageTokenizerConfiguration = imageTokenizer
  ) throws {
    try ImageTokenizerTrainer(resources(folder, threads, precision, observer), architecture: architecture).train(
      settings: settings, resume: resume)
  }

  /// From 16×16 to 32×32 pixels.
  public static func trainUpsampler(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init()
  ) throws {
    try UpsamplerTrainer(resources(folder, threads, precision, observer, pictureSize: 32), architecture: upsampler)
      .train(settings: settings, resume: resume)
  }

  public static func trainPrior(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init(),
    architecture: any TrainablePriorConfiguration = prior, vocabulary: BytePairEncoding? = nil,
    dataSet: PictureDataSet? = nil
  ) throws {
    var resources = try resources(folder, threads, precision, observer)
    if let dataSet { resources.dataSet = dataSet }
    try PriorTrainer(resources, architecture: architecture, vocabulary: vocabulary)
      .train(settings: settings, resume: resume)
  }

  public static func trainRanker(
    _ folder: TemporaryFolder, _ settings: TrainingSettings, resume: Bool = false, threads: Int = 2,
    precision: ElementType = .float32, observer: TrainingObserver = .init()
  ) throws {
    try RankerTrainer(resources(folder, threads, precision, observer), architecture: ranker).train(
      settings: settings, resume: resume)
  }

  /// Trains a stage of the standard kinds.
  public typealias Stage = (TemporaryFolder, TrainingSettings, Bool, Int, ElementType, TrainingObserver) throws -> Void

  public static var stages: [Stage] {
    [
      { try trainTokenizer($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
      { try trainUpsampler($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
      { try trainPrior($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
      { try trainRanker($0, $1, resume: $2, threads: $3, precision: $4, observer: $5) },
    ]
  }

  /// Both stages with captions in `forms`, all of them where it is nil.
  public static func trainStages(
    _ folder: TemporaryFolder, steps: Int = 4, forms: [CaptionForms.Kind]? = nil
  ) throws {
    var settings = settings(steps: steps)
    settings.captionForms = forms
    try trainTokenizer(folder, settings)
    try trainPrior(folder, settings)
  }

  /// A folder with data that has keywords, and no model.
  public static func withKeywords() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try folder.writeKeywords()
    return folder
  }

  /// A folder with data and both stages.
  public static func trained(
    steps: Int = 4, imageTokenizer: any TrainableImageTokenizerConfiguration = imageTokenizer,
    prior: any TrainablePriorConfiguration = prior
  ) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try trainTokenizer(folder, settings(steps: steps), architecture: imageTokenizer)
    try trainPrior(folder, settings(steps: steps), architecture: prior)
    return folder
  }
  /// A folder with data, both stages and a ranker.
  public static func trainedWithRanker(steps: Int = 4) throws -> TemporaryFolder {
    let folder = try trained()
    try trainRanker(folder, settings(steps: steps))
    return folder
  }
}
