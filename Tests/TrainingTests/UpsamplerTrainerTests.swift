import Foundation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Generation
@testable import Training

@Suite struct UpsamplerTrainerTests {
  /// Prior and ranker draw and choose at the larger size without having been trained again.
  @Test func whatIsThereDrawsLarger() throws {
    let folder = try Tiny.trainedWithRanker(steps: 20)
    let before = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let small = try before.generate("a red square", count: 3, options: .init(seed: 4))
    let kept = [folder.checkpoint.imageTokenizerFile, folder.checkpoint.priorFile, folder.checkpoint.rankerFile]
    let files = try kept.map(folder.contents)
    try Tiny.trainUpsampler(folder, Tiny.settings(steps: 1))
    #expect(try kept.map(folder.contents) == files)
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.pictureSize == 32 && configuration.upsampler == Tiny.upsampler)
    #expect(configuration.upsamplerTraining?.steps == 1)
    #expect(configuration.rankerTraining?.steps == 20)

    let after = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let large = try after.generate("a red square", count: 3, options: .init(seed: 4))
    #expect(large.map(\.width) == [32, 32, 32])
    // The same pictures: reduced again, they differ little before much is learnt.
    for (picture, original) in zip(large, small) {
      let difference = zip(picture.squared(side: 16, fit: .pad).pixels, original.pixels).map { abs(Int($0) - Int($1)) }
      #expect(Double(difference.reduce(0, +)) / Double(difference.count) < 16)
    }
    #expect(try after.generate("a red square", candidates: 3).count == 1)
    #expect(after.reconstruct([large[0]])[0].width == 32)
    let prompted = try after.generate("a red square", options: .init(imagePrompt: ImagePrompt(large[0])))
    #expect(prompted[0].width == 32)

    // What it learns is what pictures look like at that size.
    let first = try #require(configuration.upsamplerTraining?.validation)
    var settings = Tiny.settings(steps: 60)
    settings.learningRate = 3e-3
    try Tiny.trainUpsampler(folder, settings)
    let last = try #require(try folder.checkpoint.readConfiguration().upsamplerTraining?.validation)
    #expect(last > first + 1, "\(first) to \(last) dB")
    #expect(
      Checkpoint(folder.checkpoint.previousFolder).exists(Checkpoint(folder.checkpoint.previousFolder).upsamplerFile))
  }

  @Test func theDiscriminatorTakesPartAndARunIsResumedBitForBit() throws {
    func trained(stoppingAfter stop: Int?) throws -> Data {
      let folder = try TemporaryFolder()
      try folder.writeData()
      try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
      var settings = Tiny.settings(steps: 8)
      settings.adversarial = 0.5
      let recorder = Recorder(stopAfter: stop)
      try Tiny.trainUpsampler(folder, settings, threads: 3, observer: recorder.observer)
      if stop != nil { try Tiny.trainUpsampler(folder, .init(), resume: true, threads: 3) }
      let log = folder.checkpoint.logFolder.appendingPathComponent("metrics.jsonl")
      #expect(String(decoding: try folder.contents(log), as: UTF8.self).contains("adversarial_weight"))
      return try folder.contents(folder.checkpoint.upsamplerFile)
    }
    let unbroken = try trained(stoppingAfter: nil)
    for stop in [3, 6] { #expect(try trained(stoppingAfter: stop) == unbroken) }
  }

  @Test func aNewTokenizerHasNoUseForIt() throws {
    let folder = try Tiny.trained(steps: 2)
    try Tiny.trainUpsampler(folder, Tiny.settings(steps: 2))
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1))
    #expect(try folder.checkpoint.readConfiguration().upsampler == nil)
    #expect(!FileManager.default.fileExists(atPath: folder.checkpoint.upsamplerFile.path))
    let previous = Checkpoint(folder.checkpoint.previousFolder)
    #expect(try TextToImageModel(contentsOf: previous.url).imageTokenizer.pictureSize == 32)
  }

  @Test func sizesAndFilesThatDoNotFitAreRefused() throws {
    for (size, isRight) in [(nil, true), (32, true), (48, true), (16, false), (24, false), (8, false)] as [(Int?, Bool)]
    {
      var settings = TrainingSettings()
      settings.pictureSize = size
      if isRight {
        #expect(try UpsamplerTrainer.shape(settings, from: 16).pictureSize == size ?? 32)
      } else {
        #expect { try UpsamplerTrainer.shape(settings, from: 16) } throws: { ($0 as? PipelineError)?.kind == .usage }
      }
    }
    let folder = try Tiny.trained(steps: 1)
    try Tiny.trainUpsampler(folder, Tiny.settings(steps: 1))
    let whole = try folder.contents(folder.checkpoint.upsamplerFile)
    try Data(whole.dropLast(9)).write(to: folder.checkpoint.upsamplerFile)
    #expect { try TextToImageModel(contentsOf: folder.checkpoint.url) } throws: {
      ($0 as? PipelineError)?.kind == .badData
    }
    try FileManager.default.removeItem(at: folder.checkpoint.upsamplerFile)
    #expect { try TextToImageModel(contentsOf: folder.checkpoint.url) } throws: {
      ($0 as? PipelineError)?.message.contains("upsampler.safetensors") == true
    }
    try whole.write(to: folder.checkpoint.upsamplerFile)
    var configuration = try folder.checkpoint.readConfiguration()
    configuration.upsampler?.inputSize = 8
    configuration.upsampler?.pictureSize = 16
    try folder.checkpoint.write(configuration)
    #expect { try TextToImageModel(contentsOf: folder.checkpoint.url) } throws: {
      ($0 as? PipelineError)?.message.contains("do not belong together") == true
    }
  }
}
