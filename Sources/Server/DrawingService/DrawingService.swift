import Basics

/// Draws for many at a time, from models that are loaded once.
///
/// Orders come from any task, join a batch that is under way, and leave it when they are done or nobody reads their events any
/// more. Picture i of a seed is the same bits in any company, and those that `TextToImageModel.generate` draws.
///
/// ```swift
/// let service = DrawingService(CheckpointCatalogue(standard: folder), threads: 8)
/// try await service.load()
/// for try await event in try service.draw(DrawingOrder("a red heart")).events {
///   if case .completed(let picture) = event { … }
/// }
/// ```
package final class DrawingService: Sendable {
  package let catalogue: CheckpointCatalogue
  private let reception: Reception
  private let room: DrawingRoom

  /// Orders that may wait unless another number is said: at a tenth of a second a picture, and one each, what comes last begins after
  /// some six seconds, and the pictures of all that wait fit into little memory.
  package static let standardQueueLength = 64

  /// - Parameters:
  ///   - catalogue: the checkpoints to draw with.
  ///   - threads: how many threads draw. The pictures do not depend on it.
  ///   - queueLength: how many orders wait at most beside those that are being drawn, of which there are a few dozens at most.
  ///   - checkpointLimit: how many checkpoints are in memory at most.
  ///   - report: is told what happens to checkpoints, on any thread.
  package init(
    _ catalogue: CheckpointCatalogue, threads: Int, queueLength: Int = standardQueueLength, checkpointLimit: Int = 2,
    report: @escaping @Sendable (DrawingReport) -> Void = { _ in }
  ) {
    self.catalogue = catalogue
    reception = Reception(queueLength: queueLength)
    room = DrawingRoom(
      reception: reception, catalogue: catalogue, threads: threads, checkpointLimit: checkpointLimit, report: report)
  }

  /// Loads the default checkpoint, and takes orders from then on.
  /// - Throws: `PipelineError` where it is missing or damaged.
  package func load() async throws(PipelineError) {
    try await room.loadStandard()
    reception.open()
  }

  /// Whether orders are taken.
  package var isReady: Bool { reception.phase == .open }
  package var statistics: DrawingStatistics { reception.statistics }

  /// Takes an order. Its pictures are drawn for as long as somebody reads the events: a stream that is let go, or whose reader's
  /// task is cancelled, takes them out, and so does ``DrawingTicket/cancel()``.
  /// - Throws: where the order is not taken.
  package func draw(_ order: DrawingOrder) throws(DrawingRefusal) -> DrawingTicket {
    if order.checkpoint != nil, catalogue.folder(named: order.checkpoint) == nil {
      throw .noCheckpoint(order.checkpoint ?? "")
    }
    let mailbox = try reception.take(order)
    Task { [room] in await room.draw() }
    return DrawingTicket(mailbox)
  }

  /// For whoever would have work before the order can be given.
  /// - Throws: where no order would be taken now.
  package func checkRoom() throws(DrawingRefusal) { try reception.checkRoom() }

  /// Loads all checkpoints anew that are in memory; one that is damaged stays as it is.
  package func reload() async { await room.reload(all: true) }

  /// Loads checkpoints anew whose files have changed and do not change any more, until the task is cancelled.
  /// - Parameter interval: between two looks at the files.
  package func watchCheckpoints(every interval: Duration = .seconds(2)) async {
    while (try? await Task.sleep(for: interval)) != nil { await room.reload() }
  }

  /// Takes no orders any more, and waits until all that were taken are done.
  package func drain() async { await reception.drain() }
}

/// An order that was taken.
package struct DrawingTicket: Sendable {
  package let events: DrawingEvents
  private let mailbox: Mailbox

  init(_ mailbox: Mailbox) { (self.mailbox, events) = (mailbox, DrawingEvents(mailbox)) }

  /// Has it not drawn any further; its events end with a `CancellationError`.
  package func cancel() { mailbox.abandon() }
}

/// What becomes of an order, `.accepted` first, up to all completed pictures. It ends with a `PipelineError` for an order that
/// makes no sense, and with a `DrawingRefusal` where its checkpoint cannot be had. It has one reader.
package struct DrawingEvents: AsyncSequence, AsyncIteratorProtocol, Sendable {
  /// Abandons the order when nobody can read any more.
  private final class Reader: Sendable {
    let mailbox: Mailbox
    init(_ mailbox: Mailbox) { self.mailbox = mailbox }
    deinit { mailbox.abandon() }
  }

  private let reader: Reader

  init(_ mailbox: Mailbox) { reader = Reader(mailbox) }

  package func makeAsyncIterator() -> Self { self }
  package func next() async throws -> DrawingEvent? { try await reader.mailbox.next() }
}
