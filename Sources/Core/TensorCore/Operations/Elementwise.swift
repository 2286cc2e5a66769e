import CKernels

extension Tensor {
  /// The same numbers in another type; the gradient comes back in this one.
  public func cast(to type: ElementType) -> Tensor {
    if type == self.type { return self }
    let (x, own) = (variable, self.type)
    return Tape.record(converted(to: type), from: x) { x?.add($0.converted(to: own)) }
  }

  /// The same elements in another shape of as many; one dimension may be -1.
  public func reshaped(_ newShape: [Int]) -> Tensor {
    let known = newShape.filter { $0 != -1 }.reduce(1, *)
    let shape = newShape.map { $0 == -1 ? count / known : $0 }
    precondition(shape.reduce(1, *) == count, "\(self.shape) does not reshape to \(newShape)")
    let (x, own) = (variable, self.shape)
    let result = Tensor(shape: shape, type: type, storage: storage, offset: offset)
    return Tape.record(result, from: x) { gradient in
      x?.add(Tensor(shape: own, type: gradient.type, storage: gradient.storage, offset: gradient.offset))
    }
  }

  /// alpha·a + beta·b, in the wider type of both.
  private static func combination(_ alpha: Float, _ a: Tensor, _ beta: Float, _ b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) differ")
    let result = Tensor(uninitialized: a.shape, a.type == b.type ? a.type : .float32)
    ck_combine(
      a.kernelType, a.pointer, alpha, b.kernelType, b.pointer, beta, result.kernelType, result.pointer, result.count)
    let (x, y, xType, yType) = (a.variable, b.variable, a.type, b.type)
    return Tape.record(result, from: x, y) { gradient in
      x?.add(gradient.scaled(alpha, as: xType))
      y?.add(gradient.scaled(beta, as: yType))
    }
  }

  /// Off the tape.
  fileprivate func scaled(_ factor: Float, as type: ElementType) -> Tensor {
    if factor == 1 { return converted(to: type) }
    let result = Tensor(uninitialized: shape, type)
    ck_combine(kernelType, pointer, factor, kernelType, nil, 0, result.kernelType, result.pointer, count)
    return result
  }

  public static func + (a: Tensor, b: Tensor) -> Tensor { combination(1, a, 1, b) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { combination(1, a, -1, b) }

  public static func * (a: Tensor, factor: Float) -> Tensor {
    let (x, type) = (a.variable, a.type)
    return Tape.record(a.scaled(factor, as: type), from: x) { x?.add($0.scaled(factor, as: type)) }
  }
  public static func * (factor: Float, a: Tensor) -> Tensor { a * factor }

  /// The elementwise product.
  public static func * (a: Tensor, b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) differ")
    func product(_ p: Tensor, _ q: Tensor, as type: ElementType) -> Tensor {
      let result = Tensor(uninitialized: p.shape, type)
      ck_multiply(
        p.kernelType, p.pointer, q.kernelType, q.pointer, result.kernelType, result.pointer, result.count, false)
      return result
    }
    return Tape.record(
      product(a, b, as: a.type == b.type ? a.type : .float32), from: a.variable, b.variable
    ) { gradient in
      a.variable?.add(product(gradient, b, as: a.type))
      b.variable?.add(product(gradient, a, as: b.type))
    }
  }

  /// The elementwise quotient; d(a/b) = da/b - (a/b)·db/b.
  public static func / (a: Tensor, b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) differ")
    func quotient(_ p: Tensor, _ q: Tensor) -> Tensor {
      let result = Tensor(uninitialized: p.shape)
      ck_divide(p.kernelType, p.pointer, q.kernelType, q.pointer, result.kernelType, result.pointer, result.count)
      return result
    }
    let result = quotient(a, b)
    return Tape.record(result, from: a.variable, b.variable) { gradient in
      let scaled = quotient(gradient, b)
      a.variable?.add(scaled)
      if let variable = b.variable {
        variable.add((scaled.detached() * result.detached()).scaled(-1, as: .float32))
      }
    }
  }

  /// Adds `rows` [P, C] to the rows [N, C] of this tensor, row n taking row n mod P: a bias, or position embeddings.
  public func addingRows(_ rows: Tensor) -> Tensor {
    let (P, C) = (rows.rows, rows.lastDimension)
    precondition(
      P > 0 && C == lastDimension && self.rows % P == 0, "rows of shape \(rows.shape) do not repeat in \(shape)")
    let result = Tensor(uninitialized: shape, type)
    ck_add_rows(kernelType, pointer, rows.floats, P, result.kernelType, result.pointer, self.rows, C)
    let (x, y, shape) = (variable, rows.variable, rows.shape)
    return Tape.record(result, from: x, y) { gradient in
      y?.accumulate(shape, .float32) { sum, accumulate in
        ck_add_rows_backward(
          gradient.kernelType, gradient.pointer, sum.floats, P, gradient.rows, C, accumulate)
      }
      x?.add(gradient)
    }
  }
}

/// An elementwise function with a derivative.
public enum ElementwiseFunction: Sendable {
  case relu
  /// x where it is positive, x/5 elsewhere (Maas et al. 2013, with the slope of Isola et al. 2017).
  case leakyRelu
  /// x·σ(x) (Elfwing et al. 2018; "swish").
  case silu
  /// x·Φ(x) by the tanh approximation (Hendrycks & Gimpel 2016).
  case gelu
  /// x·Φ(x) by the error function.
  case geluExact
  case sigmoid, tanh, exp, log, sqrt, square, abs, softplus

