import ArrayFiles
import Captions
import Datasets
import Foundation
import ImageTokenizers
import Imaging
import PipelineTestSupport
import TensorCore
import TestSupport
import Testing
import TextTokenizer

@testable import Basics
@testable import Checkpoints
@testable import Generation
@testable import Training

@Suite struct PriorTrainerTests {
  @Test func aWarmStartTakesTheWeightsThatAreThere() throws {
    let folder = try Tiny.trained(steps: 4)
    let before = try SafeTensors(contentsOf: folder.checkpoint.priorFile)
    var settings = Tiny.settings(steps: 1)
    (settings.isWarmStart, settings.learningRate, settings.imageCorruption) = (true, 1e-6, 0.3)
    try Tiny.trainPrior(folder, settings)
    let after = try SafeTensors(contentsOf: folder.checkpoint.priorFile)
    for name in before.names {
      let (a, b) = (try before.tensor(name).scalars, try after.tensor(name).scalars)
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-2 * max(abs($0), 1e-3) }, "\(name)")
    }
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.earlierPriorTraining?.map(\.steps) == [4] && configuration.priorTraining?.steps == 1)
    #expect(try folder.contents(folder.checkpoint.previousFolder.appendingPathComponent("prior.safetensors")).count > 0)

    try FileManager.default.removeItem(at: folder.checkpoint.priorFile)
    #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, settings) }
  }

  /// The vocabulary and what speaks it change together, at the first save.
  @Test func aWarmStartCanChangeTheVocabulary() throws {
    let folder = try Tiny.trained(steps: 4)
    try Tiny.trainRanker(folder, Tiny.settings(steps: 1))
    let checkpoint = folder.checkpoint
    let old = try checkpoint.readVocabulary()
    let before = try SafeTensors(contentsOf: checkpoint.priorFile)
    let other = try BytePairEncoding.train(
      on: folder.dataSet().trainingTexts(), vocabularySize: 300, addsPrefixSpace: !old.addsPrefixSpace)
    var settings = Tiny.settings(steps: 2)
    (settings.isWarmStart, settings.learningRate) = (true, 1e-6)
    try Tiny.trainPrior(folder, settings, vocabulary: other)

    #expect(try checkpoint.readVocabulary() == other && other != old)
    let configuration = try checkpoint.readConfiguration()
    #expect(configuration.prior?.textVocabulary == other.vocabularySize)
    #expect(configuration.ranker == nil && !checkpoint.hasRanker)
    let previous = Checkpoint(checkpoint.previousFolder)
    #expect(try previous.readVocabulary() == old && previous.hasPrior && previous.hasRanker)
    let after = try SafeTensors(contentsOf: checkpoint.priorFile)
    let (a, b) = (try before.tensor("imageHead.weight").scalars, try after.tensor("imageHead.weight").scalars)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-2 * max(abs($0), 1e-3) })
    _ = try TextToImageModel(contentsOf: checkpoint.url).generate("a red square")

    // A resumed run keeps it.
    try Tiny.trainPrior(folder, Tiny.settings(steps: 3), resume: true)
    #expect(try checkpoint.readVocabulary() == other)
    #expect(throws: PipelineError.self) {
      try Tiny.trainPrior(folder, Tiny.settings(steps: 4), resume: true, vocabulary: old)
    }
    // The vocabulary that is there may be named, and leaves the texts as long as they are.
    settings.textLength = 16
    let error = #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, settings, vocabulary: other) }
    #expect(error?.message.contains("text tokens; leave `textLength` out") ?? false)
  }

  @Test func captionsOfAllKindsAreTrainedOn() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 4)
    let captions = ["nul \\u0000 inside", "line\\nbreak \\u2028", "👩🏽‍🚀🖤", String(repeating: "long ", count: 20_000)]
    let lines = captions.enumerated().map {
      "{\"file_name\": \"\(100 + $0).png\", \"text\": \"\($1)\", \"split\": \"\($0 == 2 ? "validation" : "train")\"}\n"
    }
    try Data(lines.joined().utf8).write(to: folder.data.appendingPathComponent("metadata.jsonl"))
    let recorder = Recorder()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2), observer: recorder.observer)
    #expect(recorder.notes.contains { $0.contains("1 of 3 captions have more than 64 tokens and are cut") })
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(try model.generate("nul \0 inside").count == 1)
  }

  @Test(arguments: [[1, 2, 3], [9], Array(repeating: 3, count: 999) + [60], Array(repeating: 70, count: 10), []])
  func textLengthHasRoomForNearlyAllCaptions(_ lengths: [Int]) {
    let length = PriorTrainer.suitableTextLength(lengths)
    #expect(length % 8 == 0 && (8...64).contains(length))
    let cut = lengths.count { $0 > length }
    #expect(length == 64 || Double(cut) <= 0.005 * Double(lengths.count))
    #expect(length == 8 || lengths.contains { $0 > length - 8 })
  }

  @Test func aNewRunReadsCaptionsInAllForms() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder)
    let configuration = try folder.checkpoint.readConfiguration()
    let kinds = CaptionForms.Kind.allCases.filter { $0 != .synonyms }
    #expect(configuration.priorTraining?.settings.captionForms == kinds)
    #expect(configuration.tokenizerTraining?.settings.captionForms == nil)
    // Room for the forms, and words that they consist of are known.
    let texts = try folder.dataSet().trainingTexts(folder.dataSet().forms(kinds))
    let vocabulary = try folder.checkpoint.readVocabulary()
    #expect(try vocabulary == .train(on: texts, vocabularySize: 280))
    let lengths = texts.map { vocabulary.encode($0).count }
    #expect(configuration.prior?.textLength == PriorTrainer.suitableTextLength(lengths))
    #expect(configuration.prior?.textLength ?? 0 > 8)
    let words = Set((configuration.captionWords ?? "").split(separator: " ").map(String.init))
    #expect(words.isSuperset(of: ["picture", "cute", "square", "shape2"]))
  }

  @Test func formsCanBeTurnedOff() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainStages(folder, forms: [])
    let configuration = try folder.checkpoint.readConfiguration()
    #expect(configuration.priorTraining?.settings.captionForms == [])
    #expect(configuration.captionWords?.split(separator: " ").contains("cute") == false)
  }

  @Test func resumedRunsReadTheSameForms() throws {
    var settings = Tiny.settings(steps: 8)
    settings.captionForms = CaptionForms.Kind.allCases
    let (whole, parts) = (try Tiny.withKeywords(), try Tiny.withKeywords())
    for folder in [whole, parts] { try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2)) }
    try Tiny.trainPrior(whole, settings)
    settings.bound = .steps(8)
    try Tiny.trainPrior(parts, settings, observer: Recorder(stopAfter: 3).observer)
    try Tiny.trainPrior(parts, settings, resume: true)
    #expect(try whole.contents(whole.checkpoint.priorFile) == parts.contents(parts.checkpoint.priorFile))
    #expect(try whole.contents(whole.checkpoint.captionsFile) == parts.contents(parts.checkpoint.captionsFile))
  }

  @Test func theRunFollowsTheForms() throws {
    let folder = try Tiny.withKeywords()
    let recorder = Recorder()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2), observer: recorder.observer)
    #expect(recorder.validations.last?.contains("of 9 training captions in other forms") ?? false)
    let log = try folder.contents(folder.checkpoint.logFolder.appendingPathComponent("metrics.jsonl"))
    #expect(String(decoding: log, as: UTF8.self).contains("\"forms_retrieval_at_1\":"))
  }

  /// Things of 48 pixels, which pictures of 32 can be composed of.
  private func withThings() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(at: folder.data, withIntermediateDirectories: true)
    var metadata = ""
    for (i, name) in ["box", "pole", "ball", "brick", "lamp", "coin"].enumerated() {
      var picture = Picture(width: 48, height: 48, color: .white)
      picture.paste(
        Picture(width: 16 + 2 * i, height: 28 - i, color: .init(red: UInt8(40 * i), green: 90, blue: 30)), x: 10, y: 8)
      picture.paste(Picture(width: 16 + 2 * i, height: 3, color: .black), x: 10, y: 14)
      try picture.write(to: folder.data.appendingPathComponent("\(i).png"))
      metadata += "{\"file_name\": \"\(i).png\", \"text\": \"\(name)\", \"split\": \"train\"}\n"
    }
    try Data(metadata.utf8).write(to: folder.data.appendingPathComponent("metadata.jsonl"))
    return folder
  }

  @Test func compositionsAreMadeWhileAPriorTrains() throws {
    var shape = try #require(Tiny.imageTokenizer as? VQVAE.Configuration)
    (shape.pictureSize, shape.patchSize) = (32, 8)
    let (whole, parts) = (try withThings(), try withThings())
    var settings = Tiny.settings(steps: 6)
    (settings.captionForms, settings.compositions) = (CaptionForms.Kind.allCases, 0.5)
    let recorder = Recorder()
    for (folder, stop) in [(whole, nil), (parts, 2)] as [(TemporaryFolder, Int?)] {
      let dataSet = try folder.dataSet(pictureSize: 32)
      let resources = TrainingResources(
        checkpoint: folder.checkpoint, dataSet: dataSet, threads: 2, precision: .float32)
      try ImageTokenizerTrainer(resources, architecture: shape).train(settings: Tiny.settings(steps: 2), resume: false)
      try Tiny.trainPrior(
        folder, settings, observer: stop.map { Recorder(stopAfter: $0).observer } ?? recorder.observer, dataSet: dataSet
      )
      if stop != nil { try Tiny.trainPrior(folder, Tiny.settings(steps: 6), resume: true, dataSet: dataSet) }
    }
    for file in [\Checkpoint.priorFile, \.captionsFile, \.vocabularyFile] {
      let (a, b) = (whole.checkpoint[keyPath: file], parts.checkpoint[keyPath: file])
      #expect(try whole.contents(a) == parts.contents(b), "\(a.lastPathComponent)")
    }
    #expect(recorder.validations.last?.contains("pairs never seen") ?? false)
    // What is said of them is known.
    let words = Set((try whole.checkpoint.readConfiguration().captionWords ?? "").split(separator: " "))
    #expect(words.isSuperset(of: ["sketch", "circle", "box", "made"]))
    let known = String(decoding: try whole.contents(whole.checkpoint.captionsFile), as: UTF8.self)
    #expect(known.contains(" next to "))
  }

  /// Of a data set that has compositions, they are shown in the share that is asked for.
  @Test func compositionsOfTheDataAreShownInTheirShare() throws {
    func trained(share: Float?, relations: Bool = true) throws -> Data {
      let folder = try TemporaryFolder()
      try folder.writeData()
      if relations { try writeRelations(folder) { $0 % 3 > 0 } }
      try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
      var settings = Tiny.settings(steps: 3)
      settings.compositions = share
      try Tiny.trainPrior(folder, settings)
      return try folder.contents(folder.checkpoint.priorFile)
    }
    let (natural, half, none) = (try trained(share: nil), try trained(share: 0.5), try trained(share: 0))
    #expect(natural != half && half != none && none != natural)
    #expect(try trained(share: 0.5) == half && trained(share: nil, relations: false) == natural)
  }

  @Test func whereAllAreCompositionsThereIsNoShare() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try writeRelations(folder) { _ in true }
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    var settings = Tiny.settings(steps: 1)
    settings.compositions = 0.5
    #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, settings) }
    settings.compositions = nil
    try Tiny.trainPrior(folder, settings)
  }

  /// Makes some pictures of the data compositions.
  private func writeRelations(_ folder: TemporaryFolder, where isComposed: (Int) -> Bool) throws {
    let file = folder.data.appendingPathComponent("metadata.jsonl")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").enumerated().map { i, line in
      isComposed(i) ? String(line).replacing("\"split\"", with: "\"relation\": \"next-to\", \"split\"") : String(line)
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: file)
  }

  @Test func tokensTakeNoCompositions() throws {
    let folder = try Tiny.trained(steps: 2)
    let target = folder.url.appendingPathComponent("encoded")
    try StandaloneImageTokenizer(folder.checkpoint, threads: 1).encode(folder.dataSet(), to: target)
    var settings = Tiny.settings(steps: 1)
    settings.compositions = 0.5
    #expect(throws: PipelineError.self) {
      try Tiny.trainPrior(folder, settings, dataSet: PictureDataSet(contentsOf: target, pictureSize: 16))
    }
    for share: Float in [-0.1, 1, .nan] {
      settings.compositions = share
      #expect(throws: PipelineError.self) { try settings.validate() }
    }
  }
}
