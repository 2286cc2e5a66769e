import ArrayFiles
import Basics
import Checkpoints
import Decoding
import Foundation
import Generation
import Imaging
import PipelineTestSupport
import TensorCore
import TestSupport
import Testing

@testable import ImageTokenizers
@testable import Priors

/// Parity with the `transformers` library on a small model; see make_janus_fixtures.py.
@Suite struct ImportedModelTests {
  private func imported(
    _ published: URL = PublishedJanus.url, as precision: WeightPrecision, in folder: URL
  ) throws -> URL {
    let checkpoint = folder.appending(path: "imported-\(precision.rawValue)")
    try CheckpointImport(published, as: precision).write(to: Checkpoint(checkpoint), on: ThreadTeam(count: 2))
    return checkpoint
  }

  private static let greedy = SamplingOptions(temperature: 0, topK: 0, guidance: 5, plausibleShare: 0)

  /// Largest difference, in parts of the largest number.
  private func difference(_ a: [Float], _ b: [Float]) -> Float {
    let scale = b.map(abs).max() ?? 1
    return a.count == b.count ? (zip(a, b).map { abs($0 - $1) }.max() ?? 0) / scale : .infinity
  }

  /// What the first pass gives of the prompt with the caption and without.
  private func firstLogits(_ model: TextToImageModel, _ drawing: PublishedJanus.Drawing) throws -> [[Float]] {
    let decoder = try #require(model.prior.makeDecoder(team: ThreadTeam(count: 2)) as? JanusDecoder)
    decoder.advance([decoder.begin(DrawingRequest(text: drawing.text, sampling: Self.greedy, seed: 0, number: 0))])
    let logits = decoder.scratch.logits.scalars
    let K = model.prior.imageVocabulary
    return (0..<2).map { Array(logits[$0 * K..<($0 + 1) * K]) }
  }

