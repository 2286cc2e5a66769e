import Basics
import NN
import TensorCore

/// Draws pictures from a ``TransformerPrior`` token by token with a key/value cache.
///
/// All sequences of a call advance together, so that each weight is read once a step for all of them, and the threads
/// of the team share out the outputs of every product. Nothing a sequence computes depends on the other sequences or on
/// the number of threads: picture i of a seed is the same bits in any company.
public final class PriorDecoder: ImageTokenDecoder {
  private struct Block {
    let norm1, norm2: LayerNorm
    let queryKeyValue, attentionOutput, hidden, output: PackedWeight

    init(_ block: TransformerBlock) {
      (norm1, norm2) = (block.norm1, block.norm2)
      queryKeyValue = PackedWeight(block.attention.queryKeyValue)
      attentionOutput = PackedWeight(block.attention.output)
      hidden = PackedWeight(block.mlp.hidden)
      output = PackedWeight(block.mlp.output)
    }
  }

  private struct PackedRefinement {
    let norm1, norm2: LayerNorm
    /// [K, width]
    let codes: Tensor
    let hidden, output, head: PackedWeight

    init(_ refinement: Refinement) {
      (norm1, norm2) = (refinement.norm1, refinement.norm2)
      codes = refinement.codes.weight.value
      hidden = PackedWeight(refinement.mlp.hidden)
      output = PackedWeight(refinement.mlp.output)
      head = PackedWeight(refinement.head)
    }
  }

  private let prior: TransformerPrior
  private let configuration: TransformerPrior.Configuration
  private let blocks: [Block]
  private let imageHead: PackedWeight
  private let refinements: [PackedRefinement]
  /// [placeCount, width]
  private let imagePositions: Tensor
  private let team: ThreadTeam

  public init(_ prior: TransformerPrior, team: ThreadTeam) {
    self.prior = prior
    self.team = team
    configuration = prior.configuration
    blocks = prior.blocks.map(Block.init)
    imageHead = PackedWeight(prior.imageHead)
    refinements = prior.refinements.map(PackedRefinement.init)
    imagePositions = gridEmbedding(rows: prior.rowPosition.weight(), columns: prior.columnPosition.weight())
  }

  public typealias Request = DrawingRequest

  /// Draws one picture for each request. Captions, and the places whose image tokens all requests are given, go through the
  /// model in one pass; what some are given beyond these takes the place of what would be drawn.
  /// - Parameters:
  ///   - requests: one for each picture.
  ///   - options: of sampling, the same for all.
  ///   - progress: told after each later place how many image tokens are there.
  /// - Returns: `imageLength` tokens for each request.
  public func draw(
    _ requests: [Request], options: SamplingOptions, progress: (Int) -> Void = { _ in }
  ) -> [[Int32]] {
    guard !requests.isEmpty else { return [] }
    let c = configuration
    let D = c.codesPerPlace
    // With guidance each picture has a second sequence without a caption.
    let isGuided = requests.contains { $0.isGuided(by: options) }
    let texts = requests.map(\.text) + (isGuided ? requests.map { _ in [] } : [])
    // The last place is not an input.
    let given = min((requests.map(\.prefix.count).min() ?? 0) / D, c.placeCount - 1)
    let state = State(
      prior, requests: requests, sequences: texts.count, inputs: c.textLength + given, threads: team.count)
    let embeddedTexts = prior.embedded(texts: texts)
    for sequence in texts.indices {
      for position in 0..<c.textLength {
        let row = sequence * state.inputs + position
        DecodingStep.copyRow(embeddedTexts, sequence * c.textLength + position, into: state.x, row)
        state.locations[row] = (sequence, position)
      }
      for place in 0..<given {
        enter(place, of: sequence, state, row: sequence * state.inputs + c.textLength + place)
      }
    }
    var rows = texts.count * state.inputs
    for place in given..<c.placeCount {
      team.run { thread in
        forward(state, rows: rows, thread: thread)
        drawCodes(of: place, state, options, thread: thread)
      }
      progress((place + 1) * D)
      // The codes drawn are the next input of all their picture's sequences.
      rows = texts.count
      for sequence in texts.indices { enter(place, of: sequence, state, row: sequence) }
    }
    return requests.indices.map { Array(state.tokens[$0 * prior.imageLength..<($0 + 1) * prior.imageLength]) }
  }

