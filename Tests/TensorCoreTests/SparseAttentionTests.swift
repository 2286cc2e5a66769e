import Foundation
import ModelTestSupport
import Testing

@testable import TensorCore

/// Attention by a mask against dense attention with the same mask added, by definition and by PyTorch.
struct SparseAttentionTests {
  private static let sparse = AttentionKind.allCases.filter { $0 != .full }

  /// softmax(Q·Kᵀ/√D + mask)·V with a mask of 0 and -∞, and its gradient, in float64.
  private static func dense(
    _ qkv: [Float], _ cotangent: [Float], B: Int, T: Int, heads: Int, D: Int, mask: AttentionMask
  ) -> (y: [Double], gradient: [Double]) {
    var y = [Double](repeating: 0, count: cotangent.count)
    var gradient = [Double](repeating: 0, count: qkv.count)
    let scale = 1 / Double(D).squareRoot()
    for b in 0..<B {
      for head in 0..<heads {
        /// Where queries (part 0), keys (1) or values (2) of a position begin.
        func start(_ part: Int, _ position: Int) -> Int {
          ((b * T + position) * 3 + part) * heads * D + head * D
        }
        for query in 0..<T {
          let scores = (0..<T).map { key in
            let product = (0..<D).reduce(0.0) { sum, d in
              sum + Double(qkv[start(0, query) + d]) * Double(qkv[start(1, key) + d])
            }
            return product * scale + (mask.sees(from: query, key) ? 0 : -.infinity)
          }
          let largest = scores.max()!
          let exponentials = scores.map { exp($0 - largest) }
          let sum = exponentials.reduce(0, +)
          let p = exponentials.map { $0 / sum }
          let out = (b * T + query) * heads * D + head * D
          var dp = [Double](repeating: 0, count: T)
          for key in 0..<T {
            for d in 0..<D {
              let (value, dy) = (Double(qkv[start(2, key) + d]), Double(cotangent[out + d]))
              y[out + d] += p[key] * value
              dp[key] += dy * value
              gradient[start(2, key) + d] += p[key] * dy
            }
          }
          let delta = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
          for key in 0..<T {
            let ds = p[key] * (dp[key] - delta) * scale
            for d in 0..<D {
              gradient[start(0, query) + d] += ds * Double(qkv[start(1, key) + d])
              gradient[start(1, key) + d] += ds * Double(qkv[start(0, query) + d])
            }
          }
        }
      }
    }
    return (y, gradient)
  }

  private func run(
    _ qkv: Tensor, _ cotangent: Tensor, heads: Int, mask: AttentionMask, _ type: ElementType
  ) -> (y: Tensor, gradient: Tensor) {
    func attend(_ x: Tensor) -> Tensor {
      attention(x.cast(to: type), heads: heads, mask: mask).cast(to: .float32)
    }
    return (attend(qkv), valueAndGradient(of: [qkv]) { (attend($0[0]) * cotangent).sum() }.gradients[0])
  }

  /// Without optimization, as under the sanitizers, the dense attention of the largest grid takes minutes.
  private static let gridSides: [Int] = {
    #if DEBUG
      [1, 3, 8]
    #else
      [1, 3, 8, 16]
    #endif
  }()

