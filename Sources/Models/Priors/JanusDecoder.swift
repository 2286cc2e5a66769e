import Basics
import Decoding
import Foundation
import TensorCore

/// Draws pictures with a ``Janus`` token by token with a key/value cache.
///
/// All sequences advance together, so that each weight is read once a token for all of them, and the threads of the team share
/// out the outputs of every product and the heads of every sequence. Nothing a sequence computes depends on the other sequences
/// or on the number of threads. A prompt goes through the model before, in parts that bound what memory that takes.
public final class JanusDecoder: ImageTokenDecoder {
  private let model: Janus
  private let configuration: Janus.Configuration
  /// [positions, headWidth/2], of the angles that a position turns the pairs of a head by.
  private let cosines, sines: Tensor
  private let team: ThreadTeam
  private(set) var scratch: Scratch

  public init(_ model: Janus, team: ThreadTeam) {
    (self.model, self.team, configuration) = (model, team, model.configuration)
    let c = model.configuration
    let half = c.headWidth / 2
    // θ^(-2i/D) (Su et al. 2021, eq. 15)
    let frequencies = (0..<half).map { pow(c.rotaryBase, -Double($0) / Double(half)) }
    let angles = (0..<c.sequenceLength).flatMap { position in frequencies.map { Double(position) * $0 } }
    cosines = Tensor(angles.map { Float(cos($0)) }, shape: [c.sequenceLength, half])
    sines = Tensor(angles.map { Float(sin($0)) }, shape: [c.sequenceLength, half])
    scratch = Scratch(c, rows: 2, sequences: 2, threads: team.count)
  }

  public var imageLength: Int { configuration.imageLength }
  /// With eight sequences a CPU takes about as long to multiply as memory to give the weights; more of them would gain nothing, and
  /// each has hundreds of megabytes of keys and values.
  public var standardCapacity: Int { 4 }

  /// A picture while it is drawn: one sequence, or with guidance a second one of a prompt that says nothing.
  private final class Drawing: PictureDrawing, @unchecked Sendable {
    let request: DrawingRequest
    /// Of each sequence.
    let prompts: [[Int32]]
    let caches: [KeyValueCache]
    /// Whether all inputs but the last have gone through the model.
    var hasBegun = false
    private(set) var tokens: [Int32]
    var tokenCount: Int { tokens.count }

    init(_ request: DrawingRequest, _ c: Janus.Configuration) {
      self.request = request
      var prompt = request.text.isEmpty ? [c.beginningOfText, c.beginningOfImage] : request.text
      if prompt.count > c.textLength {
        prompt = prompt.prefix(c.textLength - c.closingTokens) + prompt.suffix(c.closingTokens)
      }
      let empty = prompt.map { $0 == c.beginningOfText || $0 == c.beginningOfImage ? $0 : c.padding }
      prompts = request.isGuided ? [prompt, empty] : [prompt]
      // The last token is not an input.
      let given = min(request.prefix.count, c.imageLength - 1)
      tokens = (0..<given).map { request.given($0, codes: c.imageVocabulary, codesPerPlace: 1) }
      let length = prompt.count + c.imageLength - 1
      caches = prompts.map { _ in
        KeyValueCache(
          masks: Array(repeating: AttentionMask(.full, textLength: 0, gridSide: 0), count: c.layers), length: length,
          headWidth: c.headWidth, heads: c.heads, keyHeads: c.keyHeads, type: c.elementType)
      }
    }

    /// How many inputs there are by now: the prompt and the tokens that are there.
    var inputCount: Int { prompts[0].count + tokens.count }

    func draw(_ logits: [UnsafeBufferPointer<Float>]) {
      let position = tokens.count
      // All of a picture may be given.
      tokens.append(
        position < request.prefix.count
          ? request.prefix[position]
          : request.code(at: position, logits[0], without: logits.count > 1 ? logits[1] : nil))
    }
  }

  public func begin(_ request: DrawingRequest) -> any PictureDrawing { Drawing(request, configuration) }

  public func advance(_ drawings: [any PictureDrawing]) {
    guard !drawings.isEmpty else { return }
    let drawings: [Drawing] = own(drawings)
    for drawing in drawings where !drawing.hasBegun { begin(drawing) }
    // The last input of each is what is new.
    let pass = makePass(drawings) { $0.inputCount - 1..<$0.inputCount }
    team.run { thread in
      forward(pass, thread: thread)
      draw(pass, thread: thread)
    }
  }

