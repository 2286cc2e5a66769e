import Basics
import Decoding
import TensorCore

/// Draws pictures from a ``PixelCNN`` position by position, computing each place of each layer once.
///
/// A row of the vertical stack depends on the rows above alone and is computed when they are complete; the horizontal
/// stack then advances along the row, each layer keeping the few inputs that it reaches back to. A picture is drawn by one
/// thread and apart from the others, so that it is the same bits in any company.
public final class PixelCNNDecoder: ImageTokenDecoder {
  private let model: PixelCNN
  private let team: ThreadTeam
  /// [side², channels]
  private let positions: Tensor

  public init(_ model: PixelCNN, team: ThreadTeam) {
    self.model = model
    self.team = team
    positions = gridEmbedding(rows: model.rowPosition.weight.value, columns: model.columnPosition.weight.value)
  }

  public var imageLength: Int { model.imageLength }

  public func begin(_ request: DrawingRequest) -> any PictureDrawing { Drawing(model, positions, request) }

  public func advance(_ drawings: [any PictureDrawing]) {
    let drawings: [Drawing] = own(drawings)
    team.run { thread in
      for i in stride(from: thread, to: drawings.count, by: team.count) { drawings[i].advance() }
    }
  }

  /// A picture while it is drawn: one sequence, or with guidance a second one without the caption.
  private final class Drawing: PictureDrawing, @unchecked Sendable {
    private let model: PixelCNN
    private let positions: Tensor
    private let sequences: Int
    private let request: DrawingRequest
    private(set) var tokens: [Int32] = []
    var tokenCount: Int { tokens.count }
    /// What each layer is told at each place, [sequences, side², 2C].
    private let told: [(vertical: Tensor?, horizontal: Tensor?)]
    /// The last rows of each layer's vertical input, [sequences, 1, (side + 2m)·C] with zeros on both sides.
    private var rows: [[Tensor]]
    /// What each layer's horizontal stack is given along the current row, [sequences, side, 2C].
    private var given: [Tensor] = []
    /// The last inputs of each layer's horizontal stack, [sequences, 1, C].
    private var columns: [[Tensor]] = []

    init(_ model: PixelCNN, _ positions: Tensor, _ request: DrawingRequest) {
      self.model = model
      self.positions = positions
      self.request = request
      let c = model.configuration
      let isGuided = request.isGuided && c.textLength > 0
      let sequences = isGuided ? 2 : 1
      self.sequences = sequences
      let condition = model.condition(
        texts: isGuided ? [request.text, []] : [request.text],
        upperTokens: request.upperTokens.map { isGuided ? $0 + $0 : $0 }, pictures: sequences, precision: .float32)
      told = model.blocks.map { block in
        let told = block.told(condition, shape: [sequences, c.gridSide, c.gridSide, 0], precision: .float32)
        let shape = [sequences, c.imageLength, 2 * c.channels]
        return (told.vertical?.reshaped(shape), told.horizontal?.reshaped(shape))
      }
      let blank = Tensor.zeros([sequences, 1, (c.gridSide + 2 * c.reach) * c.channels])
      rows = model.blocks.map { _ in Array(repeating: blank, count: c.reach) }
    }

    /// Draws the next token, or takes the one that is given.
    func advance() {
      let position = tokens.count
      let side = model.gridSide
      let (row, column) = (position / side, position % side)
      if column == 0 { beginRow(row) }
      // The horizontal stack reaches no further than its row: one that is given whole does without.
      let isGiven = (row + 1) * side <= request.prefix.count
      let logits = isGiven ? [] : logits(column: column)
      tokens.append(
        position < request.prefix.count
          ? request.given(position, codes: model.imageVocabulary, codesPerPlace: 1)
          : request.sampling.draw(logits, uniform: request.uniform(position: position)))
    }

    /// The embeddings of tokens drawn, with the positions of the places they are moved to, [sequences, count, C].
    private func input(_ tokens: ArraySlice<Int32>?, at places: Range<Int>) -> Tensor {
      let C = model.configuration.channels
      let here = positions.view(places.lowerBound * C..<places.upperBound * C, shape: [places.count, C])
      let shape = [sequences, places.count]
      let blank = Tensor.zeros(shape + [C])
      let x =
        tokens.map { tokens in
          model.imageEmbedding((0..<sequences).flatMap { _ in tokens }, shape: shape)
        } ?? blank
      return x.addingRows(here)
    }

    /// Brings the vertical stack to a row whose upper ones are complete.
    private func beginRow(_ row: Int) {
      let c = model.configuration
      let (side, C, m) = (c.gridSide, c.channels, c.reach)
      let places = row * side..<(row + 1) * side
      var v = input(row == 0 ? nil : tokens[(row - 1) * side..<row * side], at: places)
      given = []
      let edge = Tensor.zeros([sequences, m, C])
      for (l, block) in model.blocks.enumerated() {
        let padded = Tensor.concatenated([edge, v, edge]).reshaped([sequences, 1, (side + 2 * m) * C])
        let window = Tensor.concatenated(rows[l] + [padded]).reshaped([sequences, m + 1, side + 2 * m, C])
        rows[l] = Array((rows[l] + [padded]).dropFirst())
        var p = convolution(
          window, weight: block.vertical.weight.value, bias: block.vertical.bias.value
        ).reshaped([sequences, side, 2 * C])
        if let told = told[l].vertical { p = p + told.positions(places) }
        var q = block.linked(p, precision: .float32)
        if let told = told[l].horizontal { q = q + told.positions(places) }
        given.append(q)
        v = block.gated(p)
      }
      columns = model.blocks.map { _ in Array(repeating: Tensor.zeros([sequences, 1, C]), count: m) }
    }

    /// The logits of the next token, whose caption is strengthened by the guidance.
    private func logits(column: Int) -> [Float] {
      let c = model.configuration
      let (C, m) = (c.channels, c.reach)
      let place = tokens.count
      var s = input(column == 0 ? nil : tokens.suffix(1), at: place..<place + 1)
      for (l, block) in model.blocks.enumerated() {
        let window = Tensor.concatenated(columns[l] + [s])
        columns[l] = Array((columns[l] + [s]).dropFirst())
        // A convolution at one place is a product.
        let weight = block.horizontal.weight.value.reshaped([2 * C, (m + 1) * C])
        let q =
          linear(window.reshaped([sequences, (m + 1) * C]), weight: weight, bias: block.horizontal.bias.value)
          + given[l].positions(column..<column + 1).reshaped([sequences, 2 * C])
        s = s + block.output(block.gated(q)).reshaped([sequences, 1, C])
      }
      let logits = model.output(s, precision: .float32).scalars
      guard sequences == 2 else { return logits }
      return request.sampling.guided(logits.prefix(logits.count / 2), without: logits.suffix(logits.count / 2))
    }
  }
}
