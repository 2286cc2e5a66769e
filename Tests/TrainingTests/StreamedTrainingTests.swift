import ArrayFiles
import Basics
import Captions
import Checkpoints
import Datasets
import Foundation
import Generation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing
import Training

/// Runs on shards that are too large to be kept in memory.
@Suite struct StreamedTrainingTests {
  /// Three shards of colored squares, called by their colors.
  private func streamed() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for shard in 0..<3 {
      var tar = Tar()
      for i in 0..<20 {
        let (red, blue) = (UInt8(40 * shard + 10 * (i % 4)), UInt8(12 * i))
        var picture = Picture(width: 16, height: 16, color: .white)
        picture.paste(
          Picture(width: 6 + i % 5, height: 6, color: .init(red: red, green: 90, blue: blue)), x: i % 7, y: i % 4)
        let key = String(format: "%04d", i)
        tar.add("\(key).png", try picture.pngData())
        tar.add("\(key).txt", Data("a square of \(red) and \(blue)".utf8))
      }
      try folder.write(tar.data, to: "data/\(shard).tar")
    }
    return folder
  }

  private func open(_ url: URL) throws -> PictureDataSet {
    let dataSet = try PictureDataSet(contentsOf: url, pictureSize: 16, maximumBytesInMemory: 0)
    #expect(dataSet.isStreamed)
    return dataSet
  }

  private func trainTokenizer(
    _ folder: TemporaryFolder, steps: Int, resume: Bool = false, observer: TrainingObserver = .init()
  ) throws {
    let resources = TrainingResources(
      checkpoint: folder.checkpoint, dataSet: try open(folder.data), threads: 2, precision: .float32, observer: observer
    )
    try ImageTokenizerTrainer(resources, architecture: Tiny.imageTokenizer).train(
      settings: Tiny.settings(steps: steps), resume: resume)
  }

  /// Of stage 1, in the middle of the second epoch.
  @Test func aRunThatIsResumedInTheMiddleOfAnEpochIsTheUnbrokenOne() throws {
    let (whole, parts) = (try streamed(), try streamed())
    try trainTokenizer(whole, steps: 24)
    try trainTokenizer(parts, steps: 24, observer: Recorder(stopAfter: 19).observer)
    #expect(
      try whole.contents(whole.checkpoint.imageTokenizerFile) != parts.contents(parts.checkpoint.imageTokenizerFile))
    try trainTokenizer(parts, steps: 24, resume: true)
    #expect(
      try whole.contents(whole.checkpoint.imageTokenizerFile) == parts.contents(parts.checkpoint.imageTokenizerFile))
  }

  /// Pictures of shards and their tokens are shown in the same order.
  @Test func tokensOfAStreamTakeItsPlace() throws {
    let folder = try streamed()
    try trainTokenizer(folder, steps: 4)
    let target = folder.url.appendingPathComponent("tokens")
    let summary = try StandaloneImageTokenizer(folder.checkpoint, threads: 2).encode(open(folder.data), to: target)
    #expect(summary.pictures == 60)
    var settings = Tiny.settings(steps: 20)
    settings.captionForms = CaptionForms.Kind.allCases
    try Tiny.trainPrior(folder, settings, dataSet: open(folder.data))
    let ofPictures = try folder.contents(folder.checkpoint.priorFile)
    try Tiny.trainPrior(folder, settings, dataSet: open(target))
    #expect(try folder.contents(folder.checkpoint.priorFile) == ofPictures)
    try Tiny.trainPrior(folder, settings, observer: Recorder(stopAfter: 17).observer, dataSet: open(target))
    try Tiny.trainPrior(folder, settings, resume: true, dataSet: open(target))
    #expect(try folder.contents(folder.checkpoint.priorFile) == ofPictures)
  }
}
