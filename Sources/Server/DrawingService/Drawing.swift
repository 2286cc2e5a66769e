import Basics
import Decoding
import Generation
import Imaging
import Priors

/// An order while it is drawn. It belongs to the drawing thread.
final class Drawing {
  let checkpoint: LoadedCheckpoint
  let mailbox: Mailbox
  private let request: DrawingRequest
  private let count: Int
  /// How many pictures are drawn, candidates among them.
  let total: Int
  /// How well a picture goes with the caption; nil where all are kept.
  private let scores: (([Picture]) -> [Float])?
  /// How many places of a picture must be drawn for each of its unfinished pictures.
  private let partialPlaces: [Int]
  private let keptPlaces: Int

  /// Pictures that are being drawn.
  private var active: Set<PictureSession.ID> = []
  /// The first picture that is not begun.
  private var next = 0
  private(set) var completed = 0
  /// When its last picture was begun, or else when it came, as a number that grows.
  private(set) var lastTurn: Int
  private var ranked: [RankedPicture] = []
  private var shown = 0
  private var position: Int?
  private var start = ContinuousClock.now

  /// Tells the giver what is known of the order.
  /// - Parameter turn: when it came, as ``lastTurn``.
  /// - Throws: `PipelineError` where it makes no sense for this checkpoint.
  init(
    _ order: DrawingOrder, _ mailbox: Mailbox, with checkpoint: LoadedCheckpoint, turn: Int
  ) throws(PipelineError) {
    (self.checkpoint, self.mailbox, lastTurn) = (checkpoint, mailbox, turn)
    let model = checkpoint.model
    (count, total) = (order.count, order.pictureCount)
    guard count > 0 else { throw PipelineError(.usage, "`count` must be 1 or more, not \(count)") }
    guard total >= count else {
      throw PipelineError(.usage, "`candidates` must be `count` or more, not \(total) where \(count) are kept")
    }
    let prompt = try model.preparedPrompt(order.caption, order.options)
    request = try model.request(prompt.tokens, number: 0, order.options)
    scores = if order.candidates == nil { nil } else { model.scores(for: prompt.tokens, by: try model.ranker()) }
    let codes = model.prior.codesPerPlace
    let places = model.prior.imageLength / codes
    keptPlaces = request.prefix.count / codes
    partialPlaces = Self.partialPlaces(order.partialCount, of: places - keptPlaces)
    mailbox.send(
      .accepted(
        AcceptedOrder(
          checkpoint: checkpoint.name, notes: prompt.notes.lines,
          textTokens: min(request.text.count, model.prior.textLength), keptTokens: request.prefix.count,
          drawnTokens: total * (places - keptPlaces) * codes,
          keptRows: try order.options.imagePrompt.map(model.keptRows))))
  }

  /// After how many of `places` that are drawn an unfinished picture is shown, as evenly as there are places for.
  static func partialPlaces(_ count: Int, of places: Int) -> [Int] {
    if count >= places { return places > 1 ? Array(1..<places) : [] }
    return (0..<count).map { (places * ($0 + 1) + count) / (count + 1) }
  }

  var isBegun: Bool { next > 0 }
  /// Since it was begun.
  var seconds: Double { start.duration(to: .now).inSeconds }
  var activeCount: Int { active.count }
  var isComplete: Bool { completed == total }
  var hasMoreToBegin: Bool { next < total }

  /// Has its next picture drawn.
  func begin(turn: Int) {
    if !isBegun { start = .now }
    lastTurn = turn
    var request = request
    request.number = next
    let id = checkpoint.session.join(request)
    checkpoint.owners[id] = (self, next)
    active.insert(id)
    next += 1
  }

  /// Takes all of its pictures out.
  func cancel() {
    for id in active {
      checkpoint.session.cancel(id)
      checkpoint.owners[id] = nil
    }
    active = []
  }

  func tell(position: Int) {
    if self.position == position { return }
    self.position = position
    mailbox.send(.queued(position: position))
  }

  /// Which of the unfinished pictures of one a step is; nil where none is shown.
  func partialIndex(_ step: PictureSession.Step, number: Int) -> Int? {
    if step.isComplete || number >= (scores == nil ? count : 1) { return nil }
    return partialPlaces.firstIndex(of: step.tokens.count / checkpoint.model.prior.codesPerPlace - keptPlaces)
  }

  func show(_ picture: Picture, partialIndex: Int, number: Int) {
    mailbox.send(.partial(PartialPicture(index: number, partialIndex: partialIndex, picture: picture)))
  }

  /// Pictures that are complete, with their numbers.
  func complete(_ pictures: [(id: PictureSession.ID, number: Int, picture: Picture)]) {
    for picture in pictures { active.remove(picture.id) }
    completed += pictures.count
    guard let scores else {
      for (_, number, picture) in pictures {
        mailbox.send(.completed(CompletedPicture(index: number, number: number, picture: picture, score: nil)))
      }
      return
    }
    ranked += zip(pictures, scores(pictures.map(\.picture)))
      .map { RankedPicture($0.picture, number: $0.number, score: $1) }
    // What cannot be among the best any more need not be kept.
    ranked.sort(by: RankedPicture.isBetter)
    ranked.removeLast(max(0, ranked.count - count))
    guard isComplete else { return }
    for (index, best) in ranked.enumerated() {
      mailbox.send(
        .completed(
          CompletedPicture(index: index, number: best.number, picture: best.picture, score: best.score)))
    }
  }
}
