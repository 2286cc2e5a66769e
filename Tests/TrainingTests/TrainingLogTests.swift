import Foundation
import PipelineTestSupport
import TestSupport
import Testing

@testable import Checkpoints
@testable import Training

@Suite struct TrainingLogTests {
  @Test func theLogGoesOnWhereTheStateDoes() throws {
    let folder = try TemporaryFolder()
    let tokenizer = TrainingLog(folder: folder.url, stage: .imageTokenizer, resumingAt: nil)
    try tokenizer.append(step: 1, seconds: 1, [("psnr", 20), ("loss", .nan)])
    try tokenizer.write()
    let prior = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil)
    for step in 1...5 { try prior.append(step: step, seconds: Double(step), [("image_loss", Double(step))]) }
    try prior.write()
    let resumed = TrainingLog(folder: folder.url, stage: .prior, resumingAt: 3)
    try resumed.append(step: 4, seconds: 9, [("image_loss", 40)])
    try resumed.write()
    let lines = String(decoding: try folder.contents(folder.url.appendingPathComponent("metrics.jsonl")), as: UTF8.self)
      .split(separator: "\n")
    #expect(
      lines == [
        #"{"stage":"image-tokenizer","step":1,"seconds":1.0,"psnr":20.0}"#,
        #"{"stage":"prior","step":1,"seconds":1.0,"image_loss":1.0}"#,
        #"{"stage":"prior","step":2,"seconds":2.0,"image_loss":2.0}"#,
        #"{"stage":"prior","step":3,"seconds":3.0,"image_loss":3.0}"#,
        #"{"stage":"prior","step":4,"seconds":9.0,"image_loss":40.0}"#,
      ])
  }

  /// Each save adds to the file, so that it can be followed while it grows; a line that a kill has cut is left out.
  @Test func theLogGrows() throws {
    let folder = try TemporaryFolder()
    let file = folder.path("metrics.jsonl")
    let log = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil)
    try log.append(step: 1, seconds: 1, [("image_loss", 3)])
    try log.write()
    let handle = try FileHandle(forReadingFrom: file)
    let first = try #require(try handle.readToEnd())
    try log.append(step: 2, seconds: 2, [("image_loss", 2)])
    try log.write()
    #expect(
      try handle.readToEnd() == Data(#"{"stage":"prior","step":2,"seconds":2.0,"image_loss":2.0}"#.utf8) + Data([10]))
    try (first + Data(#"{"stage":"prior","st"#.utf8)).write(to: file)
    let resumed = TrainingLog(folder: folder.url, stage: .prior, resumingAt: 2)
    try resumed.write()
    #expect(try Data(contentsOf: file) == first)
  }

  /// A run that is killed before its first save has changed nothing, and the one before can be resumed with its curves.
  @Test func aNewRunReplacesRowsWhenItIsSaved() throws {
    let folder = try TemporaryFolder()
    let file = folder.path("metrics.jsonl")
    let old = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil)
    try old.append(step: 1, seconds: 1, [("image_loss", 3)])
    try old.write()
    let before = try Data(contentsOf: file)
    let new = TrainingLog(folder: folder.url, stage: .prior, resumingAt: nil, flushInterval: .zero)
    try new.append(step: 1, seconds: 1, [("image_loss", 4)])
    #expect(try Data(contentsOf: file) == before)
    try new.write()
    try new.append(step: 2, seconds: 2, [("image_loss", 5)])
    #expect(String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n").count == 2)
    // Where there is nothing to lose, it can be followed from the beginning.
    try FileManager.default.createDirectory(at: folder.path("other"), withIntermediateDirectories: true)
    let first = TrainingLog(folder: folder.path("other"), stage: .prior, resumingAt: nil, flushInterval: .zero)
    try first.append(step: 1, seconds: 1, [("image_loss", 4)])
    #expect(try !Data(contentsOf: folder.path("other/metrics.jsonl")).isEmpty)
  }

  /// A long run's charts show its whole course by no more points than a short one's.
  @Test func longCurvesAreThinned() throws {
    let folder = try TemporaryFolder()
    let log = TrainingLog(folder: folder.url, stage: .ranker, resumingAt: nil)
    for step in 1...50_000 { try log.append(step: step, seconds: 1, [("loss", step <= 25_000 ? 4 : 1)]) }
    try log.write()
    let chart = String(decoding: try folder.read("ranker-loss.svg"), as: UTF8.self)
    #expect(chart.utf8.count < 200_000 && chart.contains("50000"))
  }
}
