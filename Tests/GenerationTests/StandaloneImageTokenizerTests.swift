import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Generation

@Suite struct StandaloneImageTokenizerTests {
  @Test func stageOneAlone() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    #expect(folder.checkpoint.hasImageTokenizer && !folder.checkpoint.isComplete)
    let tokenizer = try StandaloneImageTokenizer(folder.checkpoint, threads: 2)
    let result = tokenizer.reconstruct([Picture(width: 40, height: 20, color: .black)])[0]
    #expect(result.original.width == 16 && result.reconstruction.width == 16)
    // Half of the square is the white beside the wide picture.
    #expect(result.original.pixels.prefix(3) == [255, 255, 255])
    let error = #expect(throws: PipelineError.self) { try TextToImageModel(contentsOf: folder.checkpoint.url) }
    #expect(error?.kind == .noInput && error?.message.contains("train-prior") ?? false)
  }
}
