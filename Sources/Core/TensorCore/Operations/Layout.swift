import CKernels

extension Tensor {
  /// Moves blocks of s×s pixels into channels: [B, H, W, C] → [B, H/s, W/s, s·s·C], the channel being
  /// (row in the block · s + column in the block)·C + c.
  public func spaceToDepth(_ s: Int) -> Tensor { rearranged(s, toDepth: true) }

  /// The inverse of ``spaceToDepth(_:)``: [B, H, W, s·s·C] → [B, s·H, s·W, C].
  public func depthToSpace(_ s: Int) -> Tensor { rearranged(s, toDepth: false) }

  private func rearranged(_ s: Int, toDepth: Bool) -> Tensor {
    let x = variable
    return Tape.record(rearrangement(s, toDepth: toDepth), from: x) {
      x?.add($0.rearrangement(s, toDepth: !toDepth))
    }
  }

  private func rearrangement(_ s: Int, toDepth: Bool) -> Tensor {
    let (B, H, W, C) = (shape[0], shape[1], shape[2], shape[3])
    precondition(toDepth ? H % s == 0 && W % s == 0 : C % (s * s) == 0, "\(shape) has no blocks of \(s)×\(s)")
    if toDepth {
      let y = Tensor(uninitialized: [B, H / s, W / s, s * s * C], type)
      ck_space_to_depth(kernelType, pointer, y.pointer, B, H, W, C, s)
      return y
    }
    let y = Tensor(uninitialized: [B, H * s, W * s, C / (s * s)], type)
    ck_depth_to_space(kernelType, pointer, y.pointer, B, H * s, W * s, C / (s * s), s)
    return y
  }

  /// The positions `range` of a sequence: [B, T, C] → [B, range.count, C].
  public func positions(_ range: Range<Int>) -> Tensor {
    let (B, T, C) = (shape[0], shape[1], shape[2])
    precondition(range.lowerBound >= 0 && range.upperBound <= T, "\(range) is not within \(T) positions")
    let y = Tensor(uninitialized: [B, range.count, C], type)
    let start = range.lowerBound * C * type.size
    ck_copy_rows(kernelType, pointer + start, T * C, kernelType, y.pointer, range.count * C, B, range.count * C)
    let (x, shape) = (variable, shape)
    return Tape.record(y, from: x) { gradient in
      x?.accumulate(shape, gradient.type) { sum, accumulate in
        // Only these positions get a contribution; another one's, made before, stays as it is.
        if !accumulate { ck_fill(sum.kernelType, sum.pointer, 0, sum.count) }
        let size = sum.type.size
        for b in 0..<B {
          let rows = sum.pointer + (b * T + range.lowerBound) * C * size
          ck_combine(
            gradient.kernelType, gradient.pointer + b * range.count * C * gradient.type.size, 1, sum.kernelType, rows,
            1, sum.kernelType, rows, range.count * C)
        }
      }
    }
  }

  /// Some rows, any of them as often as it is named: [.., C] → [indices.count, C].
  public func rows(_ indices: [Int]) -> Tensor {
    let C = lastDimension
    precondition(indices.allSatisfy { $0 >= 0 && $0 < rows }, "a row is not below \(rows)")
    let y = Tensor(uninitialized: [indices.count, C], type)
    let size = C * type.size
    for (i, index) in indices.enumerated() {
      (y.pointer + i * size).copyMemory(from: pointer + index * size, byteCount: size)
    }
    let (x, shape) = (variable, shape)
    return Tape.record(y, from: x) { gradient in
      x?.accumulate(shape, gradient.type) { sum, accumulate in
        if !accumulate { ck_fill(sum.kernelType, sum.pointer, 0, sum.count) }
        for (i, index) in indices.enumerated() {
          let row = sum.pointer + index * C * sum.type.size
          ck_combine(
            gradient.kernelType, gradient.pointer + i * C * gradient.type.size, 1, sum.kernelType, row, 1,
            sum.kernelType, row, C)
        }
      }
    }
  }