  /// Positions of a prompt that go through the model at once: enough for the cores, few enough for memory.
  private static let positionsAtOnce = 128

  /// Has the model see all inputs of a picture but the last.
  private func begin(_ drawing: Drawing) {
    for first in stride(from: 0, to: drawing.inputCount - 1, by: Self.positionsAtOnce) {
      let pass = makePass([drawing]) { first..<min($0.inputCount - 1, first + Self.positionsAtOnce) }
      team.run { thread in forward(pass, thread: thread) }
    }
    drawing.hasBegun = true
  }

  /// The rows of a sequence in a pass, and the position of the first.
  private struct Sequence {
    let cache: KeyValueCache
    let rows: Range<Int>
    let position: Int
  }

  /// What goes through the model at once: of each sequence some of its inputs.
  private final class Pass: @unchecked Sendable {
    let drawings: [Drawing]
    let scratch: Scratch
    let sequences: [Sequence]
    /// Of each drawing.
    let firstSequences: [Int]
    var rowCount: Int { sequences.last?.rows.upperBound ?? 0 }

    init(_ drawings: [Drawing], _ scratch: Scratch, _ sequences: [Sequence], _ firstSequences: [Int]) {
      (self.drawings, self.scratch, self.sequences) = (drawings, scratch, sequences)
      self.firstSequences = firstSequences
    }
  }

  /// - Parameter positions: of a drawing that take part.
  private func makePass(_ drawings: [Drawing], _ positions: (Drawing) -> Range<Int>) -> Pass {
    var sequences: [Sequence] = []
    var firstSequences: [Int] = []
    /// Of each row, the table that its input stands in.
    var inputs: [(table: Tensor, token: Int32)] = []
    for drawing in drawings {
      firstSequences.append(sequences.count)
      let positions = positions(drawing)
      for (prompt, cache) in zip(drawing.prompts, drawing.caches) {
        let first = inputs.count
        inputs += positions.map {
          $0 < prompt.count
            ? (model.textEmbedding, prompt[$0]) : (model.imageInputs, drawing.tokens[$0 - prompt.count])
        }
        sequences.append(Sequence(cache: cache, rows: first..<inputs.count, position: positions.lowerBound))
      }
    }
    if inputs.count > scratch.rowCount || sequences.count > scratch.sequenceCount {
      scratch = Scratch(
        configuration, rows: DecodingStep.rowsToMake(for: inputs.count, having: scratch.rowCount),
        sequences: DecodingStep.rowsToMake(for: sequences.count, having: scratch.sequenceCount), threads: team.count)
    }
    for (row, input) in inputs.enumerated() {
      DecodingStep.copyRow(input.table, Int(input.token), into: scratch.x, row)
    }
    return Pass(drawings, scratch, sequences, firstSequences)
  }

  /// What the threads share while drawing, and each one's own memory.
  final class Scratch: @unchecked Sendable {
    let rowCount, sequenceCount: Int
    let x, queryKeyValue, attended, gateUp, hidden, last, headHidden, logits: Tensor
    /// Of each thread.
    let normalized, scores: [Tensor]

    init(_ c: Janus.Configuration, rows: Int, sequences: Int, threads: Int) {
      (rowCount, sequenceCount) = (rows, sequences)
      x = .zeros([rows, c.width])
      queryKeyValue = .zeros([rows, c.queryKeyValueWidth])
      attended = .zeros([rows, c.heads * c.headWidth])
      gateUp = .zeros([rows, 2 * c.feedForwardWidth])
      hidden = .zeros([rows, c.feedForwardWidth])
      last = .zeros([sequences, c.width])
      headHidden = .zeros([sequences, c.width])
      logits = .zeros([sequences, c.imageVocabulary])
      normalized = (0..<threads).map { _ in .zeros([rows, c.width]) }
      scores = (0..<threads).map { _ in .zeros([KeyValueCache.scratchLength(length: c.sequenceLength)]) }
    }
  }

