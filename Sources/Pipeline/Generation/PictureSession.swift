import Basics
import Decoding
import Imaging
import Priors

/// Pictures that a model draws together, to be watched while they come into being: see ``TextToImageModel/makeSession()``.
///
/// Requests join and leave at any time between two places of image tokens. Picture i of a seed is the same bits in any
/// company, and the same that ``TextToImageModel/generate(_:count:candidates:options:progress:)`` draws. A session belongs to one
/// thread, and while it draws, nothing else does with its model.
///
/// ```swift
/// let session = model.makeSession()
/// let id = try session.join("a red heart", options: .init(seed: 7))
/// while !session.isEmpty {
///   for step in session.next() where step.id == id {
///     try session.picture(step).write(to: URL(filePath: "heart.png"))
///   }
/// }
/// ```
public final class PictureSession {
  public typealias ID = DrawingSession.ID
  public typealias Step = DrawingSession.Step

  private let model: TextToImageModel
  private let drawing: DrawingSession

  init(_ model: TextToImageModel) {
    self.model = model
    drawing = DrawingSession(model.decoder)
  }

  /// Adds a picture to those that are drawn.
  /// - Parameters:
  ///   - caption: what to draw.
  ///   - number: which picture of the seed.
  ///   - options: the seed, how tokens are drawn, and what picture to begin with.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  @discardableResult
  public func join(
    _ caption: String, number: Int = 0, options: GenerationOptions = .init()
  ) throws(PipelineError) -> ID {
    guard number >= 0 else { throw PipelineError(.usage, "a seed has no picture \(number)") }
    return join(try model.request(caption, number: number, options))
  }

  /// The same for what ``TextToImageModel/request(_:number:_:prefix:)`` has made: of several pictures with an image prompt, the prompt's
  /// tokens are found once.
  @discardableResult
  package func join(_ request: DrawingRequest) -> ID { drawing.join(request) }

  /// How many pictures are drawn at once; those that join beyond wait.
  package var capacity: Int { drawing.capacity }

  /// Takes a picture out. Nothing happens where it is complete or was taken out before.
  public func cancel(_ id: ID) { drawing.cancel(id) }

  /// Whether nothing is left to draw.
  public var isEmpty: Bool { drawing.isEmpty }

  /// Draws the next place of some pictures.
  /// - Returns: what there is of each of these; a complete one has left the session.
  public func next() -> [Step] { drawing.next() }

  /// What there is of a picture. Places that are not drawn yet are white.
  public func picture(_ step: Step) -> Picture { pictures([step])[0] }

  /// The same of several, on all threads.
  package func pictures(_ steps: [Step]) -> [Picture] {
    let prior = model.prior
    let size = model.imageTokenizer.pictureSize
    let placeCount = prior.gridSide * prior.gridSide
    let begun = steps.filter { $0.tokens.count >= prior.codesPerPlace }
    let decoded = model.reconstructor.decode(
      begun.map { step in
        // The decoder takes whole grids: what is not there yet is as the last place.
        let missing = placeCount - step.tokens.count / prior.codesPerPlace
        return step.tokens + repeatElement(step.tokens.suffix(prior.codesPerPlace), count: missing).flatMap(\.self)
      })
    var rest = decoded[...]
    return steps.map { step in
      let places = step.tokens.count / prior.codesPerPlace
      guard places > 0, var picture = rest.popFirst() else { return Picture(width: size, height: size, color: .white) }
      let side = size / prior.gridSide
      for place in places..<placeCount {
        let (row, column) = (place / prior.gridSide, place % prior.gridSide)
        for y in row * side..<(row + 1) * side {
          let start = (y * size + column * side) * 3
          picture.pixels.replaceSubrange(start..<start + side * 3, with: repeatElement(255, count: side * 3))
        }
      }
      return picture
    }
  }
}

extension TextToImageModel {
  /// Pictures that are drawn together and can be watched meanwhile.
  public func makeSession() -> PictureSession { PictureSession(self) }
}