  /// Sequences one after the other: [B, T₁, C], [B, T₂, C], … → [B, T₁ + T₂ + …, C]
  public static func concatenated(_ parts: [Tensor]) -> Tensor {
    let (B, C, type) = (parts[0].shape[0], parts[0].shape[2], parts[0].type)
    let T = parts.map { $0.shape[1] }.reduce(0, +)
    precondition(parts.allSatisfy { $0.shape[0] == B && $0.shape[2] == C && $0.type == type })
    let y = Tensor(uninitialized: [B, T, C], type)
    var start = 0
    for part in parts {
      let width = part.shape[1] * C
      ck_copy_rows(
        type.kernelType, part.pointer, width, type.kernelType, y.pointer + start * C * type.size, T * C, B, width)
      start += part.shape[1]
    }
    let places = parts.map { ($0.variable, $0.shape[1]) }
    return Tape.record(y, from: places.map(\.0)) { gradient in
      var start = 0
      for (variable, length) in places {
        variable?.add(gradient.positions(start..<start + length))
        start += length
      }
    }
  }
}

extension Tensor {
  /// Rows of `a` [M, C], then rows of `b` [N, C]: [M + N, C].
  public static func stacked(_ a: Tensor, _ b: Tensor) -> Tensor {
    concatenated([a.reshaped([1] + a.shape), b.reshaped([1] + b.shape)]).reshaped([-1, a.lastDimension])
  }
}

/// Rows of a table: y[n] = table[tokens[n]].
///
/// - Parameters:
///   - table: [K, C], float32.
///   - tokens: row numbers, each below K.
///   - shape: the leading axes of the result, as many elements as there are tokens.
///   - type: of the result.
/// - Returns: [shape.., C]
public func embedding(_ table: Tensor, tokens: [Int32], shape: [Int], as type: ElementType = .float32) -> Tensor {
  let (K, C, N) = (table.shape[0], table.shape[1], tokens.count)
  precondition(shape.reduce(1, *) == N && tokens.allSatisfy { $0 >= 0 && $0 < K }, "a token is not in the table")
  let y = Tensor(uninitialized: shape + [C], type)
  ck_embedding(table.floats, tokens, y.kernelType, y.pointer, N, C)
  let variable = table.variable
  return Tape.record(y, from: variable) { gradient in
    variable?.accumulate([K, C], .float32) { sum, accumulate in
      if !accumulate { ck_fill(CK_FLOAT32, sum.pointer, 0, sum.count) }
      ck_embedding_backward(gradient.kernelType, gradient.pointer, tokens, sum.floats, N, C)
    }
  }
}

/// The embedding of each cell of a grid as the sum of its row's and its column's.
///
/// - Parameters:
///   - rows: [R, D], float32.
///   - columns: [C, D], float32.
/// - Returns: [R·C, D], row-major over the grid.
public func gridEmbedding(rows: Tensor, columns: Tensor) -> Tensor {
  let (R, C, D) = (rows.shape[0], columns.shape[0], rows.shape[1])
  precondition(columns.shape[1] == D, "\(rows.shape) and \(columns.shape) differ in width")
  let y = Tensor(uninitialized: [R * C, D])
  for row in 0..<R {
    let start = row * C * D
    // Each grid row is the column table plus one row embedding.
    ck_add_rows(CK_FLOAT32, columns.pointer, rows.floats + row * D, 1, CK_FLOAT32, y.floats + start, C, D)
  }
  let (rowVariable, columnVariable) = (rows.variable, columns.variable)
  return Tape.record(y, from: rowVariable, columnVariable) { gradient in
    rowVariable?.accumulate([R, D], .float32) { sum, accumulate in
      for row in 0..<R {
        ck_add_rows_backward(
          gradient.kernelType, gradient.pointer + row * C * D * gradient.type.size, sum.floats + row * D, 1, C, D,
          accumulate)
      }
    }
    columnVariable?.accumulate([C, D], .float32) { sum, accumulate in
      ck_add_rows_backward(gradient.kernelType, gradient.pointer, sum.floats, C, R * C, D, accumulate)
    }
  }
}
