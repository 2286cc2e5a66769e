import CKernels

/// The logarithm of what a mixture of discretised logistics gives each byte (Salimans et al. 2017, "PixelCNN++",
/// equation 2), in nats:
///
///     log P(b) = log Σ_k π_k·[σ((b⁺ - μ_k)/s_k) - σ((b⁻ - μ_k)/s_k)]
///
/// b⁻ and b⁺ are the edges of the byte's bin, where [-1, 1] is cut into 256; those of 0 and 255 reach to infinity.
///
/// - Parameters:
///   - x: any shape, float32; the byte is ⌊256·x⌋, within 0 ... 255.
///   - parameters: [N, 3K] for the N elements of x, float32: logits of π, then μ, then log s, which is kept in -7 ... 7.
/// - Returns: of x's shape.
public func discretizedLogisticLogProbability(_ x: Tensor, parameters: Tensor) -> Tensor {
  let (N, K) = (x.count, parameters.lastDimension / 3)
  precondition(
    x.type == .float32 && parameters.type == .float32 && parameters.count == N * 3 * K,
    "parameters of shape \(parameters.shape) do not fit \(x.shape)")
  let y = Tensor(uninitialized: x.shape)
  ck_discretized_logistic(x.floats, parameters.floats, y.floats, N, K)
  let variable = parameters.variable
  return Tape.record(y, from: variable) { gradient in
    let dParameters = Tensor(uninitialized: parameters.shape)
    ck_discretized_logistic_backward(x.floats, parameters.floats, gradient.floats, dParameters.floats, N, K)
    variable?.add(dParameters)
  }
}
