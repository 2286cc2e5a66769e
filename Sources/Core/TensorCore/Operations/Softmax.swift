import CKernels

extension Tensor {
  /// exp(x) / Σ exp(x) over the last axis.
  public func softmax() -> Tensor {
    let y = Tensor(uninitialized: shape, type)
    let (N, C, x) = (rows, lastDimension, variable)
    ck_softmax(kernelType, pointer, y.kernelType, y.pointer, N, C)
    return Tape.record(y, from: x) { gradient in
      let dx = Tensor(uninitialized: y.shape, y.type)
      ck_softmax_backward(
        y.kernelType, y.pointer, gradient.kernelType, gradient.pointer, dx.kernelType, dx.pointer, N, C)
      x?.add(dx)
    }
  }
}

/// The sum of the cross entropies -log softmax(logits)[target], in nats, times `scale`: a scalar.
///
/// The gradient to the logits is made in the same pass as the loss, since both need the softmax.
///
/// - Parameters:
///   - logits: [.., C]
///   - targets: a class for each row; a negative one leaves the row out.
///   - scale: 1 / (number of rows) gives the mean.
public func crossEntropy(_ logits: Tensor, targets: [Int32], scale: Float) -> Tensor {
  let (N, C) = (logits.rows, logits.lastDimension)
  precondition(targets.count == N, "\(targets.count) targets for \(N) rows")
  precondition(targets.allSatisfy { $0 < C }, "a target is not below \(C)")
  let dLogits = logits.variable == nil ? nil : Tensor(uninitialized: logits.shape, logits.type)
  let total = ck_cross_entropy(
    logits.kernelType, logits.pointer, targets, logits.kernelType, dLogits?.pointer, scale, N, C)
  let variable = logits.variable
  return Tape.record(Tensor(Float(total * Double(scale))), from: variable) { gradient in
    guard let dLogits else { return }
    let upstream = gradient.item
    variable?.add(upstream == 1 ? dLogits : dLogits * upstream)
  }
}
