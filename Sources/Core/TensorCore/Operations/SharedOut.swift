import Basics
import CKernels
import Synchronization

/// Operations on pictures that are worth all threads each: a team's threads share out one picture's rows. They are for
/// models that only draw, and record nothing on a tape.
///
/// Rows are shared out in bands that are the same whatever the number of threads, sums over bands are taken in their order,
/// and so a result is the same bits for any team. Without a team all bands are the calling thread's.

/// Rows a band. So few, that pictures of two dozen rows still have bands for a dozen threads; no more would be faster on one.
private let bandRows = 2

/// `body(bands)` on each thread; `bands` gives it the next range of rows until there is none.
private func shareOut(_ rows: Int, over team: ThreadTeam?, by size: Int = bandRows, _ body: (() -> Range<Int>?) -> Void)
{
  let next = Atomic(0)
  func nextBand() -> Range<Int>? {
    let first = next.add(size, ordering: .relaxed).oldValue
    return first < rows ? first..<min(first + size, rows) : nil
  }
  if let team { team.run { _ in body(nextBand) } } else { body(nextBand) }
}

// MARK: - Convolutions

/// - Parameters:
///   - x: [B, H, W, C]
///   - weight: [O, KH, KW, C], of x's type.
///   - bias: [O], float32.
///   - stride: places between two outputs, along both axes.
///   - padding: of zeros.
///   - type: what the result is; x's type unless told otherwise.
///   - team: whose threads share out each picture.
/// - Returns: [B, OH, OW, O]
public func convolution(
  _ x: Tensor, weight: Tensor, bias: Tensor, stride: Int = 1, padding: Padding, as type: ElementType? = nil,
  on team: ThreadTeam?
) -> Tensor {
  let shape = ck_convolution(input: x.shape, weight: weight, stride: stride, padding: padding)
  let y = Tensor(uninitialized: shape.outputShape, type ?? x.type)
  convolve(x, shape, weight: weight, bias: bias, to: y, accumulate: false, on: team)
  return y
}

extension Tensor {
  /// Adds a convolution of stride 1 to this tensor, [B, OH, OW, O]; otherwise as
  /// ``convolution(_:weight:bias:stride:padding:as:on:)``.
  public mutating func addConvolution(
    _ x: Tensor, weight: Tensor, bias: Tensor, padding: Padding, on team: ThreadTeam?
  ) {
    let convolution = ck_convolution(input: x.shape, weight: weight, stride: 1, padding: padding)
    precondition(
      convolution.outputShape == shape, "what is added has the shape \(convolution.outputShape), not \(shape)")
    if !isKnownUniquelyReferenced(&storage) { self = copied() }
    convolve(x, convolution, weight: weight, bias: bias, to: self, accumulate: true, on: team)
  }
}

private func convolve(
  _ x: Tensor, _ shape: ck_convolution, weight: Tensor, bias: Tensor, to y: Tensor, accumulate: Bool,
  on team: ThreadTeam?
) {
  let (OH, OW, O) = (y.shape[1], y.shape[2], y.shape[3])
  for b in 0..<shape.B {
    shareOut(OH, over: team) { nextBand in
      var isAgain = false
      while let band = nextBand() {
        var shape = shape
        shape.B = 1
        ck_convolution_forward_rows(
          &shape, band.lowerBound, band.upperBound, x.kernelType,
          x.pointer + b * shape.H * shape.W * shape.C * x.type.size,
          weight.pointer, bias.floats, y.kernelType, y.pointer + b * OH * OW * O * y.type.size, OW * O, O, accumulate,
          isAgain)
        isAgain = true
      }
    }
  }
}