  /// Makes a row of `state.x` the embedding of a place of a sequence.
  private func enter(_ place: Int, of sequence: Int, _ state: State, row: Int) {
    let table = prior.imageEmbedding.weight.value
    let D = configuration.codesPerPlace
    let first = state.firstToken(of: sequence, place: place)
    DecodingStep.addRows(table, Int(state.tokens[first]), imagePositions, place, into: state.x, row: row)
    for d in 1..<D { DecodingStep.addRows(table, Int(state.tokens[first + d]), state.x, row, into: state.x, row: row) }
    state.locations[row] = (sequence, configuration.textLength + place)
  }

  /// What the threads share while drawing, and each one's scratch memory.
  private final class State: @unchecked Sendable {
    let requests: [Request]
    let x, queryKeyValue, attended, hidden, last, logits: Tensor
    let normalized, statistics, scores: [Tensor]
    let cache: KeyValueCache
    let sequences: Int
    /// Of each sequence in the first pass.
    let inputs: Int
    /// The sequence and position of each row of `x`.
    var locations: [(sequence: Int, position: Int)]
    /// Of each request its image tokens: those given, and those drawn so far. Each is written by one thread.
    package let tokens: UnsafeMutableBufferPointer<Int32>
    private let codesPerPlace, imageLength: Int

    init(_ prior: TransformerPrior, requests: [Request], sequences: Int, inputs: Int, threads: Int) {
      let c = prior.configuration
      let rows = sequences * inputs
      (self.requests, self.sequences, self.inputs) = (requests, sequences, inputs)
      (codesPerPlace, imageLength) = (prior.codesPerPlace, prior.imageLength)
      x = .zeros([rows, c.width])
      queryKeyValue = .zeros([rows, 3 * c.width])
      attended = .zeros([rows, c.width])
      hidden = .zeros([rows, 4 * c.width])
      last = .zeros([sequences, c.width])
      logits = .zeros([sequences, c.codes])
      normalized = (0..<threads).map { _ in .zeros([rows, c.width]) }
      statistics = (0..<threads).map { _ in .zeros([2 * rows]) }
      let cache = KeyValueCache(
        masks: prior.blocks.map(\.attention.mask), sequences: sequences, length: c.sequenceLength, width: c.width,
        heads: c.heads)
      self.cache = cache
      scores = (0..<threads).map { _ in .zeros([cache.scratchLength]) }
      locations = Array(repeating: (0, 0), count: rows)
      tokens = .allocate(capacity: requests.count * prior.imageLength)
      tokens.initialize(repeating: 0)
      for (i, request) in requests.enumerated() {
        for position in 0..<min(request.prefix.count, imageLength) {
          tokens[i * imageLength + position] = request.given(
            position, codes: c.codes, codesPerPlace: prior.codesPerPlace)
        }
      }
    }

    deinit { tokens.deallocate() }

    /// Where in `tokens` those of a place of a sequence's picture begin.
    func firstToken(of sequence: Int, place: Int) -> Int {
      sequence % requests.count * imageLength + place * codesPerPlace
    }

    /// A thread's part of the pictures gets the token `position` from the logits, unless it is given.
    func draw(_ position: Int, code d: Int, _ options: SamplingOptions, thread: Int, of threads: Int) {
      for i in stride(from: thread, to: requests.count, by: threads) where position >= requests[i].prefix.count {
        let code = options.draw(
          guidedLogits(of: i, options), uniform: requests[i].uniform(position: position))
        tokens[i * imageLength + position] = Int32(d * logits.lastDimension) + code
      }
    }

    /// The logits that picture i is drawn from: those of its sequence, or of both with guidance.
    private func guidedLogits(of i: Int, _ options: SamplingOptions) -> [Float] {
      let (K, pictures) = (logits.lastDimension, requests.count)
      return logits.withUnsafeMutableFloats { logits in
        let conditional = logits[i * K..<(i + 1) * K]
        guard requests[i].isGuided(by: options) else { return Array(conditional) }
        return options.guided(conditional, without: logits[(pictures + i) * K..<(pictures + i + 1) * K])
      }
    }
  }

