import Testing

@testable import Basics

struct RandomStreamTests {
  @Test func noTwoPurposesShareAStream() {
    let sorted = RandomStream.all.sorted { $0.first < $1.first }
    for (a, b) in zip(sorted, sorted.dropFirst()) {
      #expect(a.first + a.count <= b.first, "\(a) and \(b) overlap")
    }
  }

  @Test func numbersAreOffsets() {
    #expect(RandomStream.drawnTokens(7) == 0x5A << 56 | 7)
    #expect(RandomStream.samples() == RandomStream.samples.first)
  }
}