  /// One thread's part of the layers on a pass's rows; leaves each sequence's last row in `last`, complete when it returns.
  private func forward(_ pass: Pass, thread: Int) {
    let (rows, scratch) = (pass.rowCount, pass.scratch)
    let (x, normalized) = (scratch.x, scratch.normalized[thread])
    for (i, layer) in model.layers.enumerated() {
      normalize(x, rows: rows, layer.attentionNorm, into: normalized)
      layer.queryKeyValue.multiply(
        normalized, rows: rows, into: scratch.queryKeyValue, range: layer.queryKeyValue.share(of: thread, in: team))
      team.barrier()
      for item in team.range(of: thread, total: pass.sequences.count * configuration.keyHeads) {
        let (sequence, keyHead) = item.quotientAndRemainder(dividingBy: configuration.keyHeads)
        attend(pass.sequences[sequence], layer: i, keyHead: keyHead, scratch, thread: thread)
      }
      team.barrier()
      layer.attentionOutput.multiply(
        scratch.attended, rows: rows, into: x, range: layer.attentionOutput.share(of: thread, in: team),
        accumulate: true)
      team.barrier()
      normalize(x, rows: rows, layer.feedForwardNorm, into: normalized)
      let mine = layer.gateUp.share(of: thread, in: team, panels: 2)
      layer.gateUp.multiply(normalized, rows: rows, into: scratch.gateUp, range: mine)
      DecodingStep.swiGLU(scratch.gateUp, rows: rows, range: mine, into: scratch.hidden)
      team.barrier()
      layer.down.multiply(
        scratch.hidden, rows: rows, into: x, range: layer.down.share(of: thread, in: team), accumulate: true)
      team.barrier()
    }
    if thread == 0 {
      for (i, sequence) in pass.sequences.enumerated() {
        DecodingStep.copyRow(x, sequence.rows.upperBound - 1, into: scratch.last, i)
      }
    }
    team.barrier()
  }

  /// The attention of a sequence's rows by the heads that share keys and values, which are kept.
  private func attend(_ sequence: Sequence, layer: Int, keyHead: Int, _ scratch: Scratch, thread: Int) {
    let c = configuration
    let (D, qkv) = (c.headWidth, scratch.queryKeyValue)
    let heads = keyHead * c.heads / c.keyHeads..<(keyHead + 1) * c.heads / c.keyHeads
    let key = (c.heads + keyHead) * D
    let value = (c.heads + c.keyHeads + keyHead) * D
    for row in sequence.rows {
      let position = sequence.position + row - sequence.rows.lowerBound
      for column in heads.map({ $0 * D }) + [key] {
        DecodingStep.rotate(qkv, row: row, column: column, position: position, cosines: cosines, sines: sines)
      }
      for range in [key..<key + D, value..<value + D] {
        sequence.cache.store(qkv, row: row, range: range, layer: layer, position: position)
      }
      sequence.cache.attend(
        qkv, row: row, heads: heads, layer: layer, position: position, scores: scratch.scores[thread],
        into: scratch.attended)
    }
  }

  private func normalize(_ x: Tensor, rows: Int, _ gain: Tensor, into y: Tensor) {
    DecodingStep.rootMeanSquareNorm(x, rows: rows, gain: gain, into: y, epsilon: configuration.normEpsilon)
  }

  /// One thread's part of drawing each picture's next token from what ``forward(_:thread:)`` left.
  private func draw(_ pass: Pass, thread: Int) {
    let (scratch, sequences) = (pass.scratch, pass.sequences.count)
    let normalized = scratch.normalized[thread]
    normalize(scratch.last, rows: sequences, model.norm, into: normalized)
    let mine = model.headHidden.share(of: thread, in: team)
    model.headHidden.multiply(normalized, rows: sequences, into: scratch.headHidden, range: mine)
    DecodingStep.apply(.geluExact, to: scratch.headHidden, rows: sequences, range: mine)
    team.barrier()
    model.imageHead.multiply(
      scratch.headHidden, rows: sequences, into: scratch.logits, range: model.imageHead.share(of: thread, in: team))
    team.barrier()
    let K = configuration.imageVocabulary
    for i in stride(from: thread, to: pass.drawings.count, by: team.count) {
      let drawing = pass.drawings[i]
      drawing.draw(
        drawing.prompts.indices.map {
          UnsafeBufferPointer(start: scratch.logits.floats + (pass.firstSequences[i] + $0) * K, count: K)
        })
    }
  }
}
