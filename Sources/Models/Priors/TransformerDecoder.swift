import Basics
import Decoding
import NN
import TensorCore

/// Draws pictures from a ``TransformerPrior`` token by token with a key/value cache.
///
/// All sequences advance together, so that each weight is read once a place for all of them, and the threads of the team
/// share out the outputs of every product. Nothing a sequence computes depends on the other sequences or on the number of
/// threads. A text goes through the model once for all pictures that begin with it; the places whose tokens a picture is given go
/// through in one pass beside the next places of those under way.
public final class TransformerDecoder: ImageTokenDecoder {
  private struct Block {
    let norm1, norm2: LayerNorm
    let queryKeyValue, attentionOutput, hidden, output: PackedWeight

    init(_ block: TransformerBlock, in memory: PackedMemory) {
      (norm1, norm2) = (block.norm1, block.norm2)
      queryKeyValue = PackedWeight(block.attention.queryKeyValue, in: memory)
      attentionOutput = PackedWeight(block.attention.output, in: memory)
      hidden = PackedWeight(block.mlp.hidden, in: memory)
      output = PackedWeight(block.mlp.output, in: memory)
    }
  }

  private struct PackedRefinement {
    let norm1, norm2: LayerNorm
    /// [K, width]
    let codes: Tensor
    let hidden, output, head: PackedWeight

    init(_ refinement: Refinement, in memory: PackedMemory) {
      (norm1, norm2) = (refinement.norm1, refinement.norm2)
      codes = refinement.codes.weight.value
      hidden = PackedWeight(refinement.mlp.hidden, in: memory)
      output = PackedWeight(refinement.mlp.output, in: memory)
      head = PackedWeight(refinement.head, in: memory)
    }
  }

  private let prior: TransformerPrior
  private let configuration: TransformerPrior.Configuration
  private let blocks: [Block]
  private let imageHead: PackedWeight
  private let refinements: [PackedRefinement]
  /// [placeCount, width]
  private let imagePositions: Tensor
  /// What a text leaves behind that has gone through the model: keys and values, and the last position's output before the
  /// last norm, [1, width].
  private struct ReadText {
    let cache: KeyValueCache
    let output: Tensor
  }

  /// The latest ones last: many pictures have the same caption, and all guided ones none beside it.
  private var readTexts: [(text: [Int32], read: ReadText)] = []
  private static let mostReadTexts = 8
  private let team: ThreadTeam
  private(set) var scratch: Scratch

  public init(_ prior: TransformerPrior, team: ThreadTeam) {
    self.prior = prior
    self.team = team
    configuration = prior.configuration
    let layers =
      prior.blocks.flatMap { [$0.attention.queryKeyValue, $0.attention.output, $0.mlp.hidden, $0.mlp.output] }
      + [prior.imageHead] + prior.refinements.flatMap { [$0.mlp.hidden, $0.mlp.output, $0.head] }
    let memory = PackedMemory(byteCount: layers.reduce(0) { $0 + PackedWeight.byteCount(of: $1.weight.value) })
    blocks = prior.blocks.map { Block($0, in: memory) }
    imageHead = PackedWeight(prior.imageHead, in: memory)
    refinements = prior.refinements.map { PackedRefinement($0, in: memory) }
    imagePositions = gridEmbedding(rows: prior.rowPosition.weight(), columns: prior.columnPosition.weight())
    scratch = Scratch(prior.configuration, rows: 1, sequences: 1, threads: team.count)
  }

  public var imageLength: Int { prior.imageLength }

  /// A picture while it is drawn: one sequence, or with guidance a second one without the caption.
  private final class Drawing: PictureDrawing, @unchecked Sendable {
    let request: DrawingRequest
    /// Of each sequence; none before ``begin(_:)``.
    var caches: [KeyValueCache] = []
    /// Of each sequence's text, until something was drawn.
    var textOutputs: [Tensor]?
    /// The next to be drawn.
    var place: Int
    /// All of the picture's, those not drawn yet being 0.
    var allTokens: [Int32]
    /// Of each sequence.
    let texts: [[Int32]]
    private let codesPerPlace: Int