/// What a 3×3 convolution of padding 1 is on a picture that nearest-neighbour interpolation has enlarged twofold: of the
/// rows of the enlarged picture an even one sees two of the small picture's, one of them twice, and so does an odd one;
/// likewise columns. So each of the four phases is a 2×2 convolution of the small picture, whose weights are sums: 4/9 of the
/// work.
///
/// - Parameter weight: [O, 3, 3, C], float32.
/// - Returns: for even and odd rows, and in each for even and odd columns, [O, 2, 2, C].
public func phaseWeights(_ weight: Tensor) -> [Tensor] {
  let (O, C) = (weight.shape[0], weight.shape[3])
  precondition(weight.shape == [O, 3, 3, C], "\(weight.shape) is not 3×3")
  /// Which of the three taps of an even and an odd place fall on each of two places of the small picture.
  let taps = [[0..<1, 1..<3], [0..<2, 2..<3]]
  let source = weight.scalars
  return [(0, 0), (0, 1), (1, 0), (1, 1)].map { phase in
    var sums = [Float](repeating: 0, count: O * 4 * C)
    for o in 0..<O {
      for place in 0..<4 {
        let to = (o * 4 + place) * C
        for row in taps[phase.0][place / 2] {
          for column in taps[phase.1][place % 2] {
            let from = ((o * 3 + row) * 3 + column) * C
            for c in 0..<C { sums[to + c] += source[from + c] }
          }
        }
      }
    }
    return Tensor(sums, shape: [O, 2, 2, C])
  }
}

/// A 3×3 convolution of the picture enlarged twofold by nearest-neighbour interpolation.
///
/// - Parameters:
///   - x: [B, H, W, C]
///   - phases: what ``phaseWeights(_:)`` made of its weight, of x's type.
///   - bias: [O], float32.
///   - type: of the result.
///   - team: whose threads share out each picture.
/// - Returns: [B, 2·H, 2·W, O]
public func enlargedConvolution(
  _ x: Tensor, phases: [Tensor], bias: Tensor, as type: ElementType, on team: ThreadTeam?
) -> Tensor {
  let (B, H, W, O) = (x.shape[0], x.shape[1], x.shape[2], bias.count)
  let y = Tensor(uninitialized: [B, 2 * H, 2 * W, O], type)
  for b in 0..<B {
    for (number, weight) in phases.enumerated() {
      let (row, column) = (number / 2, number % 2)
      let shape = ck_convolution(
        input: [1, H, W, x.lastDimension], weight: weight, stride: 1,
        padding: Padding(top: 1 - row, bottom: row, left: 1 - column, right: column))
      let source = x.pointer + b * H * W * shape.C * x.type.size
      let target = y.pointer + ((b * 2 * H + row) * 2 * W + column) * O * type.size
      shareOut(H, over: team) { nextBand in
        var isAgain = false
        while let band = nextBand() {
          withUnsafePointer(to: shape) {
            ck_convolution_forward_rows(
              $0, band.lowerBound, band.upperBound, x.kernelType, source, weight.pointer, bias.floats, type.kernelType,
              target, 4 * W * O, 2 * O, false, isAgain)
          }
          isAgain = true
        }
      }
    }
  }
  return y
}

// MARK: - The rest

