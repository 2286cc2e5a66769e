import Basics
import Decoding
import Foundation
import Priors
import TensorCore
import Testing

struct SamplingTests {
  private let logits: [Float] = [0.5, 2, -1, 2, 0, 1]

  private func options(temperature: Float = 1, topK: Int = 0, topP: Float = 1) -> SamplingOptions {
    var options = SamplingOptions()
    (options.temperature, options.topK, options.topP) = (temperature, topK, topP)
    return options
  }

  /// How often each token is drawn over evenly spread random numbers.
  private func shares(_ options: SamplingOptions) -> [Double] {
    var counts = [Double](repeating: 0, count: logits.count)
    let n = 10_000
    for i in 0..<n { counts[Int(options.draw(logits, uniform: (Float(i) + 0.5) / Float(n)))] += 1 }
    return counts.map { $0 / Double(n) }
  }

  private func softmax(temperature: Double, over tokens: Set<Int>) -> [Double] {
    let weights = logits.enumerated().map { tokens.contains($0) ? exp(Double($1) / temperature) : 0 }
    return weights.map { $0 / weights.reduce(0, +) }
  }

  private func expect(_ shares: [Double], _ expected: [Double]) {
    #expect(zip(shares, expected).allSatisfy { abs($0 - $1) < 5e-4 }, "\(shares) and \(expected)")
  }

  @Test(arguments: [0.3, 1, 2.5]) func drawsFromTheSoftmax(temperature: Double) {
    expect(shares(options(temperature: Float(temperature))), softmax(temperature: temperature, over: Set(0..<6)))
  }

  @Test func topKLeavesTheLikeliest() {
    expect(shares(options(topK: 3)), softmax(temperature: 1, over: [1, 3, 5]))
    // Of equally likely tokens the lower one stays.
    expect(shares(options(topK: 1)), softmax(temperature: 1, over: [1]))
    expect(shares(options(topK: 100)), softmax(temperature: 1, over: Set(0..<6)))
  }

  @Test func topPLeavesTheFewestThatReachIt() {
    // The probabilities in order: 0.360, 0.360, 0.133, 0.080, 0.049, 0.018.
    expect(shares(options(topP: 0.3)), softmax(temperature: 1, over: [1]))
    expect(shares(options(topP: 0.5)), softmax(temperature: 1, over: [1, 3]))
    expect(shares(options(topP: 0.75)), softmax(temperature: 1, over: [1, 3, 5]))
    expect(shares(options(topP: 0.9)), softmax(temperature: 1, over: [0, 1, 3, 5]))
    expect(shares(options(topK: 2, topP: 0.99)), softmax(temperature: 1, over: [1, 3]))
  }

  @Test func temperatureZeroTakesTheFirstOfTheLikeliest() {
    for uniform: Float in [0, 0.4, 0.999] { #expect(options(temperature: 0).draw(logits, uniform: uniform) == 1) }
    #expect(options(temperature: 0).draw([3, 3, 3] as [Float], uniform: 0.9) == 0)
    // A temperature so small that all but the likeliest vanish.
    #expect(options(temperature: 1e-30).draw([1, 2, 1.5] as [Float], uniform: 0.99) == 1)
  }

  @Test func extremesStayWithinTheTokens() {
    let last = Float(1).nextDown
    #expect(options().draw([1] as [Float], uniform: last) == 0)
    #expect((0..<6).contains(options().draw(logits, uniform: last)))
    #expect(options().draw([-.infinity, 0, -.infinity] as [Float], uniform: last) == 1)
    #expect(options().draw([10_000, -10_000] as [Float], uniform: last) == 0)
    #expect(options().draw(logits[3...], uniform: 0) == 0)
  }

  @Test func guidanceStrengthensWhatIsPlausible() {
    var options = options()
    // The third is out of the question, though the caption speaks for it; the fourth is a tenth as likely as the first.
    let (conditional, empty) = ([4, 3, -6, 1.75, 1.5] as [Float], [4, 4, -20, 1, 1] as [Float])
    options.guidance = 3
    #expect(options.guided(conditional, without: empty) == [4, 1, -.infinity, 3.25, -.infinity])
    options.guidance = 0.5
    #expect(options.guided(conditional, without: empty) == [4, 3.5, -13, 1.375, 1.25])
  }

  @Test func refusesWhatMakesNoSense() throws {
    try SamplingOptions().validate()
    var wrong = [SamplingOptions](repeating: .init(), count: 7)
    wrong[0].temperature = -0.1
    wrong[1].temperature = .nan
    wrong[2].topK = -1
    wrong[3].topP = 0
    wrong[4].topP = 1.01
    wrong[5].guidance = -1
    wrong[6].guidance = .infinity
    for options in wrong {
      #expect(#expect(throws: PipelineError.self) { try options.validate() }?.kind == .usage)
    }
  }
}
