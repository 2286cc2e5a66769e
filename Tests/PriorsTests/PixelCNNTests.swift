import Basics
import Decoding
import ModelTestSupport
import TensorCore
import Testing

@testable import NN
@testable import Optimization
@testable import Priors

struct PixelCNNTests {
  private let texts: [[Int32]] = [[1, 4], [], [2, 0, 3, 3]]

  private func fixtureModel(_ fixture: Fixture) throws -> PixelCNN {
    var c = PixelCNN.Configuration()
    (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary, c.upperGridSides) = (4, 7, 3, 5, [2])
    (c.channels, c.layers, c.reach, c.dropout) = (8, 2, 1, 0)
    let model = PixelCNN(c, seed: 1)
    for (name, tensor) in model.namedTensors() { tensor.overwrite(with: try fixture.tensor("initial/\(name)")) }
    return model
  }

  private func fixtureBatch(_ fixture: Fixture) throws -> PriorBatch {
    PriorBatch(texts: texts, images: try fixture.integers("images"), upperTokens: [try fixture.integers("uppers")])
  }

  @Test func agreesWithPyTorch() throws {
    let fixture = try Fixture("pixelcnn")
    let (model, batch) = (try fixtureModel(fixture), try fixtureBatch(fixture))
    let (loss, gradients) = valueAndGrad(model) { $0.loss(batch, precision: .float32).total }
    #expect(relativeError(loss, try fixture.tensor("loss")) < 1e-5)
    for ((name, _), gradient) in zip(model.namedParameters(), gradients) {
      #expect(relativeError(gradient, try fixture.tensor("gradient/\(name)")) < 5e-5, "the gradient of \(name)")
    }
    let logits = model.imageLogits(batch, precision: .float32)
    #expect(relativeError(logits, try fixture.tensor("image logits")) < 1e-5)
    let total = model.logLikelihood(batch).reduce(0, +)
    #expect(abs(total / (3 * 16) + Double(loss.item)) < 1e-5)
    let narrow = model.loss(batch, precision: .bfloat16).image
    #expect(abs(narrow - loss.item) < 0.03 * loss.item)
  }

  /// Larger weights than at the start, so that every path from a token to a logit shows.
  private func model(side: Int, layers: Int, reach: Int, uppers: [Int] = [], textLength: Int = 0) -> PixelCNN {
    var c = PixelCNN.Configuration()
    (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary, c.upperGridSides) = (side, 9, textLength, 6, uppers)
    (c.channels, c.layers, c.reach, c.dropout) = (12, layers, reach, 0)
    let model = PixelCNN(c, seed: 5)
    model.imageHead.weight.overwrite(with: model.imageHead.weight.value * 30)
    return model
  }