    init(_ request: DrawingRequest, _ c: TransformerPrior.Configuration) {
      self.request = request
      codesPerPlace = c.codesPerPlace
      texts = (request.isGuided ? [request.text, []] : [request.text]).map { Array($0.prefix(c.textLength)) }
      // The last place is not an input.
      place = min(request.prefix.count / c.codesPerPlace, c.placeCount - 1)
      allTokens = Array(repeating: 0, count: c.imageLength)
      for position in 0..<min(request.prefix.count, c.imageLength) {
        allTokens[position] = request.given(position, codes: c.codes, codesPerPlace: c.codesPerPlace)
      }
    }

    var tokenCount: Int { place * codesPerPlace }
    var tokens: [Int32] { Array(allTokens.prefix(tokenCount)) }
  }

  public func begin(_ request: DrawingRequest) -> any PictureDrawing { Drawing(request, configuration) }

  public func advance(_ drawings: [any PictureDrawing]) {
    guard !drawings.isEmpty else { return }
    let pass = makePass(own(drawings))
    team.run { thread in
      forward(pass, thread: thread)
      drawCodes(pass, thread: thread)
    }
    for drawing in pass.drawings { drawing.place += 1 }
  }

  /// A row of `scratch.x` after the last block, or what a text has left.
  private enum Last {
    case row(Int)
    case output(Tensor)
  }

  /// What goes through the model at once: of each sequence its next inputs.
  private final class Pass: @unchecked Sendable {
    let drawings: [Drawing]
    let scratch: Scratch
    /// The sequence and position of each row of `scratch.x`.
    var rows: [(cache: KeyValueCache, position: Int)] = []
    /// Of each sequence, what its next place is drawn from.
    var lasts: [Last] = []
    var owners: [Drawing] = []
    /// Of each drawing, that with the caption.
    var firstSequences: [Int] = []

    init(_ drawings: [Drawing], _ scratch: Scratch) { (self.drawings, self.scratch) = (drawings, scratch) }
  }

  private func makePass(_ drawings: [Drawing]) -> Pass {
    let T = configuration.textLength
    begin(drawings.filter(\.caches.isEmpty))
    func inputs(of drawing: Drawing) -> Range<Int> {
      // What is drawn of a place is the input for the next one.
      drawing.textOutputs == nil ? drawing.place - 1..<drawing.place : 0..<drawing.place
    }
    makeRoom(
      rows: drawings.reduce(0) { $0 + $1.caches.count * inputs(of: $1).count },
      sequences: drawings.reduce(0) { $0 + $1.caches.count })
    let pass = Pass(drawings, scratch)
    for drawing in drawings {
      pass.firstSequences.append(pass.owners.count)
      let places = inputs(of: drawing)
      for (sequence, cache) in drawing.caches.enumerated() {
        for place in places {
          enter(place, of: drawing, into: scratch.x, row: pass.rows.count)
          pass.rows.append((cache, T + place))
        }
        if places.isEmpty, let outputs = drawing.textOutputs {
          pass.lasts.append(.output(outputs[sequence]))
        } else {
          pass.lasts.append(.row(pass.rows.count - 1))
        }
        pass.owners.append(drawing)
      }
      drawing.textOutputs = nil
    }
    return pass
  }

  private func makeRoom(rows: Int, sequences: Int) {
    guard rows > scratch.rowCount || sequences > scratch.sequenceCount else { return }
    scratch = Scratch(
      configuration, rows: DecodingStep.rowsToMake(for: rows, having: scratch.rowCount),
      sequences: DecodingStep.rowsToMake(for: sequences, having: scratch.sequenceCount), threads: team.count)
  }

  /// Gives drawings that begin what their texts leave behind.
  private func begin(_ drawings: [Drawing]) {
    if drawings.isEmpty { return }
    var texts = Dictionary(uniqueKeysWithValues: readTexts.map { ($0.text, $0.read) })
    // The one without a caption last, so that it stays.
    let wanted = Set(drawings.flatMap(\.texts)).sorted { $0.count > $1.count }
    let unread = wanted.filter { texts[$0] == nil }
    for (text, read) in zip(unread, read(unread)) { texts[text] = read }
    for drawing in drawings {
      let own = drawing.texts.map { texts[$0]! }
      drawing.caches = own.map { KeyValueCache(copying: $0.cache) }
      drawing.textOutputs = own.map(\.output)
    }
    readTexts.removeAll { wanted.contains($0.text) }
    readTexts = (readTexts + wanted.map { ($0, texts[$0]!) }).suffix(Self.mostReadTexts)
  }