  package var kernel: ck_function {
    switch self {
    case .relu: CK_RELU
    case .leakyRelu: CK_LEAKY_RELU
    case .silu: CK_SILU
    case .gelu: CK_GELU_TANH
    case .geluExact: CK_GELU_ERF
    case .sigmoid: CK_SIGMOID
    case .tanh: CK_TANH
    case .exp: CK_EXP
    case .log: CK_LOG
    case .sqrt: CK_SQRT
    case .square: CK_SQUARE
    case .abs: CK_ABS
    case .softplus: CK_SOFTPLUS
    }
  }
}

extension Tensor {
  /// The function applied to each element.
  public func applying(_ function: ElementwiseFunction) -> Tensor {
    let result = Tensor(uninitialized: shape, type)
    ck_apply(function.kernel, kernelType, pointer, result.kernelType, result.pointer, count)
    return Tape.record(result, from: variable) { gradient in
      let dx = Tensor(uninitialized: shape, type)
      ck_apply_backward(
        function.kernel, kernelType, pointer, gradient.kernelType, gradient.pointer, dx.kernelType, dx.pointer, count)
      variable?.add(dx)
    }
  }

  /// Each element is zeroed with the given probability and scaled up otherwise, so that the mean stays
  /// (Srivastava et al. 2014). The same numbers of the Philox stream are dropped again in the backward pass.
  public func droppingOut(_ probability: Float, seed: UInt64, stream: UInt64) -> Tensor {
    if probability == 0 { return self }
    func masked(_ x: Tensor) -> Tensor {
      let result = Tensor(uninitialized: x.shape, x.type)
      ck_dropout(
        x.kernelType, x.pointer, result.kernelType, result.pointer, x.count, probability, seed, stream)
      return result
    }
    let x = variable
    return Tape.record(masked(self), from: x) { x?.add(masked($0)) }
  }

  /// The sum of all elements, a scalar.
  public func sum() -> Tensor {
    let (x, shape, type) = (variable, shape, type)
    return Tape.record(Tensor(Float(ck_sum(kernelType, pointer, count))), from: x) { gradient in
      x?.add(Tensor(repeating: gradient.item, shape: shape, type: type))
    }
  }

  /// The mean of all elements, a scalar.
  public func mean() -> Tensor { sum() * (1 / Float(count)) }

  /// The mean over all axes between the first and the last: [B, .., C] → [B, C], float32.
  public func meanOverPositions() -> Tensor {
    let (B, C) = (shape[0], lastDimension)
    let P = count / (B * C)
    let sums = Tensor(uninitialized: [B, C])
    for b in 0..<B {
      ck_add_rows_backward(kernelType, pointer + b * P * C * type.size, sums.floats + b * C, 1, P, C, false)
    }
    let (x, shape, type) = (variable, shape, type)
    return Tape.record(sums.scaled(1 / Float(P), as: .float32), from: x) { gradient in
      let share = gradient.scaled(1 / Float(P), as: type)
      let dx = Tensor(uninitialized: shape, type)
      for b in 0..<B {
        let source = share.pointer + b * C * type.size
        // A stride of zero repeats the row.
        ck_copy_rows(type.kernelType, source, 0, type.kernelType, dx.pointer + b * P * C * type.size, C, P, C)
      }
      x?.add(dx)
    }
  }

  /// These values, but with a gradient that passes to `other` unchanged (Bengio et al. 2013; van den Oord et al.
  /// 2017, section 3.1): the forward pass takes a discrete step, the backward pass does not see it.
  public func straightThrough(to other: Tensor) -> Tensor {
    precondition(shape == other.shape, "\(shape) and \(other.shape) differ")
    let (x, type) = (other.variable, other.type)
    return Tape.record(detached(), from: x) { x?.add($0.converted(to: type)) }
  }
}

/// The mean of (a - b)², a scalar.
public func meanSquaredError(_ a: Tensor, _ b: Tensor) -> Tensor {
  precondition(a.shape == b.shape, "\(a.shape) and \(b.shape) differ")
  let value = ck_squared_distance(a.kernelType, a.pointer, b.kernelType, b.pointer, a.count) / Double(a.count)
  return Tape.record(Tensor(Float(value)), from: a.variable, b.variable) { gradient in
    let scale = 2 * gradient.item / Float(a.count)
    for (x, sign) in [(a, Float(1)), (b, Float(-1))] {
      x.variable?.accumulate(x.shape, x.type) { sum, accumulate in
        let difference = accumulate ? Tensor(uninitialized: x.shape, x.type) : sum
        ck_combine(
          a.kernelType, a.pointer, sign * scale, b.kernelType, b.pointer, -sign * scale,
          difference.kernelType, difference.pointer, a.count)
        if accumulate {
          ck_combine(
            sum.kernelType, sum.pointer, 1, difference.kernelType, difference.pointer, 1,
            sum.kernelType, sum.pointer, a.count)
        }
      }
    }
  }
}

extension Tensor {
  /// [0, 1] → [-1, 1]
  package func centred() -> Tensor { self * 2 - Tensor(repeating: 1, shape: shape) }

  /// [-1, 1] → [0, 1]
  package func uncentred() -> Tensor { self * 0.5 + Tensor(repeating: 0.5, shape: shape) }
}
