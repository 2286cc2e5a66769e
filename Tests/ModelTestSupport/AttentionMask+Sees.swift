import TensorCore

extension AttentionMask {
  /// Whether position `query` sees position `key`, as `AttentionKind` says it.
  public func sees(from query: Int, _ key: Int) -> Bool {
    if key > query { return false }
    let (i, j) = (query - textLength, key - textLength)
    if j < 0 || i == j { return true }
    switch kind {
    case .full: return true
    case .row: return i - j <= gridSide
    case .column: return i % gridSide == j % gridSide
    case .convolution:
      let half = kernelSide / 2
      return (0...half).contains { d in (-half...half).contains { i - j == d * gridSide + $0 } }
    }
  }
}
