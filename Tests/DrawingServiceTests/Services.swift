import Checkpoints
import Foundation
import Generation
import Imaging
import PipelineTestSupport
import TestSupport
import Testing

@testable import DrawingService

/// Models that several tests only read.
enum Shared {
  static let withRanker = Result { try Tiny.trainedWithRanker() }

  /// A service that has loaded the shared model.
  static func service(queueLength: Int = 64) async throws -> DrawingService {
    let folder = try withRanker.get()
    let service = DrawingService(
      CheckpointCatalogue(standard: folder.checkpoint.url), threads: 1, queueLength: queueLength)
    try await service.load()
    return service
  }

  static func model() throws -> TextToImageModel {
    try TextToImageModel(contentsOf: withRanker.get().checkpoint.url, threads: 1)
  }
}

/// All events of an order.
struct Outcome {
  var accepted: AcceptedOrder?
  var positions: [Int] = []
  var partial: [PartialPicture] = []
  /// In the order in which they came.
  var completed: [CompletedPicture] = []

  /// By their places in the order.
  var pictures: [Picture] { completed.sorted { $0.index < $1.index }.map(\.picture) }

  mutating func add(_ event: DrawingEvent) {
    switch event {
    case .accepted(let order): accepted = order
    case .queued(let position): positions.append(position)
    case .partial(let picture): partial.append(picture)
    case .completed(let picture): completed.append(picture)
    }
  }
}

extension DrawingService {
  /// Draws an order to its end.
  func outcome(_ order: DrawingOrder) async throws -> Outcome {
    var outcome = Outcome()
    for try await event in try draw(order).events { outcome.add(event) }
    return outcome
  }

  /// Begins an order that does not end by itself in the time of a test.
  func beginEndless() async throws -> DrawingTicket {
    let ticket = try draw(DrawingOrder("a red square", count: 1_000_000))
    for try await event in ticket.events { if case .queued(position: 0) = event { break } }
    return ticket
  }
}

func eventually(_ condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
  let holds = try await holdsEventually(condition)
  try #require(holds, "it did not come", sourceLocation: sourceLocation)
}
