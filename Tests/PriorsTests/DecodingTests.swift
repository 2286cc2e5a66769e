import CKernels
import Decoding
import Foundation
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

  @Test(arguments: [(WeightPrecision.float32, 1e-6), (.bfloat16, 1e-2), (.int8, 1e-2), (.int4, 0.12)])
  func everyPrecisionIsOffByItsRounding(precision: WeightPrecision, bound: Double) {
    for (N, K, rows) in [(75, 37, 3), (33, 300, 1), (64, 128, 9)] {
      let weight = Tensor.normal([N, K], seed: 1, stream: 1)
      let x = Tensor.normal([rows, K], seed: 1, stream: 3)
      let y = Tensor(repeating: .nan, shape: [rows, N])
      PackedWeight(weight: weight, bias: nil, as: precision).multiply(x, rows: rows, into: y, range: 0..<N)
      let error = relativeError(y, linear(x, weight: weight))
      #expect(error < bound)
      // Bytes are as much better than half ones as they are longer.
      #expect(precision != .int4 || error > 0.01)
    }
  }

  /// Whole numbers whose groups have the scale 1 come through as they are, on every CPU.
  @Test(arguments: [(WeightPrecision.int8, Float(127)), (.int4, -8)])
  func wholeNumbersAreMultipliedExactly(precision: WeightPrecision, extreme: Float) {
    let (N, K, rows) = (70, 300, 6)
    var random = Philox(seed: 4, stream: 0)
    func whole(_ count: Int, below limit: Int, first: Float) -> [Float] {
      // Every group of either length begins with the largest.
      (0..<count).map { $0 % K % 32 == 0 ? first : Float(random.index(below: 2 * limit - 1) - limit + 1) }
    }
    let weight = Tensor(whole(N * K, below: Int(abs(extreme)), first: extreme), shape: [N, K])
    let x = Tensor(whole(rows * K, below: 127, first: -127), shape: [rows, K])
    let y = Tensor(repeating: .nan, shape: [rows, N])
    PackedWeight(weight: weight, bias: nil, as: precision).multiply(x, rows: rows, into: y, range: 0..<N)
    #expect(y.scalars == linear(x, weight: weight).scalars)
  }

  /// The loops for every CPU give the bits of those for some.
  @Test(arguments: [WeightPrecision.int8, .int4]) func everyCPUGivesTheSameBits(precision: WeightPrecision) {
    defer { ck_avoid_vnni(false) }
    for (N, K, rows) in [(33, 300, 5), (96, 128, 8), (7, 31, 1)] {
      let weight = PackedWeight(
        weight: .normal([N, K], seed: 1, stream: 1), bias: .normal([N], seed: 1, stream: 2), as: precision)
      let x = Tensor.normal([rows, K], seed: 1, stream: 3)
      let results = [false, true].map { isAvoided in
        ck_avoid_vnni(isAvoided)
        let y = Tensor(repeating: .nan, shape: [rows, N])
        weight.multiply(x, rows: rows, into: y, range: 0..<N)
        return y.scalars
      }
      #expect(results[0] == results[1])
      #expect(results[0].allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: WeightPrecision.allCases) func whatIsNotFiniteShows(precision: WeightPrecision) {
    let (N, K) = (40, 140)
    let weight = PackedWeight(weight: .normal([N, K], seed: 1, stream: 1), bias: nil, as: precision)
    for value in [Float.nan, .infinity] {
      var rows = Tensor.normal([2, K], seed: 2, stream: 0).scalars
      rows[130] = value
      let y = Tensor.zeros([2, N])
      weight.multiply(Tensor(rows, shape: [2, K]), rows: 2, into: y, range: 0..<N)
      #expect(y.scalars.prefix(N).allSatisfy { !$0.isFinite })
      #expect(y.scalars.suffix(N).allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: WeightPrecision.allCases) func zerosAndHugeNumbersAreMultiplied(precision: WeightPrecision) {
    let (N, K) = (40, 140)
    let weight = Tensor(
      [Float](repeating: 0, count: N * K / 2) + [Float](repeating: 1e30, count: N * K / 2), shape: [N, K])
    let x = Tensor([Float](repeating: 0, count: K) + [Float](repeating: 2, count: K), shape: [2, K])
    let y = Tensor(repeating: .nan, shape: [2, N])
    PackedWeight(weight: weight, bias: nil, as: precision).multiply(x, rows: 2, into: y, range: 0..<N)
    #expect(y.scalars.prefix(N + N / 2).allSatisfy { $0 == 0 })
    #expect(y.scalars.suffix(N / 2).allSatisfy { abs($0 / 2.8e32 - 1) < 0.01 })
  }

  /// A row's result must not depend on its company.
  @Test(arguments: 1...17, WeightPrecision.allCases)
  func packedRowsAreTheSameInAnyCompany(rows: Int, precision: WeightPrecision) throws {
    let (N, K) = (100, 53)
    let weight = PackedWeight(
      weight: .normal([N, K], seed: 1, stream: 1), bias: .normal([N], seed: 1, stream: 2), as: precision)
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

  /// As bfloat16 all are rounded.
  @Test(arguments: [(ElementType.bfloat16, 1e-2), (.float32, 1e-6)])
  func cachedAttentionAgreesWithAttention(type: ElementType, bound: Double) {
    let (B, T, heads, width, layers) = (2, 9, 3, 24, 2)
    let masks = Array(repeating: AttentionMask.causal, count: layers)
    let caches = (0..<B).map { _ in
      KeyValueCache(masks: masks, length: T, headWidth: width / heads, heads: heads, type: type)
    }
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
    #expect(relativeError(result, expected) < bound)
  }

  /// The same as if each head of queries had keys and values of its own.
  @Test(arguments: [ElementType.bfloat16, .float32]) func headsOfQueriesShareKeysAndValues(type: ElementType) {
    let (T, heads, keyHeads, D) = (7, 6, 2, 5)
    let rowWidth = (heads + 2 * keyHeads) * D
    let qkv = Tensor.normal([T, rowWidth], seed: 2, stream: 1)
    let scalars = qkv.scalars
    let shared = KeyValueCache(
      masks: [.causal], length: T, headWidth: D, heads: heads, keyHeads: keyHeads, type: type)
    let own = KeyValueCache(masks: [.causal], length: T, headWidth: D, heads: heads, type: type)
    let (a, b) = (Tensor.zeros([T, heads * D]), Tensor.zeros([T, heads * D]))
    let scores = Tensor.zeros([KeyValueCache.scratchLength(length: T)])
    for position in 0..<T {
      let row = scalars[position * rowWidth..<(position + 1) * rowWidth]
      let columns = Array(row)
      func spread(_ start: Int) -> [Float] {
        (0..<heads).flatMap { columns[start + $0 / 3 * D..<start + ($0 / 3 + 1) * D] }
      }
      let wide = Tensor(
        columns.prefix(heads * D) + spread(heads * D) + spread((heads + keyHeads) * D), shape: [1, 3 * heads * D])
      shared.store(qkv, row: position, range: 0..<rowWidth, layer: 0, position: position)
      own.store(wide, row: 0, range: 0..<3 * heads * D, layer: 0, position: position)
      shared.attend(qkv, row: position, heads: 0..<heads, layer: 0, position: position, scores: scores, into: a)
      let one = Tensor.zeros([1, heads * D])
      own.attend(wide, row: 0, heads: 0..<heads, layer: 0, position: position, scores: scores, into: one)
      b.view(position * heads * D..<(position + 1) * heads * D, shape: [heads * D]).overwrite(with: one)
    }
    #expect(a.scalars == b.scalars)
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
      let cache = KeyValueCache(masks: [mask], length: T, headWidth: width / heads, heads: heads)
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

  @Test func stepsOfALlamaAgreeWithTheirFormulas() {
    let (rows, C) = (3, 8)
    let x = Tensor.normal([rows, C], seed: 3, stream: 1)
    let gain = Tensor.normal([C], seed: 3, stream: 2)
    let y = Tensor.zeros([rows, C])
    DecodingStep.rootMeanSquareNorm(x, rows: 2, gain: gain, into: y, epsilon: 0.01)
    let (xs, ys, gains) = (x.scalars, y.scalars, gain.scalars)
    for r in 0..<2 {
      let square = (0..<C).map { xs[r * C + $0] * xs[r * C + $0] }.reduce(0, +) / Float(C)
      for c in 0..<C { #expect(abs(ys[r * C + c] - xs[r * C + c] / (square + 0.01).squareRoot() * gains[c]) < 1e-5) }
    }
    #expect(ys.suffix(C).allSatisfy { $0 == 0 })

    // Channels 2 ..< 6 are a head of two pairs; those of position 1 turn by 90° and by 180°.
    let (cosines, sines) = (Tensor([1, 1, 0, -1], shape: [2, 2]), Tensor([0, 0, 1, 0], shape: [2, 2]))
    let z = Tensor.zeros([rows, C])
    z.overwrite(with: x)
    DecodingStep.rotate(z, row: 1, column: 2, position: 1, cosines: cosines, sines: sines)
    DecodingStep.rotate(z, row: 2, column: 2, position: 0, cosines: cosines, sines: sines)
    var turned = xs
    (turned[C + 2], turned[C + 4]) = (-xs[C + 4], xs[C + 2])
    (turned[C + 3], turned[C + 5]) = (-xs[C + 3], -xs[C + 5])
    #expect(z.scalars == turned)

    // Two panels of gates and values.
    let pairs = Tensor.normal([2, 128], seed: 5, stream: 0)
    let product = Tensor.zeros([2, 64])
    DecodingStep.swiGLU(pairs, rows: 2, range: 64..<128, into: product)
    let (ps, products) = (pairs.scalars, product.scalars)
    for r in 0..<2 {
      for c in 0..<64 {
        let (gate, up) = (ps[r * 128 + c / 32 * 64 + c % 32], ps[r * 128 + c / 32 * 64 + 32 + c % 32])
        #expect(abs(products[r * 64 + c] - (c < 32 ? 0 : gate / (1 + exp(-gate)) * up)) < 1e-5)
      }
    }
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
