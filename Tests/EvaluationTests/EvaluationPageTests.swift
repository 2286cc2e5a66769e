import Datasets
import Foundation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Evaluation
@testable import Generation
@testable import Pages

@Suite struct EvaluationPageTests {
  /// Both stages, and the data set with captions that are markup.
  private func trained() throws -> (folder: TemporaryFolder, dataSet: PictureDataSet) {
    let folder = try Tiny.trained()
    let file = folder.data.appendingPathComponent("metadata.jsonl")
    let metadata = try String(contentsOf: file, encoding: .utf8)
    try Data(metadata.replacing("a red", with: "a <script>red</script> & 'co'").utf8).write(to: file)
    return (folder, try folder.dataSet())
  }

  private func count(_ part: String, in html: String) -> Int { html.ranges(of: part).count }

  @Test func thePageHoldsEveryCaptionAndPicture() throws {
    let (folder, dataSet) = try trained()
    let evaluator = try Evaluator(TextToImageModel(contentsOf: folder.checkpoint.url), dataSet)
    let evaluations = [
      try #require(try evaluator.evaluate(.train, captionLimit: 5)), try #require(try evaluator.evaluate(.validation)),
    ]
    #expect(evaluations.map(\.drawings.count) == [5, 3])
    let outside = ["a <b>tapir</b> & more", "a blue square"]
    let prompts = try evaluator.draw(outside, count: 3)
    #expect(prompts.map(\.caption) == outside && prompts.allSatisfy { $0.drawings.count == 3 })
    #expect(prompts.map(\.isInTraining) == [false, true])
    #expect(prompts[0].unseenWords == ["b", "tapir", "more", "<", ">"])
    let page = EvaluationPage(
      checkpoint: "<i>mine</i>", data: "squares & bars", options: .init(), evaluations: evaluations, prompts: prompts)
    let html = try page.html()
    #expect(faults(ofPage: html).isEmpty)
    #expect(!html.contains("<script") && !html.contains("<i>") && !html.contains("<b>tapir"))
    for caption in evaluations.flatMap(\.drawings).map(\.caption) + outside {
      #expect(html.contains("\(SVG.escaped(caption))<"), "\(caption)")
    }
    #expect(html.contains("a &lt;script&gt;red&lt;/script&gt; &amp; &#39;co&#39; "))
    // Four pictures a caption; for those from outside what was drawn and its nearest.
    #expect(count("<img ", in: html) == 4 * (5 + 3) + 2 * 2 * 3)
    for picture in evaluations.flatMap(\.drawings).flatMap({ [$0.original, $0.reconstruction, $0.drawn!.picture] })
      + prompts.flatMap(\.drawings).map(\.picture)
    { #expect(html.contains(try picture.pngData().base64EncodedString())) }
    #expect(count("The training split has this very caption", in: html) == 1)
    for split in ["train", "validation"] { #expect(html.contains("<section id=\"\(split)\">")) }
    #expect(!html.contains("id=\"test\""))
    for row in Evaluation.figures(evaluations) { for cell in row { #expect(html.contains("<td>\(cell)</td>")) } }
    // A mark for each hit and each ceiling.
    let ranks = evaluations.flatMap(\.drawings).flatMap { [$0.ceiling.rank, $0.drawn!.own!.rank] }
    #expect(count("@1 ✓", in: html) == ranks.count { $0 < 1 } && count("@1 ✗", in: html) == ranks.count { $0 >= 1 })
    #expect(count("@5 ✓", in: html) == ranks.count { $0 < 5 } && count("@5 ✗", in: html) == ranks.count { $0 >= 5 })
  }

  @Test func stageOneAloneHasASheetToo() throws {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    let evaluator = try Evaluator(StandaloneImageTokenizer(folder.checkpoint, threads: 2), folder.dataSet())
    let evaluation = try #require(try evaluator.evaluate(.validation))
    #expect(try evaluator.draw(["a red square"], count: 2).isEmpty)
    let html = try EvaluationPage(checkpoint: "x", data: "y", options: .init(), evaluations: [evaluation]).html()
    #expect(faults(ofPage: html).isEmpty)
    #expect(count("<img ", in: html) == 2 * 3 && html.contains("has no prior yet") && !html.contains("drawn <"))
  }

  @Test func thePageIsWrittenWholeOrNotAtAll() throws {
    let folder = try TemporaryFolder()
    let page = EvaluationPage(checkpoint: "x", data: "y", options: .init(), evaluations: [])
    let file = folder.url.appendingPathComponent("sheet.html")
    try page.write(to: file)
    try page.write(to: file)
    #expect(try folder.contents(file) == Data(page.html().utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["sheet.html"])
    let nowhere = folder.url.appendingPathComponent("no/x.html")
    let error = #expect(throws: PipelineError.self) { try page.write(to: nowhere) }
    #expect(error?.kind == .cannotCreate && error?.message.contains("no/x.html") ?? false)
  }
}