  /// A token matters to all positions after it, with no blind spot, and to none before or at its own.
  @Test(arguments: [(4, 4, 1), (5, 3, 2), (1, 2, 1)]) func everyEarlierTokenMattersAndNoLaterOne(
    side: Int, layers: Int, reach: Int
  ) {
    let model = model(side: side, layers: layers, reach: reach)
    let P = side * side
    var random = Philox(seed: 2, stream: 1)
    let images = (0..<P).map { _ in Int32(random.index(below: 9)) }
    func logits(_ images: [Int32]) -> [Float] {
      model.imageLogits(.init(texts: [[]], images: images), precision: .float32).scalars
    }
    let before = logits(images)
    for changed in 0..<P {
      var other = images
      other[changed] = (other[changed] + 1) % 9
      let after = logits(other)
      for position in 0..<P {
        let range = position * 9..<(position + 1) * 9
        #expect(
          (before[range] == after[range]) == (position <= changed), "token \(changed) and the logits at \(position)")
      }
    }
  }

  @Test func captionsAndUpperMapsMatter() {
    let model = model(side: 4, layers: 2, reach: 1, uppers: [2, 1], textLength: 3)
    let images = (0..<16).map { Int32($0 % 9) }
    func logits(_ text: [Int32], _ upper: [Int32], _ top: [Int32]) -> [Float] {
      model.imageLogits(.init(texts: [text], images: images, upperTokens: [upper, top]), precision: .float32).scalars
    }
    let base = logits([1, 2], [0, 1, 2, 3], [4])
    #expect(logits([1, 2], [0, 1, 2, 3], [4]) == base)
    for other in [
      logits([2, 1], [0, 1, 2, 3], [4]), logits([], [0, 1, 2, 3], [4]), logits([1, 2], [0, 1, 2, 4], [4]),
      logits([1, 2], [0, 1, 2, 3], [5]),
    ] {
      // At every position, the first included.
      for position in 0..<16 {
        let range = position * 9..<(position + 1) * 9
        #expect(other[range] != base[range], "position \(position)")
      }
    }
    // What is beyond the text length is not seen.
    #expect(logits([1, 2, 3, 4], [0, 1, 2, 3], [4]) == logits([1, 2, 3], [0, 1, 2, 3], [4]))
  }

  @Test func sharesOfABatchAddUp() throws {
    let fixture = try Fixture("pixelcnn")
    let (model, batch) = (try fixtureModel(fixture), try fixtureBatch(fixture))
    let whole = valueAndGrad(model) { $0.loss(batch, precision: .float32).total }
    let split = valueAndGrad(model) { model in
      let parts = [0..<1, 1..<3].map { range in
        let part = PriorBatch(
          texts: Array(texts[range]), images: Array(batch.images[range.lowerBound * 16..<range.upperBound * 16]),
          upperTokens: [Array(batch.upperTokens[0][range.lowerBound * 4..<range.upperBound * 4])])
        return model.loss(
          part, share: Float(range.count) / 3, textShare: 0, precision: .float32, dropout: nil
        ).total
      }
      return parts[0] + parts[1]
    }
    #expect(relativeError(split.value, whole.value) < 1e-5)
    for (a, b) in zip(split.gradients, whole.gradients) { #expect(relativeError(a, b) < 2e-5) }
  }

  // MARK: - Drawing

  /// What is drawn place by place is what would be drawn from the logits of the whole model for the same tokens.
  @Test(arguments: [(0, 1), (0, 2.5), (1, 1), (0.8, 2)] as [(Float, Float)])
  func drawingAgreesWithTheModel(temperature: Float, guidance: Float) throws {
    let model = model(side: 5, layers: 3, reach: 2, uppers: [1], textLength: 3)
    var options = SamplingOptions()
    (options.temperature, options.guidance, options.topK) = (temperature, guidance, 0)
    let requests = texts.enumerated().map { i, text in
      DrawingRequest(text: text, upperTokens: [[Int32(i)]], seed: 21, number: i)
    }
    let drawn = PixelCNNDecoder(model, team: try ThreadTeam(count: 2)).draw(requests, options: options)
    #expect(Set(drawn).count == 3)
    let disagreements = disagreements(of: drawn, with: model, requests, options, uppers: [[0, 1, 2]])
    // Sums in another order: one near tie of the 75 may fall the other way.
    #expect(disagreements <= 1)
  }

  /// How many of the tokens from `given` on are not what the whole model's logits give with the same random numbers.
  private func disagreements(
    of drawn: [[Int32]], with model: PixelCNN, _ requests: [DrawingRequest], _ options: SamplingOptions,
    uppers: [[Int32]] = [], given: Int = 0
  ) -> Int {
    let images = drawn.flatMap(\.self)
    func logits(_ texts: [[Int32]]) -> [Float] {
      model.imageLogits(.init(texts: texts, images: images, upperTokens: uppers), precision: .float32).scalars
    }
    let (conditional, empty) = (logits(texts), logits(texts.map { _ in [] }))
    var disagreements = 0
    for (i, tokens) in drawn.enumerated() {
      #expect(tokens.count == 25)
      for index in given..<tokens.count {
        let own = (i * tokens.count + index) * 9..<(i * tokens.count + index + 1) * 9
        let guided =
          texts[i].isEmpty ? Array(conditional[own]) : options.guided(conditional[own], without: empty[own])
        if tokens[index] != options.draw(guided, uniform: requests[i].uniform(position: index)) { disagreements += 1 }
      }
    }
    return disagreements
  }

  @Test func aPictureIsTheSameInAnyCompany() throws {
    let model = model(side: 4, layers: 3, reach: 2, textLength: 3)
    let requests = (0..<5).map { DrawingRequest(text: texts[$0 % 3], seed: 3, number: $0) }
    var options = SamplingOptions()
    options.temperature = 1
    let reference = PixelCNNDecoder(model, team: try ThreadTeam(count: 1)).draw(requests, options: options)
    #expect(Set(reference).count == 5)
    for threads in 1...3 {
      let decoder = PixelCNNDecoder(model, team: try ThreadTeam(count: threads))
      #expect(decoder.draw(requests, options: options) == reference)
      #expect(decoder.draw(requests.reversed(), options: options) == reference.reversed())
      #expect(decoder.draw([requests[3]], options: options) == [reference[3]])
    }
    let decoder = model.makeDecoder(team: try ThreadTeam(count: 2))
    var others = requests
    for i in others.indices { others[i].seed = 4 }
    #expect(decoder.draw(others, options: options) != reference)
  }

  /// Given the first tokens of what it draws, it draws the others: whole rows, of which the horizontal stack is not
  /// computed, and parts of rows.
  @Test(arguments: [1, 2] as [Float]) func givenItsOwnTokensItDrawsTheOthers(guidance: Float) throws {
    let model = model(side: 4, layers: 3, reach: 2, textLength: 3)
    var requests = (0..<5).map { DrawingRequest(text: texts[$0 % 3], seed: 3, number: $0) }
    var options = SamplingOptions()
    (options.temperature, options.guidance) = (1, guidance)
    let reference = PixelCNNDecoder(model, team: try ThreadTeam(count: 1)).draw(requests, options: options)
    for threads in 1...3 {
      let decoder = PixelCNNDecoder(model, team: try ThreadTeam(count: threads))
      for count in [0, 1, 4, 6, 8, 12, 15, 16] {
        for i in requests.indices { requests[i].prefix = Array(reference[i].prefix(count)) }
        #expect(decoder.draw(requests, options: options) == reference, "\(count) given")
      }
      for (i, count) in [8, 0, 3, 16, 13].enumerated() { requests[i].prefix = Array(reference[i].prefix(count)) }
      #expect(decoder.draw(requests, options: options) == reference)
    }
  }

  /// What is drawn after tokens that the model would not have drawn, against the whole forward pass.
  @Test(arguments: [(0, 1), (0.8, 2)] as [(Float, Float)])
  func drawingAfterGivenTokensAgreesWithTheModel(temperature: Float, guidance: Float) throws {
    let model = model(side: 5, layers: 3, reach: 2, textLength: 3)
    var options = SamplingOptions()
    (options.temperature, options.guidance, options.topK) = (temperature, guidance, 0)
    var random = Philox(seed: 4, stream: 2)
    let requests = texts.enumerated().map { i, text in
      DrawingRequest(
        text: text, prefix: (0..<10).map { _ in Int32(random.index(below: 9)) }, seed: 21, number: i)
    }
    let drawn = PixelCNNDecoder(model, team: try ThreadTeam(count: 2)).draw(requests, options: options)
    #expect(drawn.map { Array($0.prefix(10)) } == requests.map(\.prefix))
    let disagreements = disagreements(of: drawn, with: model, requests, options, given: 10)
    // Sums in another order: one near tie of the 45 may fall the other way.
    #expect(disagreements <= 1)
  }

  /// Trained on two pictures with a caption each, it draws the one whose caption it is given.
  @Test func drawsWhatItHasLearnt() throws {
    let model = model(side: 4, layers: 3, reach: 2, textLength: 2)
    model.imageHead.weight.overwrite(with: model.imageHead.weight.value * (1 / 30))
    var random = Philox(seed: 8, stream: 1)
    let pictures = (0..<2).map { _ in (0..<16).map { _ in Int32(random.index(below: 9)) } }
    let batch = PriorBatch(texts: [[1], [2]], images: pictures.flatMap(\.self))
    let trainer = ReplicaTrainer(
      AdamW(ParameterStore(model, precision: .float32)), team: try ThreadTeam(count: 1))
    for _ in 0..<200 {
      _ = trainer.step(learningRate: 3e-3) { _ in model.loss(batch, precision: .float32).total }
    }
    #expect(model.loss(batch, precision: .float32).image < 0.05)
    let decoder = PixelCNNDecoder(model, team: try ThreadTeam(count: 2))
    var options = SamplingOptions()
    (options.temperature, options.guidance) = (0, 1)
    let requests = [[1], [2]].enumerated().map { DrawingRequest(text: $1.map(Int32.init), seed: 1, number: $0) }
    #expect(decoder.draw(requests, options: options) == pictures)
  }
}
