import Imaging
import Testing

@testable import DrawingService

struct MailboxTests {
  private func partial(_ index: Int, _ partialIndex: Int) -> DrawingEvent {
    .partial(
      PartialPicture(index: index, partialIndex: partialIndex, picture: Picture(width: 1, height: 1, color: .white)))
  }

  /// What waits is bounded, and nothing that matters is lost.
  @Test func aSlowReaderSeesTheLastOfEach() async throws {
    let mailbox = Mailbox()
    for i in 0..<100 {
      mailbox.send(.queued(position: 100 - i))
      mailbox.send(partial(i % 2, i))
    }
    let picture = Picture(width: 1, height: 1, color: .black)
    mailbox.send(.completed(CompletedPicture(index: 0, number: 0, picture: picture, score: nil)))
    mailbox.finish()
    var outcome = Outcome()
    while let event = try await mailbox.next() { outcome.add(event) }
    #expect(outcome.positions == [1] && outcome.partial.map(\.partialIndex) == [99] && outcome.completed.count == 1)
    #expect(try await mailbox.next() == nil)
  }

  @Test func anErrorComesAfterWhatWasSent() async throws {
    let mailbox = Mailbox()
    mailbox.send(.queued(position: 1))
    mailbox.finish(.failure(DrawingRefusal.isEnding))
    guard case .queued? = try await mailbox.next() else {
      Issue.record("the event is lost")
      return
    }
    await #expect(throws: DrawingRefusal.isEnding) { _ = try await mailbox.next() }
  }

  @Test func aReaderThatIsCancelledLeaves() async throws {
    let mailbox = Mailbox()
    let task = Task { try await mailbox.next() == nil }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(mailbox.isAbandoned)
    mailbox.send(.queued(position: 1))
    await #expect(throws: CancellationError.self) { _ = try await mailbox.next() }
  }
}
