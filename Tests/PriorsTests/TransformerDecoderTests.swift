import Basics
import Decoding
import TensorCore
import Testing

@testable import Priors

struct TransformerDecoderTests {
  /// The decoder multiplies by bfloat16 weights: a model whose weights are bfloat16 numbers, which both know exactly.
  private func roundedFixtureModel(
    _ attention: [AttentionKind]? = nil, depth: Int = 1
  ) throws -> TransformerPrior {
    let model = try PriorFixture(depth: depth).model(attention: attention)
    for parameter in model.parameters() where parameter.decays {
      parameter.overwrite(with: parameter.value.cast(to: .bfloat16))
    }
    return model
  }

  /// More than one panel of every weight, so that threads share the work; large weights, so that rounding would show.
  private func largerModel(_ attention: [AttentionKind]? = nil, depth: Int? = nil) -> TransformerPrior {
    var configuration = TransformerPrior.Configuration()
    configuration.textLength = 6
    configuration.gridSide = 4
    configuration.textVocabulary = 50
    configuration.imageVocabulary = 100 * (depth ?? 1)
    configuration.depth = depth
    configuration.width = 48
    configuration.layers = 2
    configuration.heads = 4
    configuration.attention = attention
    let model = TransformerPrior(configuration, seed: 3)
    for parameter in model.parameters() where parameter.shape.count == 2 {
      parameter.overwrite(with: parameter.value * 10)
    }
    return model
  }

  private let texts: [[Int32]] = [[1, 4, 10, 0, 7], [3, 3], [], [2, 9, 5, 8, 6, 1, 4], [10]]

  private func requests(seed: UInt64 = 1) -> [DrawingRequest] {
    texts.enumerated().map { .init(text: $1, seed: seed, number: $0) }
  }

  /// What is drawn from the decoder's logits must be what is drawn from those that training would compute for the same
  /// tokens: the likeliest ones, and random ones with the same random numbers.
  @Test(arguments: [(0, 1), (0, 2.5), (1, 1), (0.8, 2)] as [(Float, Float)])
  func agreesWithTheModel(temperature: Float, guidance: Float) throws {
    try expectAgreement(with: roundedFixtureModel(), temperature: temperature, guidance: guidance)
  }

  @Test(arguments: [[.row], [.column], [.convolution], [.column, .full]] as [[AttentionKind]])
  func agreesWithSparseModels(_ attention: [AttentionKind]) throws {
    try expectAgreement(with: roundedFixtureModel(attention), temperature: 1, guidance: 1.5)
  }

  @Test(arguments: [(0, 1), (0, 2.5), (1, 1), (0.8, 2)] as [(Float, Float)])
  func agreesWithTheModelOfSeveralCodesAPlace(temperature: Float, guidance: Float) throws {
    try expectAgreement(with: roundedFixtureModel(depth: 3), temperature: temperature, guidance: guidance)
  }

  private func expectAgreement(with model: TransformerPrior, temperature: Float, guidance: Float) throws {
    var options = SamplingOptions()
    (options.temperature, options.guidance, options.topK) = (temperature, guidance, 0)
    let drawn = TransformerDecoder(model, team: try ThreadTeam(count: 2)).draw(requests(seed: 21), options: options)
    #expect(Set(drawn).count > 2)
    try expectAgreement(of: drawn, with: model, requests(seed: 21), options)
  }

  /// What was drawn after the first `given` tokens is what the model's logits give with the same random numbers.
  private func expectAgreement(
    of drawn: [[Int32]], with model: TransformerPrior, _ requests: [DrawingRequest], _ options: SamplingOptions,
    given: Int = 0
  ) throws {
    let images = drawn.flatMap(\.self)
    let conditional = model.imageLogits(.init(texts: texts, images: images), precision: .float32)
    let empty = model.imageLogits(.init(texts: texts.map { _ in [] }, images: images), precision: .float32)
    let (logits, other) = (conditional.scalars, empty.scalars)
    var disagreements = 0
    for (i, tokens) in drawn.enumerated() {
      #expect(tokens.count == model.imageLength)
      for index in given..<tokens.count {
        let start = (i * tokens.count + index) * 13
        let own = logits[start..<start + 13]
        let guided = texts[i].isEmpty ? Array(own) : options.guided(own, without: other[start..<start + 13])
        let code = options.draw(guided, uniform: requests[i].uniform(position: index))
        if tokens[index] != Int32(index % model.codesPerPlace * 13) + code { disagreements += 1 }
      }
    }
    // The cache keeps keys and values as bfloat16: one near tie of some forty may fall the other way.
    #expect(disagreements <= model.codesPerPlace)
  }

