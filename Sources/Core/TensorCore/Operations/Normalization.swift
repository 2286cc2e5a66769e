import CKernels

/// Layer normalisation over the last axis (Ba et al. 2016): y = (x - μ)/√(σ² + ε)·gain + bias.
///
/// - Parameters:
///   - x: [.., C]
///   - gain: [C], float32.
///   - bias: [C], float32.
///   - epsilon: added to the variance.
///   - type: what y is; x's type unless told otherwise.
public func layerNorm(
  _ x: Tensor, gain: Tensor, bias: Tensor, epsilon: Float = 1e-5, as type: ElementType? = nil
) -> Tensor {
  let (N, C) = (x.rows, x.lastDimension)
  let y = Tensor(uninitialized: x.shape, type ?? x.type)
  let mean = Tensor(uninitialized: [N])
  let inverseDeviation = Tensor(uninitialized: [N])
  ck_layer_norm(
    x.kernelType, x.pointer, gain.floats, bias.floats, y.kernelType, y.pointer, mean.floats, inverseDeviation.floats,
    N, C, epsilon)
  return Tape.record(y, from: x.variable, gain.variable, bias.variable) { gradient in
    normalizationBackward(x, gain, bias) { dx, accumulateInput, dGain, dBias, accumulate in
      ck_layer_norm_backward(
        x.kernelType, x.pointer, gain.floats, mean.floats, inverseDeviation.floats, gradient.kernelType,
        gradient.pointer, dx.kernelType, dx.pointer, accumulateInput, dGain.floats, dBias.floats, accumulate, N, C)
    }
  }
}

/// Group normalisation (Wu & He 2018) over positions and the channels of each group, optionally followed by SiLU, which
/// spares a pass over memory.
///
/// - Parameters:
///   - x: [B, .., C]
///   - gain: [C], float32.
///   - bias: [C], float32.
///   - groups: a divisor of C.
///   - silu: whether x·σ(x) follows.
///   - epsilon: added to the variance.
///   - type: of the result.
public func groupNorm(
  _ x: Tensor, gain: Tensor, bias: Tensor, groups: Int, silu: Bool = false, epsilon: Float = 1e-5,
  as type: ElementType? = nil
) -> Tensor {
  let (B, C) = (x.shape[0], x.lastDimension)
  let P = x.count / (B * C)
  precondition(C % groups == 0, "\(C) channels do not split into \(groups) groups")
  let y = Tensor(uninitialized: x.shape, type ?? x.type)
  let mean = Tensor(uninitialized: [B, groups])
  let inverseDeviation = Tensor(uninitialized: [B, groups])
  ck_group_norm(
    x.kernelType, x.pointer, gain.floats, bias.floats, silu, y.kernelType, y.pointer, mean.floats,
    inverseDeviation.floats, B, P, C, groups, epsilon)
  return Tape.record(y, from: x.variable, gain.variable, bias.variable) { gradient in
    normalizationBackward(x, gain, bias) { dx, accumulateInput, dGain, dBias, accumulate in
      ck_group_norm_backward(
        x.kernelType, x.pointer, gain.floats, bias.floats, silu, mean.floats, inverseDeviation.floats,
        gradient.kernelType, gradient.pointer, dx.kernelType, dx.pointer, accumulateInput, dGain.floats, dBias.floats,
        accumulate, B, P, C, groups)
    }
  }
}

/// Gives a normalisation's backward kernel, which writes all three gradients at once, the three sums to write to.
private func normalizationBackward(
  _ x: Tensor, _ gain: Tensor, _ bias: Tensor,
  _ kernel: (_ dx: Tensor, _ accumulateInput: Bool, _ dGain: Tensor, _ dBias: Tensor, _ accumulate: Bool) -> Void
) {
  func sum(_ variable: Variable?, _ tensor: Tensor, _ type: ElementType, _ write: (Tensor, Bool) -> Void) {
    if let variable {
      variable.accumulate(tensor.shape, type, write)
    } else {
      write(Tensor(uninitialized: tensor.shape, type), false)
    }
  }
  sum(x.variable, x, x.type) { dx, accumulateInput in
    sum(gain.variable, gain, .float32) { dGain, accumulateGain in
      sum(bias.variable, bias, .float32) { dBias, accumulateBias in
        precondition(accumulateGain == accumulateBias, "gain and bias are used together or not at all")
        kernel(dx, accumulateInput, dGain, dBias, accumulateGain)
      }
    }
  }
}

/// Scales each row of the last axis to length 1: y = x / max(‖x‖₂, ε).
public func l2Normalized(_ x: Tensor, epsilon: Float = 1e-6, as type: ElementType? = nil) -> Tensor {
  let (N, C) = (x.rows, x.lastDimension)
  let y = Tensor(uninitialized: x.shape, type ?? x.type)
  let inverseNorm = Tensor(uninitialized: [N])
  ck_l2_normalize(x.kernelType, x.pointer, y.kernelType, y.pointer, inverseNorm.floats, N, C, epsilon)
  let (variable, shape, inputType) = (x.variable, x.shape, x.type)
  return Tape.record(y, from: variable) { gradient in
    let dx = Tensor(uninitialized: shape, inputType)
    ck_l2_normalize_backward(
      y.kernelType, y.pointer, inverseNorm.floats, gradient.kernelType, gradient.pointer, dx.kernelType, dx.pointer,
      N, C, epsilon)
    variable?.add(dx)
  }
}
