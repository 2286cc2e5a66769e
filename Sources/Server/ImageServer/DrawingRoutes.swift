import Basics
import DrawingService
import Foundation
import Generation
import Hummingbird
import Imaging
import NIOCore

/// Answers requests for pictures.
struct DrawingRoutes: Sendable {
  let service: DrawingService
  let limits: RequestLimits
  /// What is written into pictures as their maker.
  let software: String
  private let forms = FormReader()
  private let answers = AnswerWriter()
  /// Apart, so that forms that come slowly leave room for captions.
  private let allowances: (json: BodyAllowance, forms: BodyAllowance)

  init(service: DrawingService, limits: RequestLimits, software: String) {
    (self.service, self.limits, self.software) = (service, limits, software)
    allowances = (BodyAllowance(limits.allBytes), BodyAllowance(limits.allBytes))
  }

  func answer(_ endpoint: Endpoint, _ request: Request, _ context: ServerContext) async throws -> Response {
    let client = context.watchClient()
    let parameters = try await parameters(endpoint, request, client)
    let ticket = try await taken { () throws(DrawingRefusal) in try service.draw(parameters.order) }
    // Who has gone is no longer drawn for.
    client.whenGone { ticket.cancel() }
    let events = ticket.events
    // What is wrong with an order is known before anything is answered.
    guard case .accepted(let accepted)? = try await events.next() else { throw APIError.internalError }
    let writer = PictureWriter(parameters, accepted, software: software)
    if parameters.isStream { return stream(ticket, writer) }
    var pictures: [CompletedPicture] = []
    while let event = try await events.next() { if case .completed(let picture) = event { pictures.append(picture) } }
    return .json(try await answers.answer(pictures, writer))
  }

  private func taken<Result>(_ order: () throws(DrawingRefusal) -> Result) async throws -> Result {
    do throws(DrawingRefusal) { return try order() } catch {
      // Clients that ask again at once would take the time that drawing needs.
      if case .queueIsFull = error { try await Task.sleep(for: .milliseconds(100)) }
      throw APIError(error)
    }
  }

  private func parameters(
    _ endpoint: Endpoint, _ request: Request, _ client: ClientWatch
  ) async throws -> DrawingParameters {
    let contentType = request.headers[.contentType] ?? ""
    let expected = endpoint.takesJSON ? "application/json" : "multipart/form-data"
    guard HeaderValue(contentType).value == expected else {
      throw APIError(
        status: .unsupportedMediaType, message: "the body must be \(expected)", code: "unsupported_media_type")
    }
    if endpoint.takesJSON {
      return try await request.withWholeBody(limit: limits.jsonBytes, of: allowances.json) { body in
        try DrawingParameters(
          RequestFields(try RequestFields.json(body), endpoint, limits), endpoint, service.catalogue, limits)
      }
    }
    return try await request.withWholeBody(limit: limits.formBytes, of: allowances.forms) { body in
      // Its pictures are decoded for nothing where there is no room.
      try await taken { () throws(DrawingRefusal) in try service.checkRoom() }
      return try await forms.parameters(body, contentType, endpoint, service.catalogue, limits, client)
    }
  }

  private func stream(_ ticket: DrawingTicket, _ writer: PictureWriter) -> Response {
    let body = ResponseBody { body in
      do {
        for try await event in ticket.events {
          if let text = try await answers.event(event, writer) { try await body.write(text) }
        }
      } catch  where !(error is CancellationError) {
        // Where the connection is what has failed, this fails, too.
        try await body.write(EventStream.event("error", ErrorEvent(error: .of(error))))
      }
      try await body.finish(nil)
    }
    return Response(
      status: .ok,
      headers: [
        .contentType: EventStream.contentType, .cacheControl: "no-store",
        // nginx would keep events back until it has a few of them.
        .init("X-Accel-Buffering")!: "no",
      ], body: body)
  }
}

