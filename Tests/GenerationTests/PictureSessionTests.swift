import Basics
import Decoding
import Generation
import Imaging
import PipelineTestSupport
import Priors
import TestSupport
import Testing

struct PictureSessionTests {
  /// What `generate` draws, request by request in one company, and white where nothing is drawn yet.
  @Test(arguments: [(Tiny.prior, 1), (Tiny.pixelCNN, 1), (Tiny.prior, 3)] as [(any TrainablePriorConfiguration, Int)])
  func drawsWhatGenerateDraws(prior: any TrainablePriorConfiguration, depth: Int) throws {
    let folder = try Tiny.trained(imageTokenizer: Tiny.residual(depth: depth), prior: prior)
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 2)
    var hot = SamplingOptions()
    (hot.temperature, hot.topK) = (1.5, 0)
    let plain = GenerationOptions(seed: 3)
    let other = GenerationOptions(
      seed: 4, sampling: hot, imagePrompt: ImagePrompt(Picture(width: 9, height: 9, color: .white), keptRows: 2))
    let session = model.makeSession()
    let ids = [
      try session.join("a red square", options: plain), try session.join("a red square", number: 1, options: plain),
      try session.join("a blue bar", options: other),
    ]
    let cancelled = try session.join("a green bar", options: plain)
    var complete: [PictureSession.ID: Picture] = [:]
    var rounds = 0
    while !session.isEmpty {
      if rounds == 4 { session.cancel(cancelled) }
      for step in session.next() {
        let picture = session.picture(step)
        if step.isComplete { complete[step.id] = picture }
        // 16 places of 4 pixels a side, of which the last rows are not drawn yet.
        let row = step.tokens.count / model.prior.codesPerPlace / 4
        #expect(picture.width == 16 && picture.height == 16)
        if row < 3 { #expect(picture.pixels.suffix((3 - row) * 4 * 16 * 3).allSatisfy { $0 == 255 }) }
      }
      rounds += 1
    }
    let expected =
      try model.generate("a red square", count: 2, options: plain) + model.generate("a blue bar", options: other)
    #expect(ids.map { complete[$0] } == expected && complete[cancelled] == nil)
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    let folder = try Tiny.trained(steps: 1)
    let session = try TextToImageModel(contentsOf: folder.checkpoint.url, threads: 1).makeSession()
    func expectUsage(_ join: () throws -> Void) {
      let error = #expect(throws: PipelineError.self) { try join() }
      #expect(error?.kind == .usage)
    }
    expectUsage { _ = try session.join("x", number: -1) }
    expectUsage {
      var sampling = SamplingOptions()
      sampling.temperature = -1
      _ = try session.join("x", options: .init(sampling: sampling))
    }
    #expect(session.isEmpty && session.next().isEmpty)
  }
}
