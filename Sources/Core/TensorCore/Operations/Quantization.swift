import CKernels

/// For each row of `x` the number of the nearest row of `codebook` (Euclidean; the lowest number wins ties).
///
/// ‖x - c‖² = ‖x‖² - 2x·c + ‖c‖², so the nearest code has the largest x·c - ‖c‖²/2.
///
/// - Parameters:
///   - x: [.., E]
///   - codebook: [K, E], float32.
public func nearestCodes(_ x: Tensor, codebook: Tensor) -> [Int32] {
  let (N, E, K) = (x.rows, x.lastDimension, codebook.shape[0])
  let query = x.converted(to: .float32)
  let offsets = Tensor(uninitialized: [K])
  for k in 0..<K {
    offsets.floats[k] = Float(-0.5 * ck_sum_of_squares(CK_FLOAT32, codebook.floats + k * E, E))
  }
  var indices = [Int32](repeating: 0, count: N)
  // In blocks, so that the scores stay in the cache.
  let block = max(1, min(N, 256))
  let scores = Tensor(uninitialized: [block, K])
  for start in stride(from: 0, to: N, by: block) {
    let rows = min(block, N - start)
    ck_gemm(
      CK_FLOAT32, false, true, rows, K, E, query.floats + start * E, E, codebook.pointer, E, CK_FLOAT32,
      scores.pointer, K, nil, false)
    indices.withUnsafeMutableBufferPointer {
      ck_argmax(scores.floats, offsets.floats, $0.baseAddress! + start, rows, K)
    }
  }
  return withExtendedLifetime(query) { indices }
}

/// The number of the largest element of each row of `x` [.., K]; the lowest number wins ties.
public func largestElements(_ x: Tensor) -> [Int32] {
  let (N, K) = (x.rows, x.lastDimension)
  let values = x.converted(to: .float32)
  var indices = [Int32](repeating: 0, count: N)
  indices.withUnsafeMutableBufferPointer { ck_argmax(values.floats, nil, $0.baseAddress, N, K) }
  return withExtendedLifetime(values) { indices }
}

/// Adds each row of `x` to the row of `sums` that `indices` names, and 1 to that element of `counts`.
///
/// - Parameters:
///   - x: [.., E]
///   - indices: one for each row of `rows`, below K.
///   - counts: [K], float32, changed in place.
///   - sums: [K, E], float32, changed in place.
package func scatterSum(_ x: Tensor, indices: [Int32], counts: Tensor, sums: Tensor) {
  let K = counts.count
  precondition(indices.count == x.rows && sums.shape == [K, x.lastDimension])
  precondition(indices.allSatisfy { $0 >= 0 && $0 < K }, "an index is not below \(K)")
  ck_scatter_sum(x.kernelType, x.pointer, indices, counts.floats, sums.floats, x.rows, x.lastDimension)
}
