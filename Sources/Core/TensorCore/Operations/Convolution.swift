import CKernels

/// Rows and columns of zeros around a picture.
public struct Padding: Sendable, ExpressibleByIntegerLiteral {
  public var top, bottom, left, right: Int

  public init(top: Int = 0, bottom: Int = 0, left: Int = 0, right: Int = 0) {
    (self.top, self.bottom, self.left, self.right) = (top, bottom, left, right)
  }

  /// As many on each side.
  public init(_ width: Int) { self.init(top: width, bottom: width, left: width, right: width) }

  public init(integerLiteral width: Int) { self.init(width) }
}

/// A two-dimensional convolution (cross-correlation, as everywhere in this field).
///
/// - Parameters:
///   - x: [B, H, W, C]
///   - weight: [O, KH, KW, C], of x's type. Its gradient is float32.
///   - bias: [O], float32.
///   - stride: places between two outputs, along both axes.
///   - padding: zeros around x.
///   - type: what the result is; x's type unless told otherwise.
/// - Returns: [B, (H + top + bottom - KH) / stride + 1, (W + left + right - KW) / stride + 1, O]
public func convolution(
  _ x: Tensor, weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Padding = 0, as type: ElementType? = nil
) -> Tensor {
  let shape = ck_convolution(input: x.shape, weight: weight, stride: stride, padding: padding)
  let y = Tensor(uninitialized: shape.outputShape, type ?? x.type)
  withUnsafePointer(to: shape) {
    ck_convolution_forward(
      $0, x.kernelType, x.pointer, weight.pointer, bias?.floats, y.kernelType, y.pointer, false)
  }
  let biasVariable = bias?.variable
  return Tape.record(y, from: x.variable, weight.variable, biasVariable) { gradient in
    let dy = gradient.converted(to: x.type)
    withUnsafePointer(to: shape) { shape in
      x.variable?.accumulate(x.shape, x.type) { dx, accumulate in
        ck_convolution_backward_data(
          shape, x.kernelType, dy.pointer, weight.pointer, nil, dx.kernelType, dx.pointer, accumulate)
      }
      weight.variable?.accumulate(weight.shape, .float32) { dw, accumulate in
        ck_convolution_backward_weight(shape, x.kernelType, x.pointer, dy.pointer, dw.floats, accumulate)
      }
    }
    accumulateBias(biasVariable, gradient)
  }
}

/// The transposed convolution: the map whose matrix is the transpose of `convolution`'s.
///
/// - Parameters:
///   - x: [B, H, W, O]
///   - weight: [O, KH, KW, C], of x's type: that of the convolution that this one reverses.
///   - bias: [C], float32.
///   - stride: places between two outputs of the convolution that is reversed.
///   - padding: zeros around what that convolution sees.
///   - type: of the result.
/// - Returns: [B, (H - 1)·stride - 2·padding + KH, (W - 1)·stride - 2·padding + KW, C]
public func transposedConvolution(
  _ x: Tensor, weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, as type: ElementType? = nil
) -> Tensor {
  let (kernelHeight, kernelWidth) = (weight.shape[1], weight.shape[2])
  let outputShape = [
    x.shape[0], (x.shape[1] - 1) * stride - 2 * padding + kernelHeight,
    (x.shape[2] - 1) * stride - 2 * padding + kernelWidth, weight.shape[3],
  ]
  let shape = ck_convolution(input: outputShape, weight: weight, stride: stride, padding: Padding(padding))
  precondition(shape.outputShape == x.shape, "\(x.shape) is not what the reversed convolution would give")
  let y = Tensor(uninitialized: outputShape, type ?? x.type)
  withUnsafePointer(to: shape) {
    ck_convolution_backward_data(
      $0, x.kernelType, x.pointer, weight.pointer, bias?.floats, y.kernelType, y.pointer, false)
  }
  let biasVariable = bias?.variable
  return Tape.record(y, from: x.variable, weight.variable, biasVariable) { gradient in
    let dy = gradient.converted(to: x.type)
    withUnsafePointer(to: shape) { shape in
      x.variable?.accumulate(x.shape, x.type) { dx, accumulate in
        ck_convolution_forward(
          shape, x.kernelType, dy.pointer, weight.pointer, nil, dx.kernelType, dx.pointer, accumulate)
      }
      weight.variable?.accumulate(weight.shape, .float32) { dw, accumulate in
        ck_convolution_backward_weight(shape, x.kernelType, dy.pointer, x.pointer, dw.floats, accumulate)
      }
    }
    accumulateBias(biasVariable, gradient)
  }
}

private func accumulateBias(_ bias: Variable?, _ gradient: Tensor) {
  bias?.accumulate([gradient.lastDimension], .float32) { db, accumulate in
    ck_add_rows_backward(
      gradient.kernelType, gradient.pointer, db.floats, 1, gradient.rows, gradient.lastDimension, accumulate)
  }
}

extension ck_convolution {
  init(input: [Int], weight: Tensor, stride: Int, padding: Padding) {
    precondition(
      input.count == 4 && weight.shape.count == 4 && weight.shape[3] == input[3],
      "a weight of shape \(weight.shape) does not apply to \(input)")
    precondition(
      input[1] + padding.top + padding.bottom >= weight.shape[1]
        && input[2] + padding.left + padding.right >= weight.shape[2],
      "a kernel of shape \(weight.shape) is larger than \(input)")
    self.init(
      B: input[0], H: input[1], W: input[2], C: input[3], O: weight.shape[0], KH: weight.shape[1], KW: weight.shape[2],
      stride: stride, top: padding.top, bottom: padding.bottom, left: padding.left, right: padding.right)
  }

  var outputShape: [Int] { [B, (H + top + bottom - KH) / stride + 1, (W + left + right - KW) / stride + 1, O] }
}
