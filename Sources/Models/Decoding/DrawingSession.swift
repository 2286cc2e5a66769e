/// Draws the image tokens of pictures place by place: what there is to it of a kind of prior. The rest is a
/// ``DrawingSession``.
///
/// Picture i of a seed is the same bits in any company, whenever it joins it, and with any number of threads.
public protocol ImageTokenDecoder: AnyObject {
  /// Image tokens a picture.
  var imageLength: Int { get }
  /// How many pictures are best drawn at once: enough to read each weight rarely, few enough for caches and memory.
  var standardCapacity: Int { get }

  /// A picture of which nothing is drawn yet.
  func begin(_ request: DrawingRequest) -> any PictureDrawing

  /// Draws the tokens of each picture's next place.
  /// - Precondition: the drawings are this decoder's, and none is complete.
  func advance(_ drawings: [any PictureDrawing])
}

/// A picture while it is drawn.
public protocol PictureDrawing: AnyObject {
  /// The tokens that are given and those drawn so far, whole places of them in their order.
  var tokens: [Int32] { get }
  /// How many those are.
  var tokenCount: Int { get }
}

/// Pictures that are drawn together. Requests join and leave at any time between two places.
///
/// A few are drawn at once; see ``ImageTokenDecoder/standardCapacity``. The others wait in the order in which they joined. A
/// session belongs to one thread.
public final class DrawingSession {
  /// A request of a session.
  public struct ID: Hashable, Sendable { fileprivate let number: Int }

  /// What one place more has made of a picture.
  public struct Step: Sendable {
    public var id: ID
    /// All of the picture's tokens that are there, given or drawn.
    public var tokens: [Int32]
    /// Which of them are new.
    public var drawn: Range<Int>
    public var isComplete: Bool
  }

  private let decoder: any ImageTokenDecoder
  /// How many pictures are drawn at once.
  public let capacity: Int
  private var joined = 0
  private var waiting: [(id: ID, request: DrawingRequest)] = []
  private var active: [(id: ID, drawing: any PictureDrawing)] = []

  /// - Parameters:
  ///   - decoder: of the prior that draws.
  ///   - capacity: how many pictures are drawn at once; the decoder's standard unless given.
  public init(_ decoder: any ImageTokenDecoder, capacity: Int? = nil) {
    let capacity = capacity ?? decoder.standardCapacity
    precondition(capacity > 0, "a session that draws \(capacity) pictures at once never ends")
    (self.decoder, self.capacity) = (decoder, capacity)
  }

  /// Adds a picture to those that are drawn, from the next place on or as soon as there is room.
  @discardableResult
  public func join(_ request: DrawingRequest) -> ID {
    let id = ID(number: joined)
    joined += 1
    waiting.append((id, request))
    return id
  }

  /// Takes a picture out. Nothing happens where it is complete or was taken out before.
  public func cancel(_ id: ID) {
    waiting.removeAll { $0.id == id }
    active.removeAll { $0.id == id }
  }

  /// Whether nothing is left to draw.
  public var isEmpty: Bool { waiting.isEmpty && active.isEmpty }

  /// Draws the next place of each picture that there is room for.
  /// - Returns: what there is of each, in the order in which they joined; a complete one has left the session.
  public func next() -> [Step] {
    let admitted = waiting.prefix(capacity - active.count)
    waiting.removeFirst(admitted.count)
    active += admitted.map { ($0.id, decoder.begin($0.request)) }
    guard !active.isEmpty else { return [] }
    let before = active.map(\.drawing.tokenCount)
    decoder.advance(active.map(\.drawing))
    let steps = zip(active, before).map { entry, before in
      let tokens = entry.drawing.tokens
      return Step(
        id: entry.id, tokens: tokens, drawn: before..<tokens.count, isComplete: tokens.count == decoder.imageLength)
    }
    active = zip(active, steps).filter { !$1.isComplete }.map(\.0)
    return steps
  }
}

extension ImageTokenDecoder {
  public var standardCapacity: Int { 8 }

  /// Draws one picture for each request.
  /// - Parameters:
  ///   - requests: in any number.
  ///   - capacity: how many are drawn at once; ``standardCapacity`` unless given.
  ///   - progress: told after each place the share of all tokens that is there, in 0 ... 1.
  /// - Returns: the image tokens of each request.
  public func draw(
    _ requests: [DrawingRequest], atOnce capacity: Int? = nil, progress: (Double) -> Void = { _ in }
  ) -> [[Int32]] {
    let session = DrawingSession(self, capacity: capacity)
    let ids = requests.map(session.join)
    var drawn: [DrawingSession.ID: [Int32]] = [:]
    while !session.isEmpty {
      let steps = session.next()
      let unfinished = steps.filter { !$0.isComplete }.reduce(0) { $0 + $1.tokens.count }
      for step in steps where step.isComplete { drawn[step.id] = step.tokens }
      progress(Double(drawn.count * imageLength + unfinished) / Double(requests.count * imageLength))
    }
    return ids.compactMap { drawn[$0] }
  }

  /// The drawings as what this decoder began.
  package func own<Drawing: PictureDrawing>(_ drawings: [any PictureDrawing]) -> [Drawing] {
    drawings.map { drawing in
      guard let drawing = drawing as? Drawing else { preconditionFailure("another decoder has begun this drawing") }
      return drawing
    }
  }
}
