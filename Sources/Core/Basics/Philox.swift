import Foundation

/// Philox 4×32-10: a counter-based random number generator, so that any number of a stream can be had
/// without drawing the ones before it. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
///
/// A stream is named by (seed, stream); each purpose (shuffling, dropout, sampling) takes its own stream number,
/// so that none disturbs another.
public struct Philox: RandomNumberGenerator, Sendable {
  private let key: SIMD2<UInt32>
  private let stream: UInt64
  /// The number of the next block of four 32-bit words.
  private var counter: UInt64
  private var block: SIMD4<UInt32> = .zero
  private var used = 4

  /// - Parameters:
  ///   - seed: the generator's key.
  ///   - stream: the upper half of the counter.
  ///   - counter: the block of four words to begin with.
  public init(seed: UInt64, stream: UInt64, counter: UInt64 = 0) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.stream = stream
    self.counter = counter
  }

  /// The block of four words that belongs to a counter (words 0, 1) and a stream (words 2, 3).
  public static func block(key: SIMD2<UInt32>, counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let p0 = UInt64(c[0]) * 0xD251_1F53
      let p1 = UInt64(c[2]) * 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: p0))
      k = SIMD2(k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85)
    }
    return c
  }

  /// The next 32 random bits.
  public mutating func nextWord() -> UInt32 {
    if used == 4 {
      block = Self.block(
        key: key,
        counter: SIMD4(
          UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
          UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)))
      counter &+= 1
      used = 0
    }
    defer { used += 1 }
    return block[used]
  }

  public mutating func next() -> UInt64 { UInt64(nextWord()) << 32 | UInt64(nextWord()) }

  /// Uniform in [0, 1), a multiple of 2⁻²⁴.
  public mutating func uniform() -> Float { Float(nextWord() >> 8) * 0x1p-24 }

  /// Standard normal, in Float64, from two words of 53 bits (Box & Muller 1958).
  public mutating func normal() -> Double {
    let radius = (-2 * log((Double(next() >> 11) + 0.5) * 0x1p-53)).squareRoot()
    return radius * cos(2 * .pi * Double(next() >> 11) * 0x1p-53)
  }

  /// Uniform over 0 ..< `bound`, by multiplication (bias below `bound` · 2⁻⁶⁴).
  public mutating func index(below bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

  /// A random order of 0 ..< `count` (Fisher–Yates).
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, index(below: i + 1)) }
    return order
  }
}
