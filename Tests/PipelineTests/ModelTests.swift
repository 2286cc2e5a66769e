import Foundation
import ImageTokenizers
import Imaging
import Priors
import Rankers
import NN
import Optimization
import TensorCore
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Evaluation
@testable import Generation

@Suite struct ModelTests {
  @Test func aPictureDependsOnItsSeedAndNumberAlone() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 2)
    let all = try model.generate("a red square", count: 10, options: .init(seed: 7))
    #expect(all.count == 10 && all[0].width == 16 && all[0].height == 16)
    #expect(all.contains { $0 != all[0] })
    for threads in [1, 3] {
      let other = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: threads)
      for count in [1, 9] {
        #expect(try other.generate("a red square", count: count, options: .init(seed: 7)) == Array(all.prefix(count)))
      }
    }
    #expect(try model.generate("a red square", count: 10, options: .init(seed: 8)) != all)
    #expect(try model.generate("a blue bar", count: 10, options: .init(seed: 7)) != all)
    #expect(try model.generate(captions: ["a blue bar", "a red square"], options: .init(seed: 7))[1] == all[0])
  }

  /// The rows of an image prompt come out as they went in, and the rest is drawn, with either prior and any number of codes
  /// a place.
  @Test(arguments: [(Tiny.prior, 1), (Tiny.pixelCNN, 1), (Tiny.prior, 3)] as [(any TrainablePriorConfiguration, Int)])
  func keptRowsAreThoseOfThePicture(prior: any TrainablePriorConfiguration, depth: Int) throws {
    let folder = try Tiny.trained(imageTokenizer: Tiny.residual(depth: depth), prior: prior)
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 2)
    // Neither square nor of the model's size.
    var picture = Picture(width: 50, height: 31, color: .init(red: 240, green: 200, blue: 20))
    picture.paste(Picture(width: 12, height: 9, color: .black), x: 7, y: 2)
    let given = model.reconstructor.tokens(of: [picture.squared(side: 16, fit: .pad)])[0]
    #expect(given.count == 16 * depth && Set(given).count > depth)
    var options = GenerationOptions(seed: 7)
    options.sampling.temperature = 2
    let free = try model.tokens(captions: ["a red square"], count: 10, options: options)
    for rows in 0..<4 {
      options.imagePrompt = ImagePrompt(picture, keptRows: rows)
      let drawn = try model.tokens(captions: ["a red square"], count: 10, options: options)
      for tokens in drawn {
        #expect(tokens.count == 16 * depth && tokens.prefix(4 * rows * depth) == given.prefix(4 * rows * depth))
      }
      #expect(Set(drawn.map { $0.suffix((16 - 4 * rows) * depth) }).count > 1)
      // No rows are no prompt.
      #expect((drawn == free) == (rows == 0))
      let pictures = try model.generate("a red square", count: 10, options: options)
      #expect(pictures == model.reconstructor.decode(drawn))
      for threads in [1, 3] {
        let other = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: threads)
        for count in [1, 9] {
          #expect(try other.generate("a red square", count: count, options: options) == Array(pictures.prefix(count)))
        }
      }
    }
    // Half of them unless told otherwise.
    options.imagePrompt = ImagePrompt(picture)
    #expect(try model.keptRows(of: ImagePrompt(picture)) == 2)
    let half = try model.generate("", options: options)
    options.imagePrompt?.keptRows = 2
    #expect(try model.generate("", options: options) == half)
    for rows in [-1, 4, .min, .max] {
      options.imagePrompt?.keptRows = rows
      let error = #expect(throws: PipelineError.self) { try model.generate("red", options: options) }
      #expect(error?.kind == .usage && error?.message.contains("--keep-rows must be 0 to 3, not \(rows)") ?? false)
    }
  }

  @Test func progressEndsAtOne() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    var shares: [Double] = []
    _ = try model.generate("red", count: 10) { shares.append($0) }
    #expect(shares == shares.sorted() && shares.last == 1 && shares.count == 2 * 16)
  }

  @Test func argumentsThatMakeNoSense() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(throws: PipelineError.self) { try model.generate("red", count: 0) }
    var options = GenerationOptions()
    options.sampling.temperature = .nan
    #expect(throws: PipelineError.self) { try model.generate("red", options: options) }
    #expect(throws: PipelineError.self) { try model.generate(captions: ["red"], options: options) }
    #expect(throws: PipelineError.self) { try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 0) }
  }

  @Test func wordsNeverSeenAndTextThatIsCut() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(model.unseenWords(in: "A red TAPIR's square: tapir, accordion") == ["tapir", "accordion"])
    #expect(model.unseenWords(in: "") == [])
    let tokens = model.tokens(of: String(repeating: "red ", count: 100))
    #expect(tokens.used == 8 && tokens.ids.count > 8)
    #expect(model.tokens(of: "").ids.isEmpty)
  }

  @Test func evaluationAgreesWithReconstruction() throws {
    let folder = try Tiny.trained()
    let dataSet = try folder.dataSet()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let evaluator = try Evaluator(model, dataSet)
    let evaluation = try #require(try evaluator.evaluate(.train, captionLimit: 4))
    let retrieval = try #require(evaluation.retrieval)
    #expect(evaluation.pictures == 9 && retrieval.captions == 4)
    var error = 0.0
    for index in dataSet.indices(of: .train) {
      let original = try dataSet.picture(at: index)
      let result = model.reconstruct([original])[0]
      error += zip(original.pixels, result.pixels).reduce(0) { $0 + pow((Double($1.0) - Double($1.1)) / 255, 2) }
    }
    // The pictures are rounded to bytes and clamped, the measured error is not.
    let psnr = psnrInDecibels(meanSquaredError: error / Double(9 * 16 * 16 * 3))
    #expect(abs(evaluation.reconstructionPsnrInDecibels - psnr) < 0.5)
    #expect((1...32).contains(evaluation.codebookPerplexity) && (0...1).contains(evaluation.codebookUse))
    // Hardly trained, it is about as good as guessing among 32 codes.
    #expect(abs(try #require(evaluation.priorLoss) - log(32)) < 0.7)
    for shares in [retrieval, evaluation.retrievalCeiling] {
      #expect(0 <= shares.at1 && shares.at1 <= shares.at5 && shares.at5 <= 1)
    }
    #expect(try evaluator.evaluate(.test) == nil)
  }

  @Test func stageOneAlone() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    #expect(folder.checkpoint.hasImageTokenizer && !folder.checkpoint.isComplete)
    let tokenizer = try StandaloneTokenizer(folder.checkpoint, threads: 2)
    let result = tokenizer.reconstruct([Picture(width: 40, height: 20, color: .black)])[0]
    #expect(result.original.width == 16 && result.reconstruction.width == 16)
    // Half of the square is the white beside the wide picture.
    #expect(result.original.pixels.prefix(3) == [255, 255, 255])
    let error = #expect(throws: PipelineError.self) { try TextToImageModel(contentsOf: folder.checkpoint.url) }
    #expect(error?.kind == .noInput && error?.message.contains("train-prior") ?? false)
  }
}

