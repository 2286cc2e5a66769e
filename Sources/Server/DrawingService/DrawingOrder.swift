import Generation
import Imaging

/// What somebody wants drawn.
package struct DrawingOrder: Sendable {
  package var caption: String
  /// How many pictures.
  package var count: Int
  /// Of how many that are drawn the best `count` are kept, by the checkpoint's ranker; nil keeps all.
  package var candidates: Int?
  package var options: GenerationOptions
  /// The name of the checkpoint; nil for the default.
  package var checkpoint: String?
  /// How many unfinished pictures are shown of each picture; of candidates, of the first.
  package var partialCount: Int

  /// How many pictures are drawn, candidates among them.
  var pictureCount: Int { candidates ?? count }

  package init(
    _ caption: String, count: Int = 1, candidates: Int? = nil, options: GenerationOptions = .init(),
    checkpoint: String? = nil, partialCount: Int = 0
  ) {
    self.caption = caption
    self.count = count
    self.candidates = candidates
    self.options = options
    self.checkpoint = checkpoint
    self.partialCount = partialCount
  }
}

/// What becomes of an order, in this order but for the positions.
package enum DrawingEvent: Sendable {
  /// How many orders stand before this one in the queue, this one included; 0 when it is being drawn.
  case queued(position: Int)
  case accepted(AcceptedOrder)
  case partial(PartialPicture)
  case completed(CompletedPicture)
}

/// What is known of an order before it is drawn.
package struct AcceptedOrder: Sendable, Equatable {
  /// The name of the checkpoint that draws.
  package var checkpoint: String
  /// What the model cannot know of the caption, a sentence each.
  package var notes: [String]
  /// Tokens of the caption that the model sees.
  package var textTokens: Int
  /// Tokens that each picture has from the image prompt.
  package var keptTokens: Int
  /// Tokens that are drawn, for all pictures and candidates.
  package var drawnTokens: Int
  /// Rows of tokens that are those of the image prompt; nil without one.
  package var keptRows: Int?
}

/// What there is of a picture; the rest is white.
package struct PartialPicture: Sendable, Equatable {
  /// Which of the order's pictures.
  package var index: Int
  /// Which of the unfinished pictures of this one.
  package var partialIndex: Int
  package var picture: Picture
}

package struct CompletedPicture: Sendable, Equatable {
  /// Which of the order's pictures; of the best ones the best is the first.
  package var index: Int
  /// Which picture of the seed.
  package var number: Int
  package var picture: Picture
  /// The ranker's score, in -1 ... 1; nil without candidates.
  package var score: Float?
}

/// Why an order is not taken as things are: the same one may be taken later.
package enum DrawingRefusal: Error, Equatable {
  /// So many wait already. `seconds` is about when there will be room.
  case queueIsFull(seconds: Int)
  /// The default checkpoint is still being loaded.
  case isLoading
  /// What was accepted is finished, and nothing else is begun.
  case isEnding
  /// As many checkpoints as may be loaded are in use.
  case noRoomForCheckpoint(String)
  /// There is no checkpoint of that name.
  case noCheckpoint(String)
  /// The checkpoint of that name cannot choose among candidates.
  case noRanker(String)
}
