import TensorCore
import Testing

struct QuantizationTests {
  /// More than a vector register's worth of elements, ties, and the ends of a row.
  @Test(arguments: [1, 5, 16, 37, 1000]) func largestElementsAreFound(width: Int) {
    let x = Tensor.normal([7, width], seed: 3, stream: UInt64(width))
    var scalars = x.scalars
    scalars[0] = 50
    scalars[2 * width - 1] = 50
    for j in 0..<width { scalars[2 * width + j] = 1 }
    let expected = (0..<7).map { n in
      let row = Array(scalars[n * width..<(n + 1) * width])
      return Int32(row.firstIndex(of: row.max() ?? 0) ?? 0)
    }
    #expect(expected[0] == 0 && expected[1] == Int32(width - 1) && expected[2] == 0)
    #expect(largestElements(Tensor(scalars, shape: [7, width])) == expected)
  }
}