  /// One thread's part of the model on the rows of `state.x`; leaves each sequence's last row in `state.last`, complete when
  /// it returns.
  private func forward(_ state: State, rows: Int, thread: Int) {
    let (heads, x, qkv) = (configuration.heads, state.x, state.queryKeyValue)
    let normalized = state.normalized[thread]
    for (layer, block) in blocks.enumerated() {
      normalize(x, rows: rows, by: block.norm1, state, thread: thread)
      var mine = block.queryKeyValue.share(of: thread, in: team)
      block.queryKeyValue.multiply(normalized, rows: rows, into: qkv, range: mine)
      for row in 0..<rows {
        let location = state.locations[row]
        state.cache.store(
          qkv, row: row, range: mine, layer: layer, sequence: location.sequence, position: location.position)
      }
      team.barrier()
      for item in team.range(of: thread, total: rows * heads) {
        let location = state.locations[item / heads]
        state.cache.attend(
          qkv, row: item / heads, head: item % heads, layer: layer, sequence: location.sequence,
          position: location.position, scores: state.scores[thread], into: state.attended)
      }
      team.barrier()
      mine = block.attentionOutput.share(of: thread, in: team)
      block.attentionOutput.multiply(state.attended, rows: rows, into: x, range: mine, accumulate: true)
      team.barrier()
      perceptron(block.norm2, block.hidden, block.output, on: x, rows: rows, state, thread: thread)
    }
    if thread == 0 {
      let each = rows / state.sequences
      for sequence in 0..<state.sequences {
        DecodingStep.copyRow(x, sequence * each + each - 1, into: state.last, sequence)
      }
    }
    team.barrier()
  }

  /// x + output(gelu(hidden(norm(x)))) for the first rows of x; complete when it returns.
  private func perceptron(
    _ norm: LayerNorm, _ hidden: PackedWeight, _ output: PackedWeight, on x: Tensor, rows: Int, _ state: State,
    thread: Int
  ) {
    normalize(x, rows: rows, by: norm, state, thread: thread)
    var mine = hidden.share(of: thread, in: team)
    hidden.multiply(state.normalized[thread], rows: rows, into: state.hidden, range: mine)
    DecodingStep.apply(.gelu, to: state.hidden, rows: rows, range: mine)
    team.barrier()
    mine = output.share(of: thread, in: team)
    output.multiply(state.hidden, rows: rows, into: x, range: mine, accumulate: true)
    team.barrier()
  }

  /// Leaves norm(x) of the first rows in the thread's `state.normalized`.
  private func normalize(_ x: Tensor, rows: Int, by norm: LayerNorm, _ state: State, thread: Int) {
    DecodingStep.layerNorm(
      x, rows: rows, gain: norm.weight.value, bias: norm.bias.value, into: state.normalized[thread],
      statistics: state.statistics[thread])
  }

  /// One thread's part of drawing the codes of a place, one after the other, from what ``forward(_:rows:thread:)`` left;
  /// all are there when it returns.
  private func drawCodes(of place: Int, _ state: State, _ options: SamplingOptions, thread: Int) {
    let rows = state.sequences
    let D = configuration.codesPerPlace
    func draw(_ d: Int, _ head: PackedWeight) {
      head.multiply(
        state.normalized[thread], rows: rows, into: state.logits, range: head.share(of: thread, in: team))
      team.barrier()
      state.draw(place * D + d, code: d, options, thread: thread, of: team.count)
      team.barrier()
    }
    normalize(state.last, rows: rows, by: prior.norm, state, thread: thread)
    draw(0, imageHead)
    for (d, refinement) in refinements.enumerated() {
      if thread == 0 {
        for sequence in 0..<rows {
          let code = Int(state.tokens[state.firstToken(of: sequence, place: place) + d]) - d * configuration.codes
          // The stream begins with the transformer's normalised output.
          let stream = d == 0 ? state.normalized[0] : state.last
          DecodingStep.addRows(stream, sequence, refinement.codes, code, into: state.last, row: sequence)
        }
      }
      team.barrier()
      perceptron(
        refinement.norm1, refinement.hidden, refinement.output, on: state.last, rows: rows, state, thread: thread)
      normalize(state.last, rows: rows, by: refinement.norm2, state, thread: thread)
      draw(d + 1, refinement.head)
    }
  }
}

extension PackedWeight {
  fileprivate init(_ layer: Linear) { self.init(weight: layer.weight.value, bias: layer.bias?.value) }
}