/// Group normalisation; see ``groupNorm(_:gain:bias:groups:silu:epsilon:as:)``.
///
/// - Parameters:
///   - x: [B, H, W, C]
///   - gain: [C]
///   - bias: [C]
///   - groups: a divisor of C.
///   - silu: whether SiLU follows.
///   - epsilon: what is added to the variance.
///   - type: what the result is.
///   - team: whose threads share out each picture.
public func groupNorm(
  _ x: Tensor, gain: Tensor, bias: Tensor, groups: Int, silu: Bool, epsilon: Float, as type: ElementType,
  on team: ThreadTeam?
) -> Tensor {
  let (B, H, W, C) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
  precondition(C % groups == 0, "\(C) channels do not split into \(groups) groups")
  let y = Tensor(uninitialized: x.shape, type)
  let bandCount = (H + bandRows - 1) / bandRows
  var shift = [Float](repeating: 0, count: groups)
  for b in 0..<B {
    func rows(_ tensor: Tensor, from row: Int) -> UnsafeMutableRawPointer {
      tensor.pointer + (b * H + row) * W * C * tensor.type.size
    }
    ck_group_shift(x.kernelType, rows(x, from: 0), &shift, H * W, C, groups)
    // Each band's own, so that they can be added up in the order of the bands.
    var moments = [Double](repeating: 0, count: bandCount * 2 * groups)
    moments.withUnsafeMutableBufferPointer { moments in
      nonisolated(unsafe) let moments = moments.baseAddress!
      shareOut(H, over: team) { nextBand in
        while let band = nextBand() {
          ck_group_moments(
            x.kernelType, rows(x, from: band.lowerBound), shift, moments + band.lowerBound / bandRows * 2 * groups,
            band.count * W, C, groups)
        }
      }
    }
    let sums = (0..<2 * groups).map { i in
      (0..<bandCount).reduce(0.0) { $0 + moments[$1 * 2 * groups + i] }
    }
    var (mean, inverseDeviation) = (shift, shift)
    ck_group_statistics(shift, sums, H * W * (C / groups), &mean, &inverseDeviation, groups, epsilon)
    shareOut(H, over: team) { nextBand in
      while let band = nextBand() {
        ck_group_norm_apply(
          x.kernelType, rows(x, from: band.lowerBound), gain.floats, bias.floats, mean, inverseDeviation, silu,
          y.kernelType, rows(y, from: band.lowerBound), band.count * W, C, groups)
      }
    }
  }
  return y
}

/// Attention of one head, every place of a picture seeing all: softmax(Q·Kᵀ/√C)·V (Vaswani et al. 2017, equation 1).
///
/// - Parameters:
///   - query: Q, [B, H, W, C].
///   - key: K, of the same shape.
///   - value: V, of the same shape.
///   - team: whose threads share out each picture.
/// - Returns: of the same shape and type.
public func attention(query: Tensor, key: Tensor, value: Tensor, on team: ThreadTeam?) -> Tensor {
  let (B, H, W, C) = (query.shape[0], query.shape[1], query.shape[2], query.shape[3])
  let (T, type, size) = (H * W, query.kernelType, query.type.size)
  let y = Tensor(uninitialized: query.shape, query.type)
  for b in 0..<B {
    let start = b * T * C * size
    shareOut(T, over: team, by: 64) { nextBand in
      while let band = nextBand() {
        let scores = Tensor(uninitialized: [band.count, T])
        let weights = Tensor(uninitialized: [band.count, T], query.type)
        let offset = start + band.lowerBound * C * size
        ck_gemm(
          type, false, true, band.count, T, C, query.pointer + offset, C, key.pointer + start, C, CK_FLOAT32,
          scores.pointer, T, nil, false)
        ck_combine(
          CK_FLOAT32, scores.pointer, 1 / Float(C).squareRoot(), CK_FLOAT32, nil, 0, CK_FLOAT32, scores.pointer,
          scores.count)
        ck_softmax(CK_FLOAT32, scores.pointer, type, weights.pointer, band.count, T)
        ck_gemm(
          type, false, false, band.count, C, T, weights.pointer, T, value.pointer + start, C, type, y.pointer + offset,
          C,
          nil, false)
      }
    }
  }
  return y
}

extension Tensor {
  /// The same numbers in the other type; itself where the type is right already. For pictures [B, H, W, C].
  public func cast(to type: ElementType, on team: ThreadTeam?) -> Tensor {
    if type == self.type { return self }
    let y = Tensor(uninitialized: shape, type)
    let (rows, width) = (shape[0] * shape[1], shape[2] * shape[3])
    shareOut(rows, over: team) { nextBand in
      while let band = nextBand() {
        let first = band.lowerBound * width
        ck_convert(
          kernelType, pointer + first * self.type.size, type.kernelType, y.pointer + first * type.size,
          band.count * width)
      }
    }
    return y
  }
}
