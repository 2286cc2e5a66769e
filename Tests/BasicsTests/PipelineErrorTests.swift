import Basics
import Testing

struct PipelineErrorTests {
  /// Whatever a file says that is quoted in it.
  @Test func theMessageIsOneLine() {
    let error = PipelineError(.badData, "no \"a\nb\u{1B}[K\u{2028}\" in the file")
    #expect(error.message == "no \"a b [K \" in the file" && error.localizedDescription == error.message)
  }
}
