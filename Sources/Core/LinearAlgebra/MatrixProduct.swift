import CKernels

extension Matrix {
  /// Which operand of a product is transposed.
  public enum Transposition { case left, right }

  /// a·b, or aᵀ·b or a·bᵀ.
  public static func product(_ a: Matrix, _ b: Matrix, transposing: Transposition? = nil) -> Matrix {
    let (M, K) = transposing == .left ? (a.columns, a.rows) : (a.rows, a.columns)
    let (inner, N) = transposing == .right ? (b.columns, b.rows) : (b.rows, b.columns)
    precondition(K == inner, "no product of \(a.rows)×\(a.columns) and \(b.rows)×\(b.columns)")
    ck_engine_prepare_thread()
    var result = Matrix(rows: M, columns: N)
    ck_gemm_float64(transposing == .left, transposing == .right, M, N, K, a.elements, b.elements, 0, &result.elements)
    return result
  }
}
