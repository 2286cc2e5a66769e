import CKernels

/// y = x·Wᵀ + b.
///
/// - Parameters:
///   - x: [.., K]
///   - weight: [N, K], of x's type. Its gradient is float32.
///   - bias: [N], float32.
///   - type: what y is; x's type unless told otherwise.
/// - Returns: [.., N]
public func linear(_ x: Tensor, weight: Tensor, bias: Tensor? = nil, as type: ElementType? = nil) -> Tensor {
  let (M, K, N) = (x.rows, x.lastDimension, weight.shape[0])
  precondition(weight.shape == [N, K], "a weight of shape \(weight.shape) does not apply to \(x.shape)")
  precondition(weight.type == x.type, "weight and input differ in type")
  let y = Tensor(uninitialized: x.shape.dropLast() + [N], type ?? x.type)
  ck_gemm(
    x.kernelType, false, true, M, N, K, x.pointer, K, weight.pointer, K, y.kernelType, y.pointer, N, bias?.floats,
    false)
  let biasVariable = bias?.variable
  return Tape.record(y, from: x.variable, weight.variable, biasVariable) { gradient in
    let dy = gradient.converted(to: x.type)
    x.variable?.accumulate(x.shape, x.type) { dx, accumulate in
      ck_gemm(
        x.kernelType, false, false, M, K, N, dy.pointer, N, weight.pointer, K, dx.kernelType, dx.pointer, K, nil,
        accumulate)
    }
    weight.variable?.accumulate([N, K], .float32) { dw, accumulate in
      ck_gemm(
        x.kernelType, true, false, N, K, M, dy.pointer, N, x.pointer, K, CK_FLOAT32, dw.pointer, K, nil, accumulate)
    }
    biasVariable?.accumulate([N], .float32) { db, accumulate in
      ck_add_rows_backward(gradient.kernelType, gradient.pointer, db.floats, 1, M, N, accumulate)
    }
  }
}

/// y = f(x)·Wᵀ + b, with f(x) computed anew in the backward pass instead of kept: it is as large as x and cheap.
///
/// - Parameters:
///   - x: [.., K]
///   - function: f
///   - weight: [N, K], of x's type. Its gradient is float32.
///   - bias: [N], float32.
/// - Returns: [.., N]
public func linear(
  _ x: Tensor, applying function: ElementwiseFunction, weight: Tensor, bias: Tensor? = nil
) -> Tensor {
  let y = withoutRecording { linear(x.applying(function), weight: weight, bias: bias) }
  let (M, K, N) = (x.rows, x.lastDimension, weight.shape[0])
  let biasVariable = bias?.variable
  return Tape.record(y, from: x.variable, weight.variable, biasVariable) { gradient in
    let dy = gradient.converted(to: x.type)
    weight.variable?.accumulate([N, K], .float32) { dw, accumulate in
      let activation = x.applying(function)
      ck_gemm(
        x.kernelType, true, false, N, K, M, dy.pointer, N, activation.pointer, K, CK_FLOAT32, dw.pointer, K, nil,
        accumulate)
    }
    biasVariable?.accumulate([N], .float32) { db, accumulate in
      ck_add_rows_backward(gradient.kernelType, gradient.pointer, db.floats, 1, M, N, accumulate)
    }
    if let variable = x.variable {
      let dx = Tensor(uninitialized: x.shape, x.type)
      ck_gemm(
        x.kernelType, false, false, M, K, N, dy.pointer, N, weight.pointer, K, dx.kernelType, dx.pointer, K, nil, false)
      // In place: element i of the gradient is read before it is written.
      ck_apply_backward(
        function.kernel, x.kernelType, x.pointer, dx.kernelType, dx.pointer, dx.kernelType, dx.pointer, dx.count)
      variable.add(dx)
    }
  }
}

/// y = a·b.
///
/// - Parameters:
///   - a: [M, K]
///   - b: [K, N], of a's type.
/// - Returns: [M, N]
public func matrixProduct(_ a: Tensor, _ b: Tensor) -> Tensor {
  let (M, K, N) = (a.rows, a.lastDimension, b.lastDimension)
  precondition(b.rows == K && a.type == b.type, "no product of \(a.shape) and \(b.shape)")
  let y = Tensor(uninitialized: [M, N], a.type)
  ck_gemm(a.kernelType, false, false, M, N, K, a.pointer, K, b.pointer, N, y.kernelType, y.pointer, N, nil, false)
  return Tape.record(y, from: a.variable, b.variable) { gradient in
    let dy = gradient.converted(to: a.type)
    a.variable?.accumulate(a.shape, a.type) { da, accumulate in
      ck_gemm(
        a.kernelType, false, true, M, K, N, dy.pointer, N, b.pointer, N, da.kernelType, da.pointer, K, nil, accumulate)
    }
    b.variable?.accumulate(b.shape, b.type) { db, accumulate in
      ck_gemm(
        a.kernelType, true, false, K, N, M, a.pointer, K, dy.pointer, N, db.kernelType, db.pointer, N, nil, accumulate)
    }
  }
}
