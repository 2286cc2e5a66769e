import Basics
import Foundation
import TensorCore
import Testing

struct PhiloxTests {
  /// The known answers of the authors' Random123, which make_model_fixtures.py computes again.
  @Test(arguments: [
    (
      key: SIMD2<UInt32>(0, 0), counter: SIMD4<UInt32>(0, 0, 0, 0),
      answer: SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
    ),
    (
      key: SIMD2(repeating: UInt32.max), counter: SIMD4(repeating: UInt32.max),
      answer: SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
    ),
    (
      key: SIMD2(0xa409_3822, 0x299f_31d0), counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
      answer: SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
    ),
  ])
  func knownAnswers(key: SIMD2<UInt32>, counter: SIMD4<UInt32>, answer: SIMD4<UInt32>) {
    #expect(Philox.block(key: key, counter: counter) == answer)
    // The generator's words are those of the block: seed = key, counter = the lower half, stream = the upper half.
    var random = Philox(
      seed: UInt64(key[1]) << 32 | UInt64(key[0]), stream: UInt64(counter[3]) << 32 | UInt64(counter[2]),
      counter: UInt64(counter[1]) << 32 | UInt64(counter[0]))
    for i in 0..<4 { #expect(random.nextWord() == answer[i]) }
  }

  @Test func uniformTensorsHoldTheWordsOfTheStream() {
    let (seed, stream): (UInt64, UInt64) = (0x1234_5678_9ABC_DEF0, 0xFEDC_BA98_7654_3210)
    var random = Philox(seed: seed, stream: stream)
    let values = Tensor.uniform([3, 337], seed: seed, stream: stream).scalars
    #expect(values == values.map { _ in random.uniform() })
  }

  @Test func normalTensorsAreBoxMullerOfTheStream() {
    let (seed, stream): (UInt64, UInt64) = (42, 1 << 33 | 7)
    var random = Philox(seed: seed, stream: stream)
    let values = Tensor.normal([1001], seed: seed, stream: stream).scalars
    for i in Swift.stride(from: 0, to: 1000, by: 2) {
      let radius = (-2 * log(1 - Double(random.uniform()))).squareRoot()
      let angle = 2 * Double.pi * Double(random.nextWord()) / 0x1p32
      #expect(abs(Double(values[i]) - radius * cos(angle)) < 2e-6)
      #expect(abs(Double(values[i + 1]) - radius * sin(angle)) < 2e-6)
    }
  }

  @Test func normalTensorsHaveTheMomentsOfANormalDistribution() {
    let n = 200_000
    let x = Tensor.normal([n], seed: 3, stream: 4).scalars.map(Double.init)
    func moment(_ power: Int) -> Double { x.reduce(0) { $0 + pow($1, Double(power)) } / Double(n) }
    // Five standard errors each: variances of x, x², x³ and x⁴ are 1, 2, 15 and 96.
    for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1, 2), (3, 0, 15), (4, 3, 96)] {
      #expect(abs(moment(power) - expected) < 5 * (variance / Double(n)).squareRoot())
    }
  }

  @Test func permutationsHoldEveryNumberOnce() {
    var random = Philox(seed: 1, stream: 2)
    let order = random.permutation(1000)
    #expect(order.sorted() == Array(0..<1000))
    #expect(order != Array(0..<1000))
    var again = Philox(seed: 1, stream: 2)
    #expect(again.permutation(1000) == order)
    #expect((0..<1000).allSatisfy { _ in (0..<7).contains(random.index(below: 7)) })
  }
}
