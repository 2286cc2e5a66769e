import Decoding
import Foundation
import ImageTokenizers
import Imaging
import PipelineTestSupport
import Priors
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Generation

@Suite struct TextToImageModelTests {
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
    options.sampling = SamplingOptions(temperature: 2)
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
      #expect(error?.kind == .usage && error?.message.contains("`keptRows` must be 0 to 3, not \(rows)") ?? false)
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
    options.sampling = SamplingOptions(temperature: .nan)
    #expect(throws: PipelineError.self) { try model.generate("red", options: options) }
    #expect(throws: PipelineError.self) { try model.generate(captions: ["red"], options: options) }
    #expect(throws: PipelineError.self) { try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 0) }
  }

  @Test func wordsNeverSeenAndTextThatIsCut() throws {
    let folder = try Tiny.trained()
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(model.unseenWords(in: "A red TAPIR's square: tapir, accordion") == ["tapir", "accordion"])
    #expect(model.unseenWords(in: "red \(String(repeating: "🟥🟦", count: 2000)) square") == ["🟥", "🟦"])
    #expect(model.unseenWords(in: "") == [])
    let tokens = model.tokens(of: String(repeating: "red ", count: 100))
    #expect(tokens.used == 8 && tokens.ids.count > 8)
    #expect(model.tokens(of: "").ids.isEmpty)
  }
}
