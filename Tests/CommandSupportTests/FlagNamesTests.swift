import Basics
import Checkpoints
import CommandSupport
import Decoding
import Priors
import Testing

struct FlagNamesTests {
  @Test(arguments: [
    ("`batchSize` must be 1 or more, not 0", "--batch-size must be 1 or more, not 0"),
    ("`topK`, `topP`", "--top-k, --top-p"),
    ("a larger `bound` goes on", "a larger --steps, --epochs or --minutes goes on"),
    ("`keptRows` must", "--keep-rows must"), ("leave `isWarmStart` out", "leave --warm-start out"),
    ("no setting, `not one`, `", "no setting, `not one`, `"),
  ])
  func settingsAreSpelledAsFlags(message: String, expected: String) { #expect(FlagNames.spelled(message) == expected) }

  /// What the library refuses names a setting by its own name, and the command line by the flag.
  @Test func theLibraryKnowsNoFlags() {
    var settings = TrainingSettings()
    settings.mergeDropout = 2
    var sampling = SamplingOptions()
    sampling.temperature = -1
    let errors = [
      #expect(throws: PipelineError.self) { try settings.validate() },
      #expect(throws: PipelineError.self) { try sampling.validate() },
    ]
    let messages = errors.compactMap { $0?.message }
    #expect(messages.map { $0.prefix(14) } == ["`mergeDropout`", "`temperature` "])
    #expect(messages.map(FlagNames.spelled).map { $0.prefix(15) } == ["--merge-dropout", "--temperature m"])
  }

  @Test func failuresHaveExitCodesOfTheirOwn() {
    let codes = PipelineError.Kind.allCases.map { PipelineError($0, "").exitCode }
    #expect(codes == [64, 65, 66, 73, 74])
  }
}
