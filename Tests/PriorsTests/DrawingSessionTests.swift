import Basics
import Decoding
import TensorCore
import Testing

@testable import Priors

extension ImageTokenDecoder {
  /// Draws all requests with the same options.
  func draw(_ requests: [DrawingRequest], options: SamplingOptions) -> [[Int32]] {
    draw(
      requests.map {
        var request = $0
        request.sampling = options
        return request
      })
  }
}

/// What holds of a session, whichever kind of prior draws.
struct DrawingSessionTests {
  /// A transformer, one of several codes a place, and a PixelCNN, 16 places each.
  private static let priors: [any Prior] = {
    let transformers = [nil, 2].map { depth in
      var c = TransformerPrior.Configuration()
      (c.textLength, c.gridSide, c.textVocabulary, c.imageVocabulary) = (6, 4, 50, 20 * (depth ?? 1))
      (c.width, c.layers, c.heads, c.depth) = (32, 2, 2, depth)
      let model = TransformerPrior(c, seed: 3)
      for parameter in model.parameters() where parameter.shape.count == 2 {
        parameter.overwrite(with: parameter.value * 10)
      }
      return model
    }
    var c = PixelCNN.Configuration()
    (c.gridSide, c.imageVocabulary, c.textLength, c.textVocabulary, c.channels, c.layers) = (4, 9, 6, 50, 8, 2)
    let pixelCNN = PixelCNN(c, seed: 1)
    pixelCNN.imageHead.weight.overwrite(with: pixelCNN.imageHead.weight.value * 100)
    return transformers as [any Prior] + [pixelCNN]
  }()

  /// Requests that differ in all that a request can differ in.
  private func requests(_ prior: any Prior) -> [DrawingRequest] {
    var hot = SamplingOptions()
    (hot.temperature, hot.topK, hot.guidance) = (1.5, 0, 3)
    var greedy = SamplingOptions()
    (greedy.temperature, greedy.guidance) = (0, 1)
    return [
      DrawingRequest(text: [1, 4, 10, 0, 7], seed: 1, number: 0),
      DrawingRequest(text: [3, 3], sampling: hot, seed: 1, number: 1),
      DrawingRequest(text: [], prefix: given(5, prior), sampling: hot, seed: 2, number: 0),
      DrawingRequest(text: [9], prefix: given(1, prior), sampling: greedy, seed: 2, number: 7),
      DrawingRequest(text: [3, 3], prefix: given(16, prior), seed: 1, number: 1),
      DrawingRequest(text: [2, 9, 5, 8, 6, 1, 4], sampling: hot, seed: 3, number: 2),
    ]
  }

  /// The first places' tokens.
  private func given(_ places: Int, _ prior: any Prior) -> [Int32] {
    let codes = Int32(prior.imageVocabulary / prior.codesPerPlace)
    return (0..<places).flatMap { place in
      (0..<prior.codesPerPlace).map { Int32($0) * codes + Int32(place) % codes }
    }
  }

  private func alone(_ prior: any Prior) throws -> [[Int32]] {
    try requests(prior).map { request in
      prior.makeDecoder(team: try ThreadTeam(count: 1)).draw([request])[0]
    }
  }

  @Test(arguments: priors) func whoJoinsLaterDrawsTheSame(_ prior: any Prior) throws {
    let expected = try alone(prior)
    #expect(Set(expected).count == expected.count)
    for (threads, capacity) in [(1, 1), (2, 2), (2, 8), (3, 3)] {
      let session = DrawingSession(prior.makeDecoder(team: try ThreadTeam(count: threads)), capacity: capacity)
      var waiting = Array(requests(prior).enumerated())
      var numbers: [DrawingSession.ID: Int] = [:]
      var drawn: [Int: [Int32]] = [:]
      var rounds = 0
      while !session.isEmpty || !waiting.isEmpty {
        // One more every third place.
        if rounds % 3 == 0, let (number, request) = waiting.first {
          numbers[session.join(request)] = number
          waiting.removeFirst()
        }
        for step in session.next() {
          let number = try #require(numbers[step.id])
          // What was told before stays, and each step tells one place.
          #expect(
            Array(step.tokens.prefix(step.drawn.lowerBound)) == drawn[number]
              ?? Array(step.tokens.prefix(step.drawn.lowerBound)))
          #expect(step.drawn.count == prior.codesPerPlace && step.drawn.upperBound == step.tokens.count)
          #expect(step.isComplete == (step.tokens.count == prior.imageLength))
          drawn[number] = step.tokens
        }
        rounds += 1
      }
      #expect((0..<expected.count).map { drawn[$0] } == expected, "\(threads) threads, \(capacity) at once")
    }
  }

  @Test(arguments: priors) func whoLeavesChangesNothingForTheOthers(_ prior: any Prior) throws {
    let expected = try alone(prior)
    let session = DrawingSession(prior.makeDecoder(team: try ThreadTeam(count: 2)), capacity: 3)
    let ids = requests(prior).map(session.join)
    var drawn: [DrawingSession.ID: [Int32]] = [:]
    var rounds = 0
    while !session.isEmpty {
      // One that is being drawn, one that waits, one that has left long ago.
      if rounds == 2 { session.cancel(ids[1]) }
      if rounds == 3 { session.cancel(ids[5]) }
      if rounds == 20 { session.cancel(ids[0]) }
      let steps = session.next()
      #expect(steps.count <= 3)
      for step in steps where step.isComplete { drawn[step.id] = step.tokens }
      rounds += 1
    }
    #expect(ids.map { drawn[$0] } == [expected[0], nil, expected[2], expected[3], expected[4], nil])
    #expect(session.next().isEmpty)
  }

  @Test func tellsTheShareThatIsDone() throws {
    let decoder = Self.priors[0].makeDecoder(team: try ThreadTeam(count: 1))
    var told: [Double] = []
    _ = decoder.draw([DrawingRequest(text: [1], seed: 1, number: 0)]) { told.append($0) }
    #expect(told == (1...16).map { Double($0) / 16 })
    told = []
    let requests = (0..<3).map { DrawingRequest(text: [1], seed: 1, number: $0) }
    _ = decoder.draw(requests, atOnce: 2) { told.append($0) }
    #expect(told.count == 32 && told == told.sorted() && told.last == 1)
    #expect(decoder.draw([]).isEmpty)
  }
}
