import CKernels

/// What the image tokens of a layer see of each other, beside themselves and all of the text (Ramesh et al. 2021,
/// appendix B.1 and figure 11).
///
/// Image token i, counted row by row, stands in row i / gridSide and column i mod gridSide. It sees, of the image tokens:
/// - `full`: all before it;
/// - `row`: those at most gridSide before it, the last of which is the one above it (figure 11a);
/// - `column`: those above it in its column (figure 11b, which the paper computes as 11c);
/// - `convolution`: those that are d·gridSide + e before it with 0 ≤ d ≤ h, -h ≤ e ≤ h and h half the kernel's side,
///   rounded down: the part of a window around it that is already there, which runs on from the ends of rows into their
///   neighbours (figure 11d).
public enum AttentionKind: String, Codable, Sendable, CaseIterable {
  case full, row, column
  case convolution = "conv"
}

/// Which positions see which, in a sequence of text tokens followed by the image tokens of a square grid, row by row.
/// Text tokens see the text up to themselves; image tokens see all of the text, and of the image what `kind` says.
public struct AttentionMask: Sendable, Equatable {
  public var kind: AttentionKind
  /// Text tokens, padding included.
  public var textLength: Int
  /// Image tokens a side of the grid.
  public var gridSide: Int

  public init(_ kind: AttentionKind, textLength: Int, gridSide: Int) {
    (self.kind, self.textLength, self.gridSide) = (kind, textLength, gridSide)
  }

  /// Every position sees itself and all before it.
  public static let causal = AttentionMask(.full, textLength: 0, gridSide: 0)

  /// The side of the window that a convolutional mask sees through: the paper's 11 in a grid of 32, and in smaller ones
  /// the odd number that covers about as much of them, 5 in a grid of 16 and 3 in one of 8; no less than 3 where there is
  /// room.
  public var kernelSide: Int {
    let largest = Int(CK_LARGEST_KERNEL)
    let half = (Double(gridSide * largest) / 32 - 1) / 2
    return min(max(3, 2 * Int(half.rounded()) + 1), largest, gridSide < 3 ? 1 : largest)
  }

  /// How many positions the one at `position` sees, itself included.
  public func seenCount(from position: Int) -> Int {
    withUnsafeTemporaryAllocation(of: ck_run.self, capacity: Int(CK_MOST_RUNS)) { runs in
      let count = withKernelMask { ck_attention_runs($0, position, runs.baseAddress!) }
      return runs[..<count].reduce(0) { $0 + $1.count }
    }
  }

  package func withKernelMask<Result>(_ body: (UnsafePointer<ck_attention_mask>) -> Result) -> Result {
    let kernelKind =
      switch kind {
      case .full: CK_FULL
      case .row: CK_ROW
      case .column: CK_COLUMN
      case .convolution: CK_CONVOLUTION
      }
    var mask = ck_attention_mask(kind: kernelKind, text: textLength, side: gridSide, kernel: kernelSide)
    return body(&mask)
  }
}