  @Test(arguments: AttentionKind.allCases, gridSides)
  func agreesWithDenseAttention(kind: AttentionKind, gridSide: Int) {
    // No vectors' widths; texts without a token, below, at and above a block of queries.
    let (B, heads, D) = (2, 2, 5)
    for textLength in [0, 2, 5, 24, 32, 41] {
      let mask = AttentionMask(kind, textLength: textLength, gridSide: gridSide)
      // The whole grid, all but its last token as in training, and half of it.
      for imageLength in Set([gridSide * gridSide, gridSide * gridSide - 1, gridSide * gridSide / 2]) {
        let T = textLength + imageLength
        if T == 0 { continue }
        let qkv = Tensor.normal([B, T, 3 * heads * D], seed: 4, stream: UInt64(T)).cast(to: .bfloat16).cast(
          to: .float32)
        let cotangent = Tensor.normal([B, T, heads * D], seed: 5, stream: UInt64(T)).cast(to: .bfloat16)
          .cast(to: .float32)
        let expected = Self.dense(qkv.scalars, cotangent.scalars, B: B, T: T, heads: heads, D: D, mask: mask)
        for (type, tolerance) in [(ElementType.float32, 2e-6), (.bfloat16, 0x1p-6)] {
          let (y, gradient) = run(qkv, cotangent, heads: heads, mask: mask, type)
          #expect(relativeError(y.scalars.map(Double.init), expected.y) < tolerance, "\(type) \(mask) \(T)")
          let error = relativeError(gradient.scalars.map(Double.init), expected.gradient)
          #expect(error < 2 * tolerance, "the gradient, \(type) \(mask) \(T)")
        }
      }
    }
  }

  @Test(arguments: sparse, ["small", "large"])
  func agreesWithPyTorch(kind: AttentionKind, size: String) throws {
    let fixture = try Fixture("attention")
    func tensor(_ name: String) throws -> Tensor { try fixture.tensor("\(kind.rawValue)/\(size)/\(name)") }
    let mask = AttentionMask(kind, textLength: size == "small" ? 6 : 3, gridSide: size == "small" ? 4 : 16)
    let (y, gradient) = run(
      try tensor("input"), try tensor("cotangent"), heads: size == "small" ? 2 : 1, mask: mask, .float32)
    #expect(relativeError(y, try tensor("output")) < 1e-5)
    #expect(relativeError(gradient, try tensor("gradient")) < 1e-5)
  }

  @Test(arguments: sparse)
  func agreesWithFiniteDifferences(kind: AttentionKind) {
    let mask = AttentionMask(kind, textLength: 3, gridSide: 4)
    let shape = [1, 18, 12]
    let qkv = Tensor.normal(shape, seed: 6, stream: 1)
    let cotangent = Tensor.normal([1, 18, 4], seed: 6, stream: 2)
    let scalars = qkv.scalars
    let differences = scalars.indices.map { j in
      func value(at x: Float) -> Double {
        var changed = scalars
        changed[j] = x
        let y = attention(Tensor(changed, shape: shape), heads: 2, mask: mask)
        return zip(y.scalars, cotangent.scalars).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      }
      let (above, below) = (scalars[j] + 5e-3, scalars[j] - 5e-3)
      return (value(at: above) - value(at: below)) / (Double(above) - Double(below))
    }
    let (_, gradient) = run(qkv, cotangent, heads: 2, mask: mask, .float32)
    #expect(relativeError(gradient.scalars.map(Double.init), differences) < 1e-3)
  }

  @Test func fullAttentionIsCausalAttention() {
    let qkv = Tensor.normal([2, 30, 24], seed: 7, stream: 1)
    let full = attention(qkv, heads: 2, mask: AttentionMask(.full, textLength: 5, gridSide: 5))
    #expect(full.scalars == attention(qkv, heads: 2, causal: true).scalars)
  }

  @Test(arguments: AttentionKind.allCases)
  func countsWhatIsSeen(kind: AttentionKind) {
    for (textLength, gridSide) in [(0, 1), (2, 3), (5, 8), (24, 16), (7, 32)] {
      let mask = AttentionMask(kind, textLength: textLength, gridSide: gridSide)
      for position in 0..<textLength + gridSide * gridSide {
        #expect(mask.seenCount(from: position) == (0...position).count { mask.sees(from: position, $0) })
      }
    }
  }

  @Test func windowsGrowWithTheGridUpToThePapers() {
    let sides = [1, 2, 3, 4, 8, 16, 24, 32, 64, 256]
    let kernels = sides.map { AttentionMask(.convolution, textLength: 8, gridSide: $0).kernelSide }
    #expect(kernels == [1, 1, 3, 3, 3, 5, 9, 11, 11, 11])
  }
}
