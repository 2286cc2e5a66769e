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
    var sampling = SamplingOptions()
    sampling.temperature = 0
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

  @Test func failuresAreOfOneType() {
    do throws(PipelineError) {
      _ = try TextToImageModel(contentsOf: URL(filePath: "nowhere"))
      Issue.record("there is no such checkpoint")
    } catch {
      #expect(error.kind == .noInput && error.message.contains("nowhere"))
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
