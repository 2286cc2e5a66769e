import Foundation
import Generation
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints

@Suite struct CheckpointTests {
  /// Tokenizer and prior that speak of differently many codes a place.
  @Test func codesAPlaceBelongTogether() throws {
    let folder = try Tiny.trained(imageTokenizer: Tiny.residual(depth: 2))
    let other = try TemporaryFolder()
    try other.writeData()
    try Tiny.trainTokenizer(other, Tiny.settings(steps: 1))
    var configuration = try folder.checkpoint.readConfiguration()
    configuration.imageTokenizer = try other.checkpoint.readConfiguration().imageTokenizer
    try folder.checkpoint.write(configuration)
    try FileManager.default.removeItem(at: folder.checkpoint.imageTokenizerFile)
    try FileManager.default.copyItem(at: other.checkpoint.imageTokenizerFile, to: folder.checkpoint.imageTokenizerFile)
    let error = #expect(throws: PipelineError.self) { _ = try TextToImageModel(contentsOf: folder.checkpoint.url) }
    #expect(error?.message.contains("the prior was made for 64 image tokens, and there are 32") ?? false)
  }

  @Test func whatAKillHasLeftIsRemoved() throws {
    let folder = try TemporaryFolder()
    let checkpoint = folder.checkpoint
    _ = try checkpoint.create()
    let left = checkpoint.url.appendingPathComponent("prior.safetensors.77.partial")
    try Data(count: 9).write(to: left)
    _ = try checkpoint.create()
    #expect(try Set(FileManager.default.contentsOfDirectory(atPath: checkpoint.url.path)) == ["log", ".lock"])
  }

  @Test func whatSomebodyElseHasThereStays() throws {
    let folder = try TemporaryFolder()
    let checkpoint = folder.checkpoint
    _ = try checkpoint.create()
    let film = checkpoint.url.appendingPathComponent("film.mkv.partial")
    try Data(count: 9).write(to: film)
    _ = try checkpoint.create()
    #expect(FileManager.default.fileExists(atPath: film.path))
    // A vocabulary is trained before there is anything else.
    try Data("{}".utf8).write(to: checkpoint.vocabularyFile)
    _ = try checkpoint.create()
    try Data("mine".utf8).write(to: checkpoint.modelCardFile)
    let error = #expect(throws: PipelineError.self) { _ = try checkpoint.create() }
    #expect(error?.kind == .cannotCreate && error?.message.contains("has a README.md and is no checkpoint") ?? false)
    #expect(try Data(contentsOf: checkpoint.modelCardFile) == Data("mine".utf8))
  }

  @Test func partsThatDoNotBelongTogether() throws {
    let folder = try Tiny.trained()
    let other = try TemporaryFolder()
    try other.writeData()
    try Tiny.trainTokenizer(other, Tiny.settings(steps: 1))
    var settings = Tiny.settings(steps: 1)
    settings.vocabularySize = 270
    try Tiny.trainPrior(other, settings)
    let file = folder.checkpoint.vocabularyFile
    try FileManager.default.removeItem(at: file)
    try FileManager.default.copyItem(at: other.checkpoint.vocabularyFile, to: file)
    for use in [
      { _ = try TextToImageModel(contentsOf: folder.checkpoint.url) },
      { try Tiny.trainPrior(folder, Tiny.settings(steps: 9), resume: true) },
    ] {
      let error = #expect(throws: PipelineError.self) { try use() }
      #expect(error?.message.contains("the prior was made for 280 text pieces, and there are 270") ?? false)
    }
  }
}