  /// Has texts go through the model.
  private func read(_ texts: [[Int32]]) -> [ReadText] {
    if texts.isEmpty { return [] }
    let (c, T) = (configuration, configuration.textLength)
    makeRoom(rows: texts.count * T, sequences: texts.count)
    let pass = Pass([], scratch)
    let inputs = prior.embedded(texts: texts)
    let masks = c.masks
    let caches = texts.map { _ in
      KeyValueCache(masks: masks, length: c.sequenceLength, headWidth: c.width / c.heads, heads: c.heads)
    }
    for cache in caches {
      for position in 0..<T {
        DecodingStep.copyRow(inputs, pass.rows.count, into: scratch.x, pass.rows.count)
        pass.rows.append((cache, position))
      }
      pass.lasts.append(.row(pass.rows.count - 1))
    }
    team.run { thread in forward(pass, thread: thread) }
    return caches.enumerated().map { text, cache in
      let output = Tensor.zeros([1, c.width])
      DecodingStep.copyRow(scratch.last, text, into: output, 0)
      return ReadText(cache: cache, output: output)
    }
  }

  /// Makes a row of `x` the embedding of a place.
  private func enter(_ place: Int, of drawing: Drawing, into x: Tensor, row: Int) {
    let table = prior.imageEmbedding.weight.value
    let D = configuration.codesPerPlace
    let tokens = drawing.allTokens[place * D..<(place + 1) * D].map(Int.init)
    DecodingStep.addRows(table, tokens[0], imagePositions, place, into: x, row: row)
    for token in tokens.dropFirst() { DecodingStep.addRows(table, token, x, row, into: x, row: row) }
  }

  /// What the threads share while drawing, and each one's own memory.
  final class Scratch: @unchecked Sendable {
    let rowCount, sequenceCount: Int
    let x, queryKeyValue, attended, hidden, last, logits: Tensor
    /// Of each thread.
    let normalized, statistics, scores: [Tensor]

    init(_ c: TransformerPrior.Configuration, rows: Int, sequences: Int, threads: Int) {
      (rowCount, sequenceCount) = (rows, sequences)
      x = .zeros([rows, c.width])
      queryKeyValue = .zeros([rows, 3 * c.width])
      attended = .zeros([rows, c.width])
      hidden = .zeros([rows, 4 * c.width])
      last = .zeros([sequences, c.width])
      logits = .zeros([sequences, c.codes])
      normalized = (0..<threads).map { _ in .zeros([rows, c.width]) }
      statistics = (0..<threads).map { _ in .zeros([2 * rows]) }
      scores = (0..<threads).map { _ in .zeros([KeyValueCache.scratchLength(length: c.sequenceLength)]) }
    }
  }

  /// One thread's part of the model on a pass's rows; leaves what each sequence's next place is drawn from in `last`, complete when
  /// it returns.
  private func forward(_ pass: Pass, thread: Int) {
    let (heads, rows, scratch) = (configuration.heads, pass.rows.count, pass.scratch)
    let (x, qkv, normalized) = (scratch.x, scratch.queryKeyValue, scratch.normalized[thread])
    for (layer, block) in blocks.enumerated() where rows > 0 {
      normalize(x, rows: rows, by: block.norm1, scratch, thread: thread)
      var mine = block.queryKeyValue.share(of: thread, in: team)
      block.queryKeyValue.multiply(normalized, rows: rows, into: qkv, range: mine)
      for (row, (cache, position)) in pass.rows.enumerated() {
        cache.store(qkv, row: row, range: mine, layer: layer, position: position)
      }
      team.barrier()
      let items = team.range(of: thread, total: rows * heads)
      for row in items.lowerBound / heads..<(items.upperBound + heads - 1) / heads {
        let (cache, position) = pass.rows[row]
        let first = row * heads
        cache.attend(
          qkv, row: row, heads: (items.lowerBound - first..<items.upperBound - first).clamped(to: 0..<heads),
          layer: layer, position: position, scores: scratch.scores[thread], into: scratch.attended)
      }
      team.barrier()
      mine = block.attentionOutput.share(of: thread, in: team)
      block.attentionOutput.multiply(scratch.attended, rows: rows, into: x, range: mine, accumulate: true)
      team.barrier()
      perceptron(block.norm2, block.hidden, block.output, on: x, rows: rows, scratch, thread: thread)
    }
    if thread == 0 {
      for (sequence, last) in pass.lasts.enumerated() {
        switch last {
        case .row(let row): DecodingStep.copyRow(x, row, into: scratch.last, sequence)
        case .output(let output): DecodingStep.copyRow(output, 0, into: scratch.last, sequence)
        }
      }
    }
    team.barrier()
  }

