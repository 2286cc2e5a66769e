import Decoding
import ModelTestSupport
import Testing

@testable import Basics
@testable import Priors
@testable import TensorCore

struct DecodingTests {
  @Test func packedProductsAgreeWithLinear() {
    // Neither whole panels of outputs nor whole vectors of inputs.
    let (N, K, rows) = (75, 37, 11)
    let weight = Tensor.normal([N, K], seed: 1, stream: 1)
    let bias = Tensor.normal([N], seed: 1, stream: 2)
    let x = Tensor.normal([rows, K], seed: 1, stream: 3)
    let rounded = weight.cast(to: .bfloat16).cast(to: .float32)
    let roundedX = x.cast(to: .bfloat16).cast(to: .float32)
    let y = Tensor(repeating: .nan, shape: [rows, N])
    PackedWeight(weight: weight, bias: bias).multiply(x, rows: rows, into: y, range: 0..<N)
    let expected = linear(roundedX, weight: rounded, bias: bias)
    #expect(relativeError(y, expected) < 1e-6)
    PackedWeight(weight: weight, bias: nil).multiply(x, rows: rows, into: y, range: 0..<N, accumulate: true)
    #expect(relativeError(y, expected + linear(roundedX, weight: rounded)) < 1e-6)
  }

  /// A row's result must not depend on its company.
  @Test(arguments: 1...17)
  func packedRowsAreTheSameInAnyCompany(rows: Int) throws {
    let (N, K) = (100, 53)
    let weight = PackedWeight(
      weight: .normal([N, K], seed: 1, stream: 1), bias: .normal([N], seed: 1, stream: 2))
    let x = Tensor.normal([rows, K], seed: 1, stream: 3)
    let alone = (0..<rows).map { row in
      let y = Tensor(repeating: .nan, shape: [1, N])
      weight.multiply(x.view(row * K..<(row + 1) * K, shape: [1, K]), rows: 1, into: y, range: 0..<N)
      return y.scalars
    }
    for threads in 1...3 {
      let team = try ThreadTeam(count: threads)
      let y = Tensor(repeating: .nan, shape: [rows, N])
      team.run { thread in
        weight.multiply(x, rows: rows, into: y, range: weight.share(of: thread, in: team))
      }
      #expect(y.scalars == alone.flatMap(\.self))
    }
  }

  @Test func cachedAttentionAgreesWithAttention() {
    let (B, T, heads, width, layers) = (2, 9, 3, 24, 2)
    let masks = Array(repeating: AttentionMask.causal, count: layers)
    let caches = (0..<B).map { _ in KeyValueCache(masks: masks, length: T, width: width, heads: heads) }
    let scores = Tensor.zeros([KeyValueCache.scratchLength(length: T)])
    let layer = 1
    let qkv = Tensor.normal([B, T, 3 * width], seed: 2, stream: 1)
    let expected = attention(qkv, heads: heads, causal: true)
    let result = Tensor(repeating: .nan, shape: [B, T, width])
    let other = Tensor(repeating: .nan, shape: [B, T, 3 * width])
    for position in 0..<T {
      for sequence in 0..<B {
        let row = sequence * T + position
        // In two parts that cut through the keys, as two threads store them; another layer's are kept apart.
        for range in [0..<40, 40..<3 * width] {
          caches[sequence].store(qkv, row: row, range: range, layer: layer, position: position)
          caches[sequence].store(other, row: row, range: range, layer: 0, position: position)
        }
        // As two threads share the heads out.
        for heads in [0..<1, 1..<heads] {
          caches[sequence].attend(
            qkv, row: row, heads: heads, layer: layer, position: position, scores: scores, into: result)
        }
      }
    }
    // All are rounded to bfloat16.
    #expect(relativeError(result, expected) < 1e-2)
  }

  /// Every position in turn, where what its mask hides from it, and all that comes later, would drown what it sees.
  @Test(arguments: AttentionKind.allCases, [(0, 1), (3, 3), (5, 4), (2, 8), (40, 6), (1, 16)])
  func cachedAttentionReadsWhatIsSeenAlone(kind: AttentionKind, shape: (textLength: Int, gridSide: Int)) {
    let mask = AttentionMask(kind, textLength: shape.textLength, gridSide: shape.gridSide)
    let T = shape.textLength + shape.gridSide * shape.gridSide
    // 41 channels a head: whole vectors, pairs and a rest.
    let (heads, width) = (2, 82)
    let qkv = Tensor.normal([1, T, 3 * width], seed: 8, stream: 1).cast(to: .bfloat16).cast(to: .float32)
    let expected = attention(qkv, heads: heads, mask: mask)
    let hidden = Tensor(repeating: 1e30, shape: [1, 3 * width])
    let result = Tensor(repeating: .nan, shape: [T, width])
    for position in 0..<T {
      let cache = KeyValueCache(masks: [mask], length: T, width: width, heads: heads)
      for key in 0..<T {
        let isSeen = mask.sees(from: position, key)
        cache.store(
          isSeen ? qkv : hidden, row: isSeen ? key : 0, range: 0..<3 * width, layer: 0, position: key)
      }
      cache.attend(
        qkv, row: position, heads: 0..<heads, layer: 0, position: position,
        scores: Tensor.zeros([KeyValueCache.scratchLength(length: T)]), into: result)
    }
    // The weights are rounded to bfloat16.
    #expect(relativeError(result, expected.reshaped([T, width])) < 4e-3)
  }

  @Test func stepsAgreeWithOperations() {
    let (rows, C) = (5, 18)
    let x = Tensor.normal([rows, C], seed: 3, stream: 1)
    let gain = Tensor.normal([C], seed: 3, stream: 2)
    let bias = Tensor.normal([C], seed: 3, stream: 3)
    let y = Tensor.zeros([rows, C])
    DecodingStep.layerNorm(x, rows: 3, gain: gain, bias: bias, into: y, statistics: .zeros([2 * rows]))
    let expected = layerNorm(x, gain: gain, bias: bias).scalars
    #expect(y.scalars == expected[..<(3 * C)] + [Float](repeating: 0, count: 2 * C))

    let z = Tensor.zeros([rows, C])
    z.overwrite(with: x)
    DecodingStep.apply(.gelu, to: z, rows: 2, range: 4..<9)
    let gelu = x.applying(.gelu).scalars
    for (i, value) in z.scalars.enumerated() {
      let isChanged = i / C < 2 && (4..<9).contains(i % C)
      #expect(value == (isChanged ? gelu[i] : x.scalars[i]))
    }

    DecodingStep.addRows(x, 1, y, 2, into: z, row: 4)
    DecodingStep.copyRow(x, 3, into: z, 0)
    let (xs, ys, zs) = (x.scalars, y.scalars, z.scalars)
    for c in 0..<C {
      #expect(zs[4 * C + c] == xs[C + c] + ys[2 * C + c])
      #expect(zs[c] == xs[3 * C + c])
    }
  }
}