  @Test(
    arguments: [1, 1.7] as [Float],
    [(nil, nil), ([.row, .column], nil), ([.convolution], nil), (nil, 2)] as [([AttentionKind]?, Int?)])
  func aPictureIsTheSameInAnyCompany(guidance: Float, shape: (attention: [AttentionKind]?, depth: Int?)) throws {
    let model = largerModel(shape.attention, depth: shape.depth)
    var options = SamplingOptions()
    options.guidance = guidance
    options.temperature = 1
    let reference = TransformerDecoder(model, team: try ThreadTeam(count: 1)).draw(requests(), options: options)
    #expect(Set(reference).count == texts.count)
    for threads in 1...3 {
      let decoder = TransformerDecoder(model, team: try ThreadTeam(count: threads))
      #expect(decoder.draw(requests(), options: options) == reference)
      #expect(decoder.draw(requests().reversed(), options: options) == reference.reversed())
      for (request, tokens) in zip(requests(), reference) {
        #expect(decoder.draw([request], options: options) == [tokens])
      }
    }
  }

  /// Texts that are kept, and those that have been forgotten since and are read again, give the same pictures.
  @Test(arguments: [1, 2.5] as [Float]) func textsAreKeptAndForgotten(guidance: Float) throws {
    let model = largerModel()
    var options = SamplingOptions()
    options.guidance = guidance
    let texts = (0..<30).map { [Int32($0), Int32($0 * 7 % 50)] + Array(repeating: 3, count: $0 % 7) }
    let requests = texts.enumerated().map { DrawingRequest(text: $1, seed: 5, number: $0) }
    let decoder = TransformerDecoder(model, team: try ThreadTeam(count: 2))
    let first = decoder.draw(requests, options: options)
    #expect(decoder.draw(requests, options: options) == first)
    for (request, tokens) in zip(requests, first).suffix(3) {
      let alone = TransformerDecoder(model, team: try ThreadTeam(count: 1))
      #expect(alone.draw([request], options: options) == [tokens])
    }
  }

  @Test func guidanceOfOneIsNoGuidance() throws {
    let decoder = TransformerDecoder(largerModel(), team: try ThreadTeam(count: 2))
    var options = SamplingOptions()
    options.guidance = 1
    let plain = decoder.draw(requests(), options: options)
    // The next number below 1 goes the other way through the code, to the same tokens.
    options.guidance = Float(1).nextDown
    #expect(decoder.draw(requests(), options: options) == plain)
    options.guidance = 3
    #expect(decoder.draw(requests(), options: options) != plain)
    // Guidance of zero leaves the caption out, but for the number of the picture.
    options.guidance = 0
    let unconditional = requests().map { DrawingRequest(text: [], seed: $0.seed, number: $0.number) }
    let empty = decoder.draw(requests(), options: options)
    #expect(empty == decoder.draw(unconditional, options: options))
  }

  /// There is nothing to strengthen.
  @Test func withoutACaptionGuidanceChangesNothing() throws {
    let decoder = TransformerDecoder(largerModel(), team: try ThreadTeam(count: 2))
    let requests = (0..<4).map { DrawingRequest(text: [], seed: 3, number: $0) }
    var options = SamplingOptions()
    (options.temperature, options.guidance) = (1.5, 1)
    let plain = decoder.draw(requests, options: options)
    options.guidance = 4
    #expect(decoder.draw(requests, options: options) == plain)
  }

  @Test func seedAndNumberChooseThePicture() throws {
    let decoder = TransformerDecoder(largerModel(), team: try ThreadTeam(count: 1))
    let options = SamplingOptions()
    func draw(_ seed: UInt64, _ number: Int) -> [Int32] {
      decoder.draw([.init(text: [5], seed: seed, number: number)], options: options)[0]
    }
    #expect(Set([draw(1, 0), draw(1, 1), draw(2, 0), draw(1, 0)]).count == 3)
    #expect(decoder.draw([], options: options).isEmpty)
  }