  /// x + output(gelu(hidden(norm(x)))) for the first rows of x; complete when it returns.
  private func perceptron(
    _ norm: LayerNorm, _ hidden: PackedWeight, _ output: PackedWeight, on x: Tensor, rows: Int, _ scratch: Scratch,
    thread: Int
  ) {
    normalize(x, rows: rows, by: norm, scratch, thread: thread)
    var mine = hidden.share(of: thread, in: team)
    hidden.multiply(scratch.normalized[thread], rows: rows, into: scratch.hidden, range: mine)
    DecodingStep.apply(.gelu, to: scratch.hidden, rows: rows, range: mine)
    team.barrier()
    mine = output.share(of: thread, in: team)
    output.multiply(scratch.hidden, rows: rows, into: x, range: mine, accumulate: true)
    team.barrier()
  }

  /// Leaves norm(x) of the first rows in the thread's `normalized`.
  private func normalize(_ x: Tensor, rows: Int, by norm: LayerNorm, _ scratch: Scratch, thread: Int) {
    DecodingStep.layerNorm(
      x, rows: rows, gain: norm.weight.value, bias: norm.bias.value, into: scratch.normalized[thread],
      statistics: scratch.statistics[thread])
  }

  /// One thread's part of drawing the codes of each drawing's place, one after the other, from what
  /// ``forward(_:thread:)`` left; all are there when it returns.
  private func drawCodes(_ pass: Pass, thread: Int) {
    let scratch = pass.scratch
    let sequences = pass.lasts.count
    func draw(_ d: Int, _ head: PackedWeight) {
      head.multiply(
        scratch.normalized[thread], rows: sequences, into: scratch.logits, range: head.share(of: thread, in: team))
      team.barrier()
      for i in stride(from: thread, to: pass.drawings.count, by: team.count) {
        drawCode(d, of: pass.drawings[i], scratch.logits, row: pass.firstSequences[i])
      }
      team.barrier()
    }
    normalize(scratch.last, rows: sequences, by: prior.norm, scratch, thread: thread)
    draw(0, imageHead)
    for (d, refinement) in refinements.enumerated() {
      if thread == 0 {
        for (sequence, drawing) in pass.owners.enumerated() {
          let position = drawing.place * configuration.codesPerPlace + d
          let code = Int(drawing.allTokens[position]) - d * configuration.codes
          // The stream begins with the transformer's normalised output.
          let stream = d == 0 ? scratch.normalized[0] : scratch.last
          DecodingStep.addRows(stream, sequence, refinement.codes, code, into: scratch.last, row: sequence)
        }
      }
      team.barrier()
      perceptron(
        refinement.norm1, refinement.hidden, refinement.output, on: scratch.last, rows: sequences, scratch,
        thread: thread)
      normalize(scratch.last, rows: sequences, by: refinement.norm2, scratch, thread: thread)
      draw(d + 1, refinement.head)
    }
  }

  /// Draws the code d of a drawing's place, unless it is given.
  /// - Parameter row: of the logits [sequences, K], those with the caption; those without it follow.
  private func drawCode(_ d: Int, of drawing: Drawing, _ logits: Tensor, row: Int) {
    let (K, request) = (configuration.codes, drawing.request)
    let position = drawing.place * configuration.codesPerPlace + d
    guard position >= request.prefix.count else { return }
    let conditional = UnsafeBufferPointer(start: logits.floats + row * K, count: K)
    let empty = UnsafeBufferPointer(start: logits.floats + (row + 1) * K, count: K)
    drawing.allTokens[position] =
      Int32(d * K) + request.code(at: position, conditional, without: request.isGuided ? empty : nil)
  }
}

extension PackedWeight {
  fileprivate init(_ layer: Linear, in memory: PackedMemory) {
    self.init(weight: layer.weight.value, bias: layer.bias?.value, in: memory)
  }
}
