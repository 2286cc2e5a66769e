import Datasets
import Foundation
import Generation
import Ladder
import PipelineTestSupport
import TestSupport
import Testing

@testable import LadderReport

@Suite struct LadderComparisonTests {
  /// One that cannot be read costs none of what the others say of the checkpoint.
  @Test func aDamagedPictureIsLeftOutOfTheCheckpointsRow() throws {
    let folder = try Tiny.trained()
    let files = try TemporaryFolder()
    try files.writeData(count: 24)
    let damaged = files.data.appendingPathComponent("103.png")
    try files.contents(damaged).dropLast(40).write(to: damaged)
    var comparison = try LadderComparison(
      LadderData(files.dataSet(pictureSize: 8)), draws: 12, options: LadderOptions())
    // Those of a checkpoint may be too large for the memory, and are read when they are asked for.
    let pictures = try PictureDataSet(contentsOf: files.data, pictureSize: 16, maximumBytesInMemory: 0)
    #expect(pictures.indices(of: .validation).count == 6)
    try comparison.add(TextToImageModel(contentsOf: folder.checkpoint.url), name: "local", pictures: pictures)
    let row = try #require(comparison.report.dalle)
    #expect(row.heldOutCaptions == 5 && row.drawings.count == 5 && row.reconstructions.count == 5)
  }
}