  /// Many rows of few sequences, and few rows of many, in turn: memory grows with both, and is not made anew.
  @Test func memoryForCompanyOfAllKindsIsMadeOnce() throws {
    let decoder = TransformerDecoder(largerModel(), team: try ThreadTeam(count: 1))
    let long = DrawingRequest(text: [1], prefix: Array(repeating: 0, count: 15), seed: 1, number: 0)
    decoder.advance([decoder.begin(long)])
    let several = (0..<4).map { decoder.begin(DrawingRequest(text: [1], seed: 1, number: $0)) }
    // One by one, so that their captions are few rows at a time.
    for drawing in several { decoder.advance([drawing]) }
    decoder.advance(several)
    // 15 places that are given, with and without the caption, which is 6 places of text; and four pictures.
    let scratch = decoder.scratch
    #expect(scratch.rowCount == 32 && scratch.sequenceCount == 8)
    decoder.advance([decoder.begin(long)])
    decoder.advance(several)
    #expect(decoder.scratch === scratch)
    #expect([1, 2, 3, 64, 65].map { DecodingStep.rowsToMake(for: $0, having: 1) } == [1, 2, 4, 64, 128])
    #expect(DecodingStep.rowsToMake(for: 3, having: 16) == 16)
  }

  // MARK: - Given tokens

  /// Given the first tokens of what it draws, it draws the others: the same bits, though they went through the model
  /// together.
  @Test(
    arguments: [(1, nil, nil), (1.7, nil, nil), (1.7, [.column, .row, .convolution], nil), (1.7, nil, 2)]
      as [(Float, [AttentionKind]?, Int?)])
  func givenItsOwnTokensItDrawsTheOthers(guidance: Float, attention: [AttentionKind]?, depth: Int?) throws {
    let model = largerModel(attention, depth: depth)
    var options = SamplingOptions()
    (options.guidance, options.temperature) = (guidance, 1)
    let reference = TransformerDecoder(model, team: try ThreadTeam(count: 1)).draw(requests(), options: options)
    for threads in 1...3 {
      let decoder = TransformerDecoder(model, team: try ThreadTeam(count: threads))
      func draw(_ counts: [Int]) -> [[Int32]] {
        var requests = requests()
        for i in requests.indices { requests[i].prefix = Array(reference[i].prefix(counts[i])) }
        return decoder.draw(requests, options: options)
      }
      for count in 0...model.imageLength {
        #expect(draw(Array(repeating: count, count: 5)) == reference, "\(count) given")
      }
      // Not as many to each.
      #expect(draw([3, 16, 4, 9, 5]) == reference)
    }
  }

  /// The cached pass over given tokens, and what is drawn after them, against the whole forward pass.
  @Test(arguments: [(0, 1), (0, 2.5), (1, 1), (0.8, 2)] as [(Float, Float)])
  func drawingAfterGivenTokensAgreesWithTheModel(temperature: Float, guidance: Float) throws {
    let model = try roundedFixtureModel()
    var options = SamplingOptions()
    (options.temperature, options.guidance, options.topK) = (temperature, guidance, 0)
    var random = Philox(seed: 4, stream: 2)
    // Three of the nine: a row that the model would not have drawn.
    let prefixes = texts.map { _ in (0..<3).map { _ in Int32(random.index(below: 13)) } }
    var requests = requests(seed: 21)
    for i in requests.indices { requests[i].prefix = prefixes[i] }
    let decoder = TransformerDecoder(model, team: try ThreadTeam(count: 2))
    let drawn = decoder.draw(requests, options: options)
    #expect(drawn.map { Array($0.prefix(3)) } == prefixes)
    #expect(drawn != decoder.draw(self.requests(seed: 21), options: options))
    try expectAgreement(of: drawn, with: model, requests, options, given: 3)
  }

  #if compiler(>=6.2)
    /// A token that is given addresses memory: below zero, of another codebook, beyond the last one.
    @Test(arguments: [-1, 13, 39, Int32.max]) func givenTokensAreOfTheirCodebook(token: Int32) async {
      await #expect(processExitsWith: .failure) { [token] in
        let model = try PriorFixture(depth: 3).model()
        _ = TransformerDecoder(model, team: try ThreadTeam(count: 1))
          .draw([DrawingRequest(text: [1], prefix: [token], seed: 1, number: 0)])
      }
    }

    @Test(arguments: [-1, 9, Int32.max]) func givenTokensOfPixelCNNToo(token: Int32) async {
      await #expect(processExitsWith: .failure) { [token] in
        var c = PixelCNN.Configuration()
        (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary, c.channels, c.layers) = (3, 9, 2, 10, 8, 1)
        _ = PixelCNN(c, seed: 1).makeDecoder(team: try ThreadTeam(count: 1))
          .draw([DrawingRequest(text: [1], prefix: [token], seed: 1, number: 0)])
      }
    }
  #endif
}