@Suite struct CheckpointTests {
  private func expectBadData(_ json: String, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let error = #expect(throws: PipelineError.self, sourceLocation: sourceLocation) {
      try CheckpointConfiguration(json: Data(json.utf8), of: "config.json")
    }
    #expect(error?.kind == .badData, sourceLocation: sourceLocation)
    #expect(error?.message.contains(words) ?? false, "\(error?.message ?? "")", sourceLocation: sourceLocation)
  }

  @Test func configurationsRoundTrip() throws {
    var configuration = CheckpointConfiguration()
    configuration.imageTokenizer = AnyConfiguration(Tiny.imageTokenizer)
    configuration.prior = AnyConfiguration(Tiny.prior)
    configuration.captionWords = "a ü"
    for bound in [TrainingBound.steps(3), .epochs(2.5), .minutes(9)] {
      var settings = TrainingSettings()
      settings.bound = bound
      configuration.priorTraining = .init(
        steps: 1, epochs: 2, minutes: 3, threads: 4, precision: .bfloat16, engine: "x", settings: settings)
      let read = try CheckpointConfiguration(json: configuration.json(), of: "config.json")
      #expect(read.imageTokenizer == configuration.imageTokenizer && read.prior == configuration.prior)
      #expect(read.captionWords == "a ü" && read.priorTraining == configuration.priorTraining)
    }
  }

  @Test func masksOfLayersRoundTrip() throws {
    var configuration = CheckpointConfiguration()
    configuration.prior = AnyConfiguration(Tiny.prior)
    // What older checkpoints have.
    let json = try configuration.json()
    #expect(!String(decoding: json, as: UTF8.self).contains("attention"))
    #expect(try CheckpointConfiguration(json: json, of: "config.json").prior == AnyConfiguration(Tiny.prior))
    var c = try #require(Tiny.prior as? TransformerPrior.Configuration)
    c.attention = [.full, .row, .column, .convolution]
    configuration.prior = AnyConfiguration(c)
    let other = try configuration.json()
    #expect(try CheckpointConfiguration(json: other, of: "config.json").prior == AnyConfiguration(c))
    expectBadData(String(decoding: other, as: UTF8.self).replacing("conv", with: "diagonal"), "diagonal")
    expectBadData(
      #"{"format_version": 1, "prior": {"kind": "transformer", "attention": "row"}}"#, "is missing")
    #expect(c.attention?.list == "full,row,column,conv")
    #expect(try [AttentionKind](list: "full,row,column,conv", setting: "--attention") == c.attention)
  }

  @Test func configurationsThatAreNone() {
    expectBadData("", "config.json is not a checkpoint's configuration")
    expectBadData("{}", "formatVersion")
    expectBadData(#"{"format_version": 2, "prior": 7}"#, "version 2")
    expectBadData(#"{"format_version": 1, "prior": 7}"#, "prior")
    expectBadData(#"{"format_version": 1, "image_tokenizer": {"kind": "vqgan"}}"#, "of kind vqgan")
    expectBadData(#"{"format_version": 1, "image_tokenizer": {"kind": "vqvae"}}"#, "is missing")
    expectBadData(#"{"format_version": 1, "prior": {"kind": "rnn"}}"#, "of kind rnn")
    expectBadData(#"{"format_version": 1, "prior": {"kind": "pixelcnn"}}"#, "is missing")
  }

  /// Tokenizer and prior that speak of differently many codes a place.
  @Test func codesAPlaceBelongTogether() throws {
    let folder = try Tiny.trained(imageTokenizer: Tiny.residual(depth: 2))
    let other = try TemporaryFolder()
    try other.writeData()
    try Tiny.trainTokenizer(other, Tiny.settings(steps: 1))
    var configuration = try folder.checkpoint.readConfiguration()
    configuration.imageTokenizer = try other.checkpoint.readConfiguration().imageTokenizer
    try folder.checkpoint.write(configuration)
    try FileManager.default.removeItem(at: folder.checkpoint.imageTokenizerFile)
    try FileManager.default.copyItem(at: other.checkpoint.imageTokenizerFile, to: folder.checkpoint.imageTokenizerFile)
    let error = #expect(throws: PipelineError.self) { _ = try TextToImageModel(contentsOf: folder.checkpoint.url) }
    #expect(error?.message.contains("the prior was made for 64 image tokens, and there are 32") ?? false)
  }

  @Test func whatAKillHasLeftIsRemoved() throws {
    let folder = try TemporaryFolder()
    let checkpoint = folder.checkpoint
    _ = try checkpoint.create()
    let left = checkpoint.url.appendingPathComponent("prior.safetensors.77.partial")
    try Data(count: 9).write(to: left)
    _ = try checkpoint.create()
    #expect(try Set(FileManager.default.contentsOfDirectory(atPath: checkpoint.url.path)) == ["log", ".lock"])
  }

  @Test func partsThatDoNotBelongTogether() throws {
    let folder = try Tiny.trained()
    let other = try TemporaryFolder()
    try other.writeData()
    try Tiny.trainTokenizer(other, Tiny.settings(steps: 1))
    var settings = Tiny.settings(steps: 1)
    settings.vocabularySize = 270
    try Tiny.trainPrior(other, settings)
    let file = folder.checkpoint.vocabularyFile
    try FileManager.default.removeItem(at: file)
    try FileManager.default.copyItem(at: other.checkpoint.vocabularyFile, to: file)
    for use in [
      { _ = try TextToImageModel(contentsOf: folder.checkpoint.url) },
      { try Tiny.trainPrior(folder, Tiny.settings(steps: 9), resume: true) },
    ] {
      let error = #expect(throws: PipelineError.self) { try use() }
      #expect(error?.message.contains("the prior was made for 280 text pieces, and there are 270") ?? false)
    }
  }
}
