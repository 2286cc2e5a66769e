import PipelineTestSupport
import Testing

@testable import Checkpoints
@testable import Evaluation

@Suite struct ModelCardTests {
  /// Runs that went on with each other's weights count from the first one's beginning.
  @Test func theCardTellsWhenHalfWereReached() throws {
    let folder = try Tiny.trained(steps: 4)
    var configuration = try folder.checkpoint.readConfiguration()
    var last = try #require(configuration.priorTraining)
    (last.minutes, last.retrieval) = (30, .init(at1: 0.7, minutesToHalf: 8.1))
    var earlier = last
    (earlier.minutes, earlier.retrieval) = (20, .init(at1: 0.3))
    configuration.priorTraining = last
    configuration.tokenizerTraining?.minutes = 5
    func card() -> String { ModelCard(folder.checkpoint, configuration).markdown }
    #expect(card().contains("after at most 8.1 minutes of `train-prior`, with a tokenizer of 5.0 minutes"))
    configuration.earlierPriorTraining = [earlier]
    #expect(card().contains("after at most 28.1 minutes"))
    configuration.earlierPriorTraining?[0].retrieval = nil
    #expect(!card().contains("nearest neighbour was"), "it may have been reached before")
    configuration.earlierPriorTraining = nil
    configuration.priorTraining?.retrieval = .init(at1: 0.4)
    #expect(!card().contains("nearest neighbour was"))
  }
}
