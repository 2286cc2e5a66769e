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

  private let prior: TransformerPrior
  private let configuration: TransformerPrior.Configuration
  private let blocks: [Block]
  private let imageHead: PackedWeight
  /// [imageLength, width]
  private let imagePositions: Tensor
  private let team: ThreadTeam

  public init(_ prior: TransformerPrior, team: ThreadTeam) {
    self.prior = prior
    self.team = team
    configuration = prior.configuration
    blocks = prior.blocks.map(Block.init)
    imageHead = PackedWeight(prior.imageHead)
    imagePositions = gridEmbedding(rows: prior.rowPosition.weight(), columns: prior.columnPosition.weight())
  }

  public typealias Request = DrawingRequest

  /// Draws one picture for each request. Captions, and the image tokens that all requests are given, go through the
  /// model in one pass; what some are given beyond these takes the place of what would be drawn.
  /// - Parameter progress: told after each later image token how many are there.
  /// - Returns: `imageLength` tokens for each request.
  public func draw(
    _ requests: [Request], options: SamplingOptions, progress: (Int) -> Void = { _ in }
  ) -> [[Int32]] {
    guard !requests.isEmpty else { return [] }
    let c = configuration
    // With guidance each picture has a second sequence without a caption.
    let isGuided = options.guidance != 1
    let texts = requests.map(\.text) + (isGuided ? requests.map { _ in [] } : [])
    // The last image token is not an input.
    let given = min(requests.map(\.prefix.count).min() ?? 0, c.imageLength - 1)
    let state = State(prior, sequences: texts.count, inputs: c.textLength + given, threads: team.count)
    let embeddedTexts = prior.embedded(texts: texts)

    var tokens = requests.map { Array($0.prefix.prefix(given)) + Array(repeating: 0, count: c.imageLength - given) }
    for sequence in texts.indices {
      for position in 0..<c.textLength {
        let row = sequence * state.inputs + position
        DecodingStep.copyRow(embeddedTexts, sequence * c.textLength + position, into: state.x, row)
        state.places[row] = (sequence, position)
      }
      for index in 0..<given {
        let row = sequence * state.inputs + c.textLength + index
        enter(tokens[sequence % requests.count][index], at: index, of: sequence, state, row: row)
      }
    }
    var rows = texts.count * state.inputs
    for index in given..<c.imageLength {
      team.run { thread in
        forward(state, rows: rows, thread: thread)
        for i in stride(from: thread, to: requests.count, by: team.count) {
          let logits = state.guidedLogits(of: i, options.guidance, pictures: requests.count)
          state.drawn[i] = requests[i].token(at: index, from: logits, options)
        }
      }
      for i in requests.indices { tokens[i][index] = state.drawn[i] }
      progress(index + 1)
      // The token drawn is the next input of all its sequences.
      rows = texts.count
      for sequence in texts.indices {
        enter(tokens[sequence % requests.count][index], at: index, of: sequence, state, row: sequence)
      }
    }
    return tokens
  }

  /// Makes a row of `state.x` the embedding of the image token `index` of a sequence.
  private func enter(_ token: Int32, at index: Int, of sequence: Int, _ state: State, row: Int) {
    DecodingStep.addRows(
      prior.imageEmbedding.weight.value, Int(token), imagePositions, index, into: state.x, row: row)
    state.places[row] = (sequence, configuration.textLength + index)
  }

  /// What the threads share while drawing, and each one's scratch memory.
  private final class State: @unchecked Sendable {
    let x, queryKeyValue, attended, hidden, last, logits: Tensor
    let normalized, statistics, scores: [Tensor]
    let cache: KeyValueCache
    let sequences: Int
    /// Of each sequence in the first pass.
    let inputs: Int
    /// The sequence and position of each row of `x`.
    var places: [(sequence: Int, position: Int)]
    /// The tokens of this step; each is written by one thread.
    let drawn: UnsafeMutableBufferPointer<Int32>

    init(_ prior: TransformerPrior, sequences: Int, inputs: Int, threads: Int) {
      let c = prior.configuration
      let rows = sequences * inputs
      (self.sequences, self.inputs) = (sequences, inputs)
      x = .zeros([rows, c.width])
      queryKeyValue = .zeros([rows, 3 * c.width])
      attended = .zeros([rows, c.width])
      hidden = .zeros([rows, 4 * c.width])
      last = .zeros([sequences, c.width])
      logits = .zeros([sequences, c.imageVocabulary])
      normalized = (0..<threads).map { _ in .zeros([rows, c.width]) }
      statistics = (0..<threads).map { _ in .zeros([2 * rows]) }
      let cache = KeyValueCache(
        masks: prior.blocks.map(\.attention.mask), sequences: sequences, length: c.sequenceLength, width: c.width,
        heads: c.heads)
      self.cache = cache
      scores = (0..<threads).map { _ in .zeros([cache.scratchLength]) }
      places = Array(repeating: (0, 0), count: rows)
      drawn = .allocate(capacity: sequences)
    }

    deinit { drawn.deallocate() }

    /// The logits that picture i is drawn from: those of its sequence, or with guidance empty + g·(caption - empty).
    func guidedLogits(of i: Int, _ guidance: Float, pictures: Int) -> [Float] {
      let K = logits.lastDimension
      return logits.withUnsafeMutableFloats { logits in
        let conditional = logits[i * K..<(i + 1) * K]
        guard guidance != 1 else { return Array(conditional) }
        let empty = logits[(pictures + i) * K..<(pictures + i + 1) * K]
        return zip(conditional, empty).map { $1 + guidance * ($0 - $1) }
      }
    }
  }

  /// One thread's part of the model on the rows of `state.x`; leaves the logits of each sequence's last row, complete
  /// when it returns.
  private func forward(_ state: State, rows: Int, thread: Int) {
    let (heads, x, qkv) = (configuration.heads, state.x, state.queryKeyValue)
    let normalized = state.normalized[thread]
    func normalize(_ norm: LayerNorm, _ input: Tensor, rows: Int) {
      DecodingStep.layerNorm(
        input, rows: rows, gain: norm.weight.value, bias: norm.bias.value, into: normalized,
        statistics: state.statistics[thread])
    }
    for (layer, block) in blocks.enumerated() {
      normalize(block.norm1, x, rows: rows)
      var mine = block.queryKeyValue.share(of: thread, in: team)
      block.queryKeyValue.multiply(normalized, rows: rows, into: qkv, range: mine)
      for row in 0..<rows {
        let place = state.places[row]
        state.cache.store(
          qkv, row: row, range: mine, layer: layer, sequence: place.sequence, position: place.position)
      }
      team.barrier()
      for item in team.range(of: thread, total: rows * heads) {
        let place = state.places[item / heads]
        state.cache.attend(
          qkv, row: item / heads, head: item % heads, layer: layer, sequence: place.sequence,
          position: place.position, scores: state.scores[thread], into: state.attended)
      }
      team.barrier()
      mine = block.attentionOutput.share(of: thread, in: team)
      block.attentionOutput.multiply(state.attended, rows: rows, into: x, range: mine, accumulate: true)
      team.barrier()
      normalize(block.norm2, x, rows: rows)
      mine = block.hidden.share(of: thread, in: team)
      block.hidden.multiply(normalized, rows: rows, into: state.hidden, range: mine)
      DecodingStep.apply(.gelu, to: state.hidden, rows: rows, range: mine)
      team.barrier()
      mine = block.output.share(of: thread, in: team)
      block.output.multiply(state.hidden, rows: rows, into: x, range: mine, accumulate: true)
      team.barrier()
    }
    if thread == 0 {
      let each = rows / state.sequences
      for sequence in 0..<state.sequences {
        DecodingStep.copyRow(x, sequence * each + each - 1, into: state.last, sequence)
      }
    }
    team.barrier()
    normalize(prior.norm, state.last, rows: state.sequences)
    imageHead.multiply(
      normalized, rows: state.sequences, into: state.logits, range: imageHead.share(of: thread, in: team))
    team.barrier()
  }
}

extension PackedWeight {
  fileprivate init(_ layer: Linear) { self.init(weight: layer.weight.value, bias: layer.bias?.value) }
}
