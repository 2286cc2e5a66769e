import Basics
import Decoding
import Generation
import Imaging
import PipelineTestSupport
import Priors
import TestSupport
import Testing

@testable import DrawingService

struct DrawingServiceTests {
  /// Alone, in company of all kinds, with an image prompt, and the best of some.
  @Test func drawsWhatGenerateDraws() async throws {
    let service = try await Shared.service()
    let model = try Shared.model()
    var hot = SamplingOptions()
    (hot.temperature, hot.topK, hot.guidance) = (1.5, 0, 1)
    let image = ImagePrompt(Picture(width: 9, height: 9, color: .black), keptRows: 2)
    let orders = [
      DrawingOrder("a red square", count: 5, options: .init(seed: 3)),
      DrawingOrder("a blue bar", count: 11, options: .init(seed: 4, sampling: hot)),
      DrawingOrder("a green bar", count: 2, options: .init(seed: 5, imagePrompt: image), partialCount: 3),
      DrawingOrder("", options: .init(seed: 6)),
    ]
    let expected = try orders.map { try model.generate($0.caption, count: $0.count, options: $0.options) }
    for (order, pictures) in zip(orders, expected) {
      let alone = try await service.outcome(order)
      #expect(alone.pictures == pictures && alone.completed.map(\.number).sorted() == Array(0..<order.count))
    }
    let together = try await withThrowingTaskGroup(of: (Int, [Picture]).self) { group in
      for (number, order) in orders.enumerated() {
        for _ in 0..<3 { group.addTask { (number, try await service.outcome(order).pictures) } }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(together.count == 12)
    for (number, pictures) in together { #expect(pictures == expected[number]) }

    let ranked = try model.generateRanked(captions: ["a red square"], count: 3, candidates: 13, options: .init(seed: 7))
    let best = try await service.outcome(
      DrawingOrder("a red square", count: 3, candidates: 13, options: .init(seed: 7)))
    #expect(best.pictures == ranked[0].map(\.picture))
    #expect(best.completed.map(\.number) == ranked[0].map(\.number))
    #expect(best.completed.map(\.score) == ranked[0].map(\.score))
    #expect(best.accepted?.drawnTokens == 13 * 16)
    #expect(service.statistics.waiting == 0 && service.statistics.unfinished == 0)
  }

  @Test func whatIsKnownOfAnOrderComesFirst() async throws {
    let service = try await Shared.service()
    let image = ImagePrompt(Picture(width: 9, height: 9, color: .black))
    let ticket = try service.draw(
      DrawingOrder("a purple square", count: 2, options: .init(seed: 1, imagePrompt: image)))
    let events = ticket.events
    guard case .accepted(let accepted)? = try await events.next() else {
      Issue.record("something else comes first")
      return
    }
    let model = try Shared.model()
    #expect(accepted.notes == (try model.notes(on: "a purple square", options: .init()).lines))
    #expect(accepted.notes.contains("\"purple\" never occurs in the training captions"))
    #expect(accepted.keptTokens == 8 && accepted.keptRows == 2 && accepted.drawnTokens == 2 * 8)
    #expect(accepted.textTokens == model.tokens(of: "a purple square").used && accepted.checkpoint == "checkpoint")
  }

  /// Rows that are not drawn are white; of candidates the first one is shown.
  @Test func unfinishedPicturesAreShown() async throws {
    let service = try await Shared.service()
    let image = ImagePrompt(Picture(width: 9, height: 9, color: .black), keptRows: 1)
    for (order, most) in [
      (DrawingOrder("a red square", count: 2, options: .init(seed: 3), partialCount: 3), 3),
      (DrawingOrder("a red square", options: .init(seed: 3, imagePrompt: image), partialCount: 1000), 11),
      (DrawingOrder("a red square", candidates: 4, options: .init(seed: 3), partialCount: 3), 3),
    ] {
      // A reader may be too slow for some of them, and on a busy machine for all.
      var outcome = Outcome()
      let isShown = try await holdsEventually {
        outcome = try await service.outcome(order)
        return (0..<order.count).allSatisfy { index in outcome.partial.contains { $0.index == index } }
      }
      #expect(isShown)
      for index in 0..<order.count {
        let shown = outcome.partial.filter { $0.index == index }.map(\.partialIndex)
        #expect(shown == shown.sorted() && Set(shown).count == shown.count)
        #expect(shown.allSatisfy { (0..<most).contains($0) })
      }
      let first = try #require(outcome.partial.first)
      #expect(first.picture.pixels.suffix(16 * 3).allSatisfy { $0 == 255 } && !outcome.pictures.contains(first.picture))
    }
    #expect(Drawing.partialPlaces(3, of: 64) == [16, 32, 48] && Drawing.partialPlaces(0, of: 64) == [])
    #expect(Drawing.partialPlaces(64, of: 64) == Array(1..<64) && Drawing.partialPlaces(5, of: 1) == [])
    for count in 0..<20 {
      let places = Drawing.partialPlaces(count, of: 16)
      #expect(places.count == min(count, 15) && Set(places).count == places.count)
      #expect(places.allSatisfy { (1..<16).contains($0) })
    }
  }

  /// One that asks for a million does not keep another from being begun, and finished.
  @Test func nobodyWaitsForCompany() async throws {
    let service = try await Shared.service()
    let endless = try await service.beginEndless()
    for seed in 0..<3 as Range<UInt64> {
      let one = try await service.outcome(DrawingOrder("a blue bar", options: .init(seed: seed)))
      #expect(one.positions == [0] && one.completed.count == 1)
    }
    let several = try await withThrowingTaskGroup(of: Outcome.self) { group in
      for seed in 0..<20 as Range<UInt64> {
        group.addTask { try await service.outcome(DrawingOrder("a blue bar", count: 2, options: .init(seed: seed))) }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(several.count == 20 && several.allSatisfy { $0.completed.count == 2 && $0.positions.last == 0 })
    #expect(several.allSatisfy { $0.positions == $0.positions.sorted(by: >) })
    #expect(service.statistics.unfinished == 1)
    endless.cancel()
  }

  /// As many orders as there are places, for many pictures each, let others in between.
  @Test(.timeLimit(.minutes(60))) func nobodyWaitsForAllThatIsUnderWay() async throws {
    let service = try await Shared.service()
    let endless = try await (0..<8).asyncMap { _ in try await service.beginEndless() }
    let one = try await service.outcome(DrawingOrder("a blue bar"))
    #expect(one.positions.last == 0 && one.completed.count == 1)
    #expect(service.statistics.finished == 1 && service.statistics.unfinished == 8)
    for ticket in endless { ticket.cancel() }
  }

  @Test func aQueueHasAnEnd() async throws {
    let reception = Reception(queueLength: 3)
    let catalogue = CheckpointCatalogue(standard: try Shared.withRanker.get().checkpoint.url)
    let room = DrawingRoom(reception: reception, catalogue: catalogue, threads: 1, checkpointLimit: 1) { _ in }
    try await room.loadStandard()
    reception.open()
    // Nothing is drawn until it is said, and so all of them wait.
    let waiting = try (0..<3).map { _ in try reception.take(DrawingOrder("a blue bar", count: 2)) }
    let refusal = #expect(throws: DrawingRefusal.self) { try reception.take(DrawingOrder("a blue bar")) }
    guard case .queueIsFull(let seconds)? = refusal else {
      Issue.record("\(String(describing: refusal))")
      return
    }
    #expect((1...60).contains(seconds) && reception.statistics.waiting == 3 && reception.statistics.refused == 1)
    // Whoever goes before the turn comes makes room, too.
    waiting[1].abandon()
    await room.draw()
    let statistics = reception.statistics
    #expect(statistics.waiting == 0 && statistics.unfinished == 0 && statistics.failed == 0)
    #expect(statistics.finished == 2 && statistics.abandoned == 1 && statistics.pictures == 4)
    _ = try reception.take(DrawingOrder("a blue bar"))
  }

  /// Orders of which something is drawn already take memory, too.
  @Test func ordersUnderWayAreBounded() throws {
    let reception = Reception(queueLength: 3)
    reception.open()
    for _ in 0..<35 {
      _ = try reception.take(DrawingOrder("a blue bar", count: 2))
      reception.hasBegun()
    }
    #expect(reception.statistics.waiting == 0 && reception.statistics.unfinished == 35)
    #expect(throws: DrawingRefusal.self) { try reception.take(DrawingOrder("a blue bar")) }
    #expect(throws: DrawingRefusal.self) { try reception.checkRoom() }
    reception.hasEnded(.abandoned, wasBegun: true, undrawn: 2)
    try reception.checkRoom()
    #expect(reception.statistics.refused == 2)
  }

  /// An order for several comes to its end while others come all the time, and some always wait.
  @Test(.timeLimit(.minutes(60))) func whoeverComesLaterTakesNobodysTurn() async throws {
    let service = try await Shared.service()
    let others = Task {
      var tickets: [DrawingTicket] = []
      while !Task.isCancelled {
        while service.statistics.waiting < 40 { tickets.append(try service.draw(DrawingOrder("a blue bar"))) }
        try? await Task.sleep(for: .milliseconds(1))
      }
      return tickets.count
    }
    try await eventually { service.statistics.waiting >= 20 }
    let several = try await service.outcome(DrawingOrder("a red square", count: 4))
    #expect(several.completed.count == 4)
    others.cancel()
    #expect(try await others.value > 40)
  }

  @Test func whoHasGoneIsNoLongerDrawnFor() async throws {
    let service = try await Shared.service()
    // By name.
    let ticket = try await service.beginEndless()
    ticket.cancel()
    try await eventually { service.statistics.abandoned == 1 }
    // The stream is let go.
    func readOne() async throws { _ = try await service.beginEndless().events.next() }
    try await readOne()
    try await eventually { service.statistics.abandoned == 2 }
    // The reader's task is cancelled.
    let task = Task { try await service.outcome(DrawingOrder("a red square", count: 1_000_000)) }
    try await eventually { service.statistics.unfinished == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    try await eventually { service.statistics.abandoned == 3 && service.statistics.unfinished == 0 }
    let tokens = service.statistics.tokens
    _ = try await service.outcome(DrawingOrder("a red square"))
    #expect(service.statistics.tokens == tokens + 16)
  }

  @Test func atTheEndWhatWasAcceptedIsFinished() async throws {
    let service = try await Shared.service()
    let tickets = try (0..<20).map {
      try service.draw(DrawingOrder("a red square", count: 3, options: .init(seed: $0)))
    }
    async let drained: Void = service.drain()
    try await eventually { !service.isReady }
    #expect(throws: DrawingRefusal.isEnding) { try service.draw(DrawingOrder("a red square")) }
    await drained
    #expect(service.statistics.unfinished == 0 && service.statistics.finished == 20)
    for ticket in tickets {
      var outcome = Outcome()
      for try await event in ticket.events { outcome.add(event) }
      #expect(outcome.completed.count == 3)
    }
    await service.drain()
  }

  @Test func whatMakesNoSenseIsRefused() async throws {
    let service = try await Shared.service()
    func expectUsage(_ words: String, _ order: DrawingOrder, sourceLocation: SourceLocation = #_sourceLocation) async {
      let error = await #expect(throws: PipelineError.self, sourceLocation: sourceLocation) {
        try await service.outcome(order)
      }
      #expect(error?.kind == .usage && error?.message.contains(words) == true, sourceLocation: sourceLocation)
    }
    await expectUsage("`count`", DrawingOrder("x", count: 0))
    await expectUsage("`candidates`", DrawingOrder("x", count: 3, candidates: 2))
    await expectUsage("`topP`", DrawingOrder("x", options: .init(sampling: .init(topP: 2))))
    let picture = Picture(width: 9, height: 9, color: .white)
    await expectUsage("`keptRows`", DrawingOrder("x", options: .init(imagePrompt: ImagePrompt(picture, keptRows: 4))))
    #expect(throws: DrawingRefusal.noCheckpoint("../checkpoint")) {
      try service.draw(DrawingOrder("x", checkpoint: "../checkpoint"))
    }
    #expect(service.statistics.failed == 4 && service.statistics.unfinished == 0)
    let plain = try Tiny.trained(steps: 1)
    let unranked = DrawingService(CheckpointCatalogue(standard: plain.checkpoint.url), threads: 1)
    try await unranked.load()
    await #expect(throws: DrawingRefusal.noRanker("checkpoint")) {
      try await unranked.outcome(DrawingOrder("x", candidates: 2))
    }
    #expect(unranked.statistics.failed == 1 && unranked.statistics.unfinished == 0)
  }

  @Test func nothingIsTakenBeforeItIsLoaded() async throws {
    let folder = try Shared.withRanker.get()
    let service = DrawingService(CheckpointCatalogue(standard: folder.checkpoint.url), threads: 1)
    #expect(!service.isReady)
    #expect(throws: DrawingRefusal.isLoading) { try service.draw(DrawingOrder("x")) }
    try await service.load()
    #expect(service.isReady)
    let missing = DrawingService(CheckpointCatalogue(standard: folder.path("nothing")), threads: 1)
    await #expect(throws: PipelineError.self) { try await missing.load() }
    #expect(!missing.isReady)
  }
}

extension Sequence {
  /// One after the other.
  fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}
