@testable import Captions
import Foundation
import Testing

@testable import Basics

@Suite struct CaptionNeighboursTests {
  private let words = [
    3: ["red", "square"], 4: ["red", "bar"], 5: ["blue", "square", "square"], 8: ["blue", "bar"], 9: ["alone"],
  ]

  private func counts(of picture: Int, draws: Int = 4000) -> [Int: Int] {
    let neighbours = CaptionNeighbours(of: words.keys.sorted()) { words[$0] ?? [] }
    var random = Philox(seed: 1, stream: 2)
    return (0..<draws).reduce(into: [:]) { counts, _ in
      counts[neighbours.neighbour(of: picture, using: &random), default: 0] += 1
    }
  }

  @Test func aNeighbourSharesAWord() {
    let counts = counts(of: 3)
    #expect(Set(counts.keys) == [4, 5])
    // Both words are as rare.
    #expect((1800...2200).contains(counts[4] ?? 0), "\(counts)")
  }

  @Test func whoSharesNothingGetsAnyPicture() { #expect(Set(counts(of: 9).keys) == [3, 4, 5, 8, 9]) }

  @Test func rareWordsCountMore() {
    // All 64 share "a", two also "b": the weights are log 2 and log 33.
    let neighbours = CaptionNeighbours(of: Array(0..<64)) { $0 < 2 ? ["a", "b"] : ["a"] }
    var random = Philox(seed: 1, stream: 2)
    let draws = (0..<4000).map { _ in neighbours.neighbour(of: 0, using: &random) }
    let share = Double(draws.count { $0 == 1 }) / 4000
    let (rare, common): (Double, Double) = (log(33.0), log(2.0))
    let expected = (rare + common / 63) / (rare + common)
    #expect(abs(share - expected) < 0.03, "\(share) instead of \(expected)")
    #expect(!draws.contains(0) && Set(draws).count > 32)
  }
}
