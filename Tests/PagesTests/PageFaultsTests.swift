import PipelineTestSupport
import Testing

/// What the tests of pages rely on.
@Suite struct PageFaultsTests {
  @Test(arguments: [
    "<p>", "</p>", "<p><b></p></b>", "<img src=\"x.png\">", "<a href=\"https://x\">y</a>", "<p style=\"url(x)\"></p>",
    "<style>@import</style>",
  ])
  func pagesThatAreNotWholeAreFound(html: String) { #expect(!faults(ofPage: html).isEmpty) }

  @Test func wholePagesHaveNone() {
    #expect(
      faults(ofPage: "<!DOCTYPE html><p id=\"a\"><a href=\"#a\">x</a><img src=\"data:image/png;base64,\"></p>").isEmpty)
  }
}
