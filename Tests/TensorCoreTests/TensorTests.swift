import Optimization
import TensorCore
import Testing

struct TensorTests {
  @Test func bytesBecomeNumbers() {
    let bytes = (0..<300).map { UInt8($0 % 256) }
    let tensor = Tensor(bytes: bytes, shape: [3, 100], scale: 1 / 255, offset: -0.5)
    for (byte, value) in zip(bytes, tensor.scalars) { #expect(abs(value - (Float(byte) / 255 - 0.5)) < 1e-6) }
  }

  /// To nearest, ties to even; NaN stays NaN.
  @Test func roundingToBfloat16() {
    let half = Float(0x1p-8)
    let pairs: [(Float, Float)] = [
      (1, 1), (1 + half, 1), (1 + half * 1.01, 1 + 2 * half), (1 + 3 * half, 1 + 4 * half),
      (-1 - half * 1.01, -1 - 2 * half),
      (.infinity, .infinity), (0, 0), (Float.greatestFiniteMagnitude, .infinity),
    ]
    let rounded = Tensor(pairs.map(\.0), shape: [pairs.count]).cast(to: .bfloat16).scalars
    #expect(rounded == pairs.map(\.1))
    #expect(Tensor([.nan], shape: [1]).cast(to: .bfloat16).item.isNaN)
  }

  @Test func viewsShareMemory() {
    let tensor = Tensor.zeros([2, 3])
    tensor.view(2..<4, shape: [2]).overwrite(with: Tensor([5, 6], shape: [2]))
    #expect(tensor.scalars == [0, 0, 5, 6, 0, 0])
  }

  @Test func operationsDoNotChangeTheirInputs() {
    let x = Tensor([1, 2], shape: [2])
    _ = (x + x) * 3 - x
    #expect(x.scalars == [1, 2])
  }

  @Test func nearestCodesAreNearest() {
    let (N, K, E) = (700, 37, 5)
    let x = Tensor.normal([7, 100, E], seed: 1, stream: 1)
    let codebook = Tensor.normal([K, E], seed: 1, stream: 2)
    let (xs, cs) = (x.scalars, codebook.scalars)
    let found = nearestCodes(x, codebook: codebook)
    #expect(found.count == N)
    for n in 0..<N {
      let distances = (0..<K).map { k in
        (0..<E).reduce(0.0) { $0 + Double((xs[n * E + $1] - cs[k * E + $1]) * (xs[n * E + $1] - cs[k * E + $1])) }
      }
      #expect(distances[Int(found[n])] <= (distances.min() ?? 0) + 1e-5)
    }
  }

  @Test func theLowestOfEquallyNearCodesWins() {
    let codebook = Tensor([5, 5, 1, 0, 0, 1, 1, 0, 0, 1], shape: [5, 2])
    #expect(nearestCodes(Tensor([1, 0, 0, 1, 0.5, 0.5], shape: [3, 2]), codebook: codebook) == [1, 2, 1])
  }

  @Test func scatteringSums() {
    let x = Tensor([1, 2, 3, 4, 5, 6], shape: [3, 2])
    let counts = Tensor.zeros([4])
    let sums = Tensor.zeros([4, 2])
    scatterSum(x, indices: [2, 0, 2], counts: counts, sums: sums)
    scatterSum(x, indices: [2, 0, 2], counts: counts, sums: sums)
    #expect(counts.scalars == [2, 0, 4, 0])
    #expect(sums.scalars == [6, 8, 0, 0, 12, 16, 0, 0])
  }

  #if compiler(>=6.2)
    @Test(arguments: [-1, 3, Int32.max]) func indicesStayWithinTheirTables(index: Int32) async {
      await #expect(processExitsWith: .failure) { [index] in
        scatterSum(.zeros([1, 2]), indices: [index], counts: .zeros([3]), sums: .zeros([3, 2]))
      }
      // Below zero a target leaves its row out.
      if index >= 0 {
        await #expect(processExitsWith: .failure) { [index] in
          _ = crossEntropy(.zeros([1, 3]), targets: [index], scale: 1)
        }
      }
    }
  #endif

  @Test func flatSums() {
    let a = Tensor.normal([5000], seed: 1, stream: 1)
    let (b, c) = (Tensor.normal([5000], seed: 1, stream: 2), Tensor.normal([5000], seed: 1, stream: 3))
    let squares = a.scalars[100..<4999].reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(FlatMemory.sumOfSquares(a, range: 100..<4999) - squares) < 1e-9 * squares)
    let (before, bs, cs) = (a.scalars, b.scalars, c.scalars)
    FlatMemory.sum([a, b, c], into: a, range: 7..<4001)
    for (i, value) in a.scalars.enumerated() {
      #expect(value == ((7..<4001).contains(i) ? before[i] + bs[i] + cs[i] : before[i]))
    }
  }
}
