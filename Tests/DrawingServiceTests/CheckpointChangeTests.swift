import Basics
import Checkpoints
import Decoding
import Foundation
import Generation
import PipelineTestSupport
import Synchronization
import TestSupport
import Testing

@testable import DrawingService

struct CheckpointChangeTests {
  /// A folder `checkpoints` with models that draw different pictures, by their names.
  private func folder(_ seeds: [String: UInt64]) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try FileManager.default.createDirectory(at: folder.path("checkpoints"), withIntermediateDirectories: true)
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    for (name, seed) in seeds {
      let copy = folder.path("checkpoints/\(name)")
      try FileManager.default.copyItem(at: folder.checkpoint.url, to: copy)
      try Tiny.trainPrior(folder, Tiny.settings(steps: 2, seed: seed))
      try FileManager.default.removeItem(at: copy)
      try FileManager.default.copyItem(at: folder.checkpoint.url, to: copy)
      for file in [folder.checkpoint.priorFile, folder.checkpoint.vocabularyFile] {
        try FileManager.default.removeItem(at: file)
      }
    }
    return folder
  }

  private static let order: DrawingOrder = {
    var options = GenerationOptions(seed: 1)
    options.sampling = SamplingOptions(temperature: 2, topK: 0)
    return DrawingOrder("a red square", options: options)
  }()

  private func replace(_ folder: TemporaryFolder, _ name: String, by other: String) throws {
    let (old, new) = (folder.path("checkpoints/\(name)"), folder.path("checkpoints/\(other)"))
    try FileManager.default.removeItem(at: old)
    try FileManager.default.copyItem(at: new, to: old)
  }

  /// Has files watched until `condition` holds, and not while the test changes them: what is there in between is changed files, too.
  private func watch(_ service: DrawingService, until condition: () -> Bool) async throws {
    // Cancelled and awaited at the end of the scope.
    async let _ = service.watchCheckpoints(every: .milliseconds(5))
    try await eventually(condition)
  }

  @Test func aChangedCheckpointTakesThePlaceOfTheOldOne() async throws {
    let folder = try folder(["a": 1, "b": 2])
    let reports = Reports()
    let catalogue = CheckpointCatalogue(standard: folder.path("checkpoints/a"))
    let service = DrawingService(catalogue, threads: 1) {
      reports.append("\($0)")
    }
    try await service.load()
    let before = try await service.outcome(Self.order).pictures
    var long = Self.order
    long.count = 500
    let underWay = try service.draw(long)
    try replace(folder, "a", by: "b")
    let expected = try TextToImageModel(contentsOf: folder.path("checkpoints/b"), threads: 1)
      .generate(Self.order.caption, options: Self.order.options)
    #expect(before != expected)
    // By itself, once the files rest.
    try await watch(service) { service.statistics.reloads == 1 }
    #expect(try await service.outcome(Self.order).pictures == expected)
    // What was under way is finished with the old one.
    var outcome = Outcome()
    for try await event in underWay.events {
      outcome.add(event)
      if outcome.completed.contains(where: { $0.index == 499 }) { break }
    }
    #expect(outcome.pictures.first == before[0])

    // A damaged one is told once, and the old one stays.
    try Data("nothing".utf8).write(to: folder.path("checkpoints/a/prior.safetensors"))
    try await watch(service) { service.statistics.failedReloads == 1 }
    #expect(try await service.outcome(Self.order).pictures == expected)
    // Mended, it is taken again.
    try replace(folder, "a", by: "b")
    try await watch(service) { service.statistics.reloads == 2 }
    // The folder goes, and the model stays.
    try FileManager.default.removeItem(at: folder.path("checkpoints/a"))
    try await watch(service) { service.statistics.failedReloads == 2 }
    #expect(try await service.outcome(Self.order).pictures == expected)
    // It is told as it is loaded, and draws for who asks by its name.
    #expect(catalogue.descriptions.map(\.name) == ["a"] && catalogue.description(of: "a")?.pictureSize == 16)
    #expect(reports.lines.count { $0.hasPrefix("reloaded") } == 2)
    // Asked for, it is tried whether anything has changed or not.
    try FileManager.default.copyItem(at: folder.path("checkpoints/b"), to: folder.path("checkpoints/a"))
    await service.reload()
    await service.reload()
    #expect(service.statistics.reloads == 4)
  }

  @Test func everyFileThatIsDrawnWithIsWatched() throws {
    let folder = try TemporaryFolder()
    let checkpoint = folder.checkpoint
    try FileManager.default.createDirectory(at: checkpoint.url, withIntermediateDirectories: true)
    for file in [
      checkpoint.configurationFile, checkpoint.imageTokenizerFile, checkpoint.upsamplerFile, checkpoint.priorFile,
      checkpoint.rankerFile, checkpoint.vocabularyFile, checkpoint.captionsFile, checkpoint.nounsFile,
    ] {
      for content in ["new", "changed"] {
        let before = CheckpointFingerprint(of: checkpoint.url)
        try Data(content.utf8).write(to: file)
        #expect(CheckpointFingerprint(of: checkpoint.url) != before, "\(file.lastPathComponent), \(content)")
      }
    }
    let before = CheckpointFingerprint(of: checkpoint.url)
    try Data("changed".utf8).write(to: checkpoint.modelCardFile)
    #expect(CheckpointFingerprint(of: checkpoint.url) == before)
  }

  @Test func severalCheckpointsDraw() async throws {
    let folder = try folder(["a": 1, "b": 2, "c": 3])
    try folder.write("no checkpoint", to: "checkpoints/d/config.json")
    let catalogue = CheckpointCatalogue(standard: folder.path("checkpoints/b"), others: folder.path("checkpoints"))
    #expect(catalogue.descriptions.map(\.name) == ["b", "a", "c"])
    #expect(catalogue.descriptions.map(\.isDefault) == [true, false, false])
    let first = catalogue.descriptions[0]
    #expect(first.pictureSize == 16 && first.gridSide == 4 && first.codesPerPlace == 1 && !first.hasRanker)
    let service = DrawingService(catalogue, threads: 1, checkpointLimit: 2)
    try await service.load()
    func draw(_ name: String?) async throws -> Outcome {
      var order = Self.order
      order.checkpoint = name
      return try await service.outcome(order)
    }
    for name in ["a", "b", "c", "a"] {
      let expected = try TextToImageModel(contentsOf: folder.path("checkpoints/\(name)"), threads: 1)
        .generate(Self.order.caption, options: Self.order.options)
      let outcome = try await draw(name)
      #expect(outcome.pictures == expected && outcome.accepted?.checkpoint == name)
    }
    #expect(try await draw(nil).accepted?.checkpoint == "b")
    // Two are in use, and there is no room for a third.
    var endless = Self.order
    endless.count = 1_000_000
    var tickets: [DrawingTicket] = []
    for name in ["a", "b"] {
      endless.checkpoint = name
      tickets.append(try service.draw(endless))
      for try await event in tickets[tickets.count - 1].events { if case .accepted = event { break } }
    }
    await #expect(throws: DrawingRefusal.noRoomForCheckpoint("c")) { try await draw("c") }
    for ticket in tickets { ticket.cancel() }
    try await eventually { service.statistics.unfinished == 0 }
    #expect(try await draw("c").completed.count == 1)
    // A damaged one fails those who ask for it.
    try Data("nothing".utf8).write(to: folder.path("checkpoints/a/prior.safetensors"))
    await #expect(throws: (any Error).self) { try await draw("a") }
    await #expect(throws: DrawingRefusal.noCheckpoint("e")) { try await draw("e") }
    #expect(try await draw(nil).completed.count == 1)
  }

  /// What lies there later is another checkpoint's, and what is damaged is not drawn with.
  @Test func allOfACheckpointIsReadAtOnce() async throws {
    let folder = try Tiny.trainedWithRanker(steps: 1)
    let catalogue = CheckpointCatalogue(standard: folder.checkpoint.url)
    let service = DrawingService(catalogue, threads: 1)
    try await service.load()
    try Data("nothing".utf8).write(to: folder.checkpoint.rankerFile)
    try Data("nothing".utf8).write(to: folder.checkpoint.captionsFile)
    #expect(try await service.outcome(DrawingOrder("a red square", candidates: 2)).completed.count == 1)
    let other = DrawingService(catalogue, threads: 1)
    await #expect(throws: PipelineError.self) { try await other.load() }
    #expect(!other.isReady)
  }
}
