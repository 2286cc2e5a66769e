import DALLE
import Foundation
import Testing

/// What README shows, as its readers write it: with `import DALLE` alone. Nothing else of the package may be imported here.
struct FrontDoorTests {
  private let checkpoint = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "checkpoints/emoji")

  @Test func aPictureIsDrawnAndWritten() throws {
    let model = try TextToImageModel(contentsOf: checkpoint)
    let pictures = try model.generate("a red heart", count: 2, options: .init(seed: 7))
    let file = FileManager.default.temporaryDirectory.appending(path: "heart-\(UUID()).png")
    defer { try? FileManager.default.removeItem(at: file) }
    try pictures[0].write(to: file)
    #expect(try Picture(contentsOf: file) == pictures[0] && pictures[0] != pictures[1])
    #expect(try model.generate("a red heart", candidates: 2).count == 1)
    let sampling = SamplingOptions(temperature: 0)
    let likeliest = try model.generate("a red heart", options: GenerationOptions(seed: 1, sampling: sampling))
    #expect(try likeliest == model.generate("a red heart", options: GenerationOptions(seed: 2, sampling: sampling)))
  }

  @Test func aPictureIsWatched() throws {
    let model = try TextToImageModel(contentsOf: checkpoint)
    let session = model.makeSession()
    let heart = try session.join("a red heart", options: .init(seed: 7))
    var shown: [Picture] = []
    while !session.isEmpty {
      for step in session.next() where step.id == heart { shown.append(session.picture(step)) }
    }
    let drawn = try model.generate("a red heart", options: .init(seed: 7))
    #expect(shown.count == 64 && shown.last == drawn[0] && shown[0] != drawn[0])
  }

  @Test func bothStagesAreTrainedAndMeasured() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "front-door-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, color) in [
      ("red", Picture.Color(red: 230, green: 30, blue: 30)), ("blue", .init(red: 20, green: 40, blue: 220)),
    ] {
      try Picture(width: 64, height: 64, color: color).write(to: folder.appending(path: "\(name).png"))
      try Data("a \(name) square\n".utf8).write(to: folder.appending(path: "\(name).txt"))
    }
    let dataSet = try PictureDataSet(contentsOf: folder, pictureSize: 64) { print($0) }
    let resources = TrainingResources(
      checkpoint: Checkpoint(folder.appending(path: "model")), dataSet: dataSet)
    var settings = TrainingSettings()
    (settings.preset, settings.batchSize, settings.bound, settings.vocabularySize) = (.tiny, 2, .steps(2), 280)
    try ImageTokenizerTrainer(resources).train(settings: settings, resume: false)
    try PriorTrainer(resources).train(settings: settings, resume: false)
    let model = try TextToImageModel(contentsOf: folder.appending(path: "model"))
    let evaluation = try #require(try Evaluator(model, dataSet).evaluate(.train))
    #expect(evaluation.pictures == 2 && evaluation.reconstructionPsnrInDecibels > 0)
    let ids = model.textEncoder.encode("a red square")
    #expect(!ids.isEmpty)
  }

  @Test func failuresAreOfOneType() {
    do throws(PipelineError) {
      _ = try TextToImageModel(contentsOf: URL(filePath: "nowhere"))
      Issue.record("there is no such checkpoint")
    } catch {
      #expect(error.kind == .noInput && error.message.contains("nowhere"))
      #expect((error as any Error).localizedDescription == error.message)
    }
  }

  /// The types that other examples and the documentation name.
  @Test func typesHaveTheirNames() {
    let types: [Any.Type] = [
      PictureDataSet.self, TrainingSettings.self, ImageTokenizerTrainer.self, PriorTrainer.self, RankerTrainer.self,
      Evaluator.self, BytePairEncoding.self, Matrix.self, ElementType.self, Gaussian.self, VAE.self, VQVAE.self,
      TransformerPrior.self, Ranker.self, EmojiDataSet.self, CaptionForms.self,
    ]
    #expect(Set(types.map { "\($0)" }).count == types.count)
  }
}