/// Reads forms one at a time, for a picture may take a hundred times the memory of its file, and on a thread of its own, for it may
/// take a while.
private actor FormReader {
  private let executor = ThreadExecutor(name: "forms")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  deinit { executor.end() }

  /// - Throws: `APIError`, and `CancellationError` where the client has gone meanwhile.
  func parameters(
    _ body: Data, _ contentType: String, _ endpoint: Endpoint, _ catalogue: CheckpointCatalogue,
    _ limits: RequestLimits,
    _ client: ClientWatch
  ) throws -> DrawingParameters {
    if client.hasGone { throw CancellationError() }
    let values = try RequestFields.form(body, contentType: contentType)
    return try DrawingParameters(RequestFields(values, endpoint, limits), endpoint, catalogue, limits)
  }
}

/// Makes answers on a thread of its own: to compress sixteen large pictures takes a second.
private actor AnswerWriter {
  private let executor = ThreadExecutor(name: "answers")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  deinit { executor.end() }

  func answer(_ pictures: [CompletedPicture], _ writer: PictureWriter) throws(PipelineError) -> PicturesAnswer {
    try writer.answer(pictures)
  }

  func event(_ event: DrawingEvent, _ writer: PictureWriter) throws(PipelineError) -> ByteBuffer? {
    try writer.event(event)
  }
}

/// Makes answers of what was drawn for one request.
struct PictureWriter: Sendable {
  private let parameters: DrawingParameters
  private let accepted: AcceptedOrder
  private let software: String
  private let created = Int(Date.now.timeIntervalSince1970)

  init(_ parameters: DrawingParameters, _ accepted: AcceptedOrder, software: String) {
    (self.parameters, self.accepted, self.software) = (parameters, accepted, software)
  }

  private var seed: UInt64 { parameters.order.options.seed }

  func answer(_ pictures: [CompletedPicture]) throws(PipelineError) -> PicturesAnswer {
    var data: [PicturesAnswer.Picture] = []
    for picture in pictures.sorted(by: { $0.index < $1.index }) {
      data.append(
        .init(b64Json: try png(picture), seed: seed, number: picture.number, score: picture.score))
    }
    return PicturesAnswer(
      created: created, size: parameters.size, data: data, notes: accepted.notes, model: accepted.checkpoint,
      usage: Usage(accepted))
  }

  /// - Returns: nil where there is nothing to tell.
  func event(_ event: DrawingEvent) throws(PipelineError) -> ByteBuffer? {
    func type(_ name: String) -> String { "\(parameters.endpoint.eventPrefix).\(name)" }
    switch event {
    case .accepted: return nil
    case .queued(let position):
      guard parameters.tellsPosition else { return nil }
      return EventStream.event(type("queued"), QueuedEvent(type: type("queued"), position: position))
    case .partial(let partial):
      return EventStream.event(
        type("partial_image"),
        PartialImageEvent(
          type: type("partial_image"), b64Json: try encoded(partial.picture, text: [], compressionLevel: 1),
          partialImageIndex: partial.partialIndex, createdAt: Int(Date.now.timeIntervalSince1970),
          size: parameters.size, index: partial.index))
    case .completed(let picture):
      return EventStream.event(
        type("completed"),
        CompletedEvent(
          type: type("completed"), b64Json: try png(picture), createdAt: Int(Date.now.timeIntervalSince1970),
          size: parameters.size, usage: Usage(accepted), index: picture.index, seed: seed, number: picture.number,
          score: picture.score, notes: accepted.notes, model: accepted.checkpoint))
    }
  }

  /// With the text that `dalle-cli generate` writes into a picture, too.
  private func png(_ picture: CompletedPicture) throws(PipelineError) -> String {
    var text = [
      ("Title", parameters.order.caption), ("Software", software), ("Checkpoint", accepted.checkpoint),
      ("Seed", "\(seed)"), ("Settings", parameters.order.options.sampling.map { "\($0)" } ?? ""),
    ]
    if let rows = accepted.keptRows { text.append(("Kept rows", "\(rows)")) }
    return try encoded(picture.picture, text: text + [("Number", "\(picture.number)")], compressionLevel: 6)
  }

  private func encoded(
    _ picture: Picture, text: [(key: String, value: String)], compressionLevel: Int
  ) throws(PipelineError) -> String {
    try picture.enlarged(by: parameters.scale).pngData(text: text, compressionLevel: compressionLevel)
      .base64EncodedString()
  }
}