  @Test func inFloat32HiddenStatesLogitsTokensAndPixelsAreTheReferencesOwn() throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: .float32, in: folder), threads: 2)
      let drawings = try PublishedJanus.drawings()
      #expect(drawings.count == 3)
      for drawing in drawings {
        #expect(model.tokens(of: drawing.caption).ids == drawing.text)
        let decoder = try #require(model.prior.makeDecoder(team: ThreadTeam(count: 1)) as? JanusDecoder)
        decoder.advance([decoder.begin(DrawingRequest(text: drawing.text, sampling: Self.greedy, seed: 0, number: 0))])
        let hidden = decoder.scratch.normalized[0].scalars
        for (i, logits) in try firstLogits(model, drawing).enumerated() {
          #expect(difference(logits, drawing.logits[i]) < 1e-4)
          #expect(difference(Array(hidden[i * 64..<(i + 1) * 64]), drawing.hidden[i]) < 1e-4)
        }
        let session = model.makeSession()
        try session.join(drawing.caption, options: .init(sampling: Self.greedy))
        var tokens: [Int32] = []
        while !session.isEmpty { tokens = session.next().last?.tokens ?? [] }
        #expect(tokens == drawing.tokens)
        let pixels = model.imageTokenizer.decode(drawing.tokens)
        #expect(pixels.shape == [1, 8, 8, 3])
        #expect(difference(pixels.scalars, drawing.pixels) < 1e-4)
      }
    }
  }

  /// What is rounded is off by so much that the tests would see a wrong layout, a wrong scale or a wrong sign.
  @Test(arguments: [(WeightPrecision.bfloat16, Float(0.02)), (.int8, 0.03), (.int4, 0.35)])
  func inOtherPrecisionsLogitsAreOffByTheirRounding(_ precision: WeightPrecision, _ bound: Float) throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: precision, in: folder), threads: 1)
      for drawing in try PublishedJanus.drawings() {
        for (logits, expected) in zip(try firstLogits(model, drawing), drawing.logits) {
          let off = difference(logits, expected)
          #expect(off < bound)
          #expect(off > 0)
        }
      }
    }
  }

  @Test(arguments: ["F32", "F16", "BF16"], [1, 3]) func filesOfAnyTypeAndNumberDrawTheSame(
    _ type: String, _ shards: Int
  ) throws {
    try withTemporaryFolder { folder in
      let transformers = folder.appending(path: "transformers")
      let original = folder.appending(path: "original")
      try PublishedJanus.write(to: transformers, as: type, shards: shards)
      try PublishedJanus.writeOriginal(to: original, as: type, shards: shards)
      for published in [transformers, original] {
        let place = folder.appending(path: "of-\(published.lastPathComponent)")
        let model = try TextToImageModel(contentsOf: imported(published, as: .float32, in: place), threads: 1)
        for drawing in try PublishedJanus.drawings() {
          let request = DrawingRequest(
            text: model.tokens(of: drawing.caption).ids, sampling: Self.greedy, seed: 0, number: 0)
          #expect(model.prior.makeDecoder(team: try ThreadTeam(count: 1)).draw([request]) == [drawing.tokens])
        }
      }
    }
  }

  @Test(arguments: WeightPrecision.allCases) func aPictureIsTheSameInAnyCompanyAndOnAnyThreads(
    _ precision: WeightPrecision
  ) throws {
    try withTemporaryFolder { folder in
      let checkpoint = try imported(as: precision, in: folder)
      let captions = ["a red heart", "clouds", "two red clouds under the heart and 3 hearts, again", ""]
      let alone = try TextToImageModel(contentsOf: checkpoint, threads: 1)
      let expected = try captions.map { try alone.generate($0, options: .init(seed: 9))[0] }
      #expect(Set(expected.map(\.pixels)).count > 1)
      for threads in [2, 3] {
        let model = try TextToImageModel(contentsOf: checkpoint, threads: threads)
        #expect(try model.generate(captions: captions, options: .init(seed: 9)) == expected)
      }
    }
  }

  @Test func thePictureThatItBeginsWithIsKeptAsTokens() throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: .bfloat16, in: folder), threads: 2)
      let prompt = Picture(width: 8, height: 8, color: .white)
      let kept = model.imageTokenizer.encode(Tensor(repeating: 1, shape: [1, 8, 8, 3])).prefix(8)
      let session = model.makeSession()
      try session.join("clouds", options: .init(seed: 1, imagePrompt: ImagePrompt(prompt, keptRows: 2)))
      var steps: [PictureSession.Step] = []
      while !session.isEmpty { steps += session.next() }
      #expect(steps.count == 8)
      #expect(steps.allSatisfy { $0.tokens.prefix(8) == kept })
    }
  }

  @Test func drawingIsAsTheModelWantsItUnlessToldOtherwise() throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: .float32, in: folder), threads: 1)
      let own = SamplingOptions(temperature: 1, topK: 0, topP: 1, guidance: 5, plausibleShare: 0)
      #expect(model.prior.sampling == own)
      let options = GenerationOptions(seed: 3)
      var same = options
      same.sampling = own
      var other = options
      other.sampling = SamplingOptions()
      let picture = try model.generate("a red heart", options: options)
      #expect(try model.generate("a red heart", options: same) == picture)
      #expect(try model.generate("a red heart", options: other) != picture)
    }
  }

  @Test func withoutAPromptItDrawsAsWithAnEmptyOne() throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: .float32, in: folder), threads: 2)
      let decoder = try model.decoderOfPrior()
      func draw(_ text: [Int32]) -> [[Int32]] {
        decoder.draw([DrawingRequest(text: text, sampling: Self.greedy, seed: 0, number: 0)])
      }
      // Without anything to say, guidance has nothing to strengthen.
      var plain = DrawingRequest(text: [286, 291], sampling: Self.greedy, seed: 0, number: 0)
      plain.sampling.guidance = 1
      #expect(draw([]) == decoder.draw([plain]))
    }
  }

  @Test func aPromptThatIsTooLongKeepsWhatClosesIt() throws {
    try withTemporaryFolder { folder in
      let model = try TextToImageModel(contentsOf: imported(as: .float32, in: folder), threads: 1)
      let long = String(repeating: "a red heart ", count: 400)
      let tokens = model.tokens(of: long)
      #expect(tokens.ids.count > 1024 && tokens.used == 1024)
      let decoder = try #require(model.decoderOfPrior() as? JanusDecoder)
      func logits(_ text: [Int32]) -> [Float] {
        decoder.advance([decoder.begin(DrawingRequest(text: text, sampling: Self.greedy, seed: 0, number: 0))])
        return Array(decoder.scratch.logits.scalars.prefix(64))
      }
      // The five tokens that end a prompt: two newlines, <|Assistant|>, a colon, <begin_of_image>.
      #expect(logits(tokens.ids) == logits(Array(tokens.ids.prefix(1019) + tokens.ids.suffix(5))))
      #expect(tokens.ids.last == 291)
    }
  }
}

extension TextToImageModel {
  fileprivate func decoderOfPrior() throws -> any ImageTokenDecoder {
    prior.makeDecoder(team: try ThreadTeam(count: 1))
  }
}
