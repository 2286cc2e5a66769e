import CKernels
import TensorCore

/// In-place arithmetic on flat memory, for whoever owns it: optimizers and the sum over replicas.
package enum FlatMemory {
  /// What one AdamW step needs besides the arrays; see `adamW(_:_:)`.
  package struct AdamWCoefficients: Sendable {
    package var gradientScale: Float
    package var learningRate: Float
    package var beta1: Float
    package var beta2: Float
    package var epsilon: Float
    package var decay: Float
    /// 1 - β₁ᵗ and 1 - β₂ᵗ.
    package var correction1: Float
    package var correction2: Float
    /// Of the exponential moving average of the weights.
    package var averageDecay: Float

    package init(
      gradientScale: Float, learningRate: Float, beta1: Float, beta2: Float, epsilon: Float, decay: Float,
      correction1: Float, correction2: Float, averageDecay: Float
    ) {
      self.gradientScale = gradientScale
      self.learningRate = learningRate
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.decay = decay
      self.correction1 = correction1
      self.correction2 = correction2
      self.averageDecay = averageDecay
    }
  }

  /// The arrays of one AdamW step, all of one length.
  package struct AdamWState {
    package var weights, gradient, firstMoment, secondMoment: Tensor
    /// The bfloat16 copy of the weights and their moving average, where kept.
    package var operand, average: Tensor?

    package init(
      weights: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, operand: Tensor?, average: Tensor?
    ) {
      self.weights = weights
      self.gradient = gradient
      self.firstMoment = firstMoment
      self.secondMoment = secondMoment
      self.operand = operand
      self.average = average
    }
  }

  /// One AdamW step (Loshchilov & Hutter 2019, algorithm 2) on the elements `range`, in one pass over memory.
  package static func adamW(_ state: AdamWState, range: Range<Int>, _ c: AdamWCoefficients) {
    let start = range.lowerBound
    ck_adamw(
      state.weights.floats + start, state.gradient.floats + start, state.firstMoment.floats + start,
      state.secondMoment.floats + start,
      state.operand.map { $0.pointer.assumingMemoryBound(to: UInt16.self) + start },
      state.average.map { $0.floats + start }, range.count, c.gradientScale, c.learningRate, c.beta1, c.beta2,
      c.epsilon, c.decay, c.correction1, c.correction2, c.averageDecay)
  }

  /// Sums arrays in their order, elements `range`.
  /// - Parameter destination: the first one of them, or none of them.
  package static func sum(_ arrays: [Tensor], into destination: Tensor, range: Range<Int>) {
    let pointers = arrays.map { UnsafePointer<Float>?($0.floats + range.lowerBound) }
    ck_sum_arrays(pointers, pointers.count, destination.floats + range.lowerBound, range.count)
  }

  /// Steps from `start` along a gradient times `scale`, with Nesterov's momentum (Douillard et al. 2023, algorithm 1), elements
  /// `range`.
  /// - Parameters:
  ///   - weights: are overwritten.
  ///   - velocity: of the steps before, and then with this one.
  package static func outerStep(
    _ weights: Tensor, from start: Tensor, velocity: Tensor, gradient: Tensor, range: Range<Int>, scale: Float,
    learningRate: Float, momentum: Float
  ) {
    let first = range.lowerBound
    ck_outer_step(
      weights.floats + first, start.floats + first, velocity.floats + first, gradient.floats + first, range.count,
      scale,
      learningRate, momentum)
  }

  /// `x` minus `y`, elements `range`.
  package static func subtract(_ x: Tensor, _ y: Tensor, into difference: Tensor, range: Range<Int>) {
    let first = range.lowerBound
    ck_combine(
      CK_FLOAT32, x.floats + first, 1, CK_FLOAT32, y.floats + first, -1, CK_FLOAT32, difference.floats + first,
      range.count)
  }

  /// Rounds `x` to bfloat16 after what earlier roundings took is added, elements `range`.
  /// - Parameters:
  ///   - rounded: bfloat16.
  ///   - error: what was taken so far, and then with this rounding.
  package static func round(_ x: Tensor, into rounded: Tensor, error: Tensor, range: Range<Int>) {
    let start = range.lowerBound
    ck_round_with_feedback(
      x.floats + start, error.floats + start, rounded.pointer.assumingMemoryBound(to: UInt16.self) + start, range.count)
  }

  /// Σ x² over the elements `range`, in float64.
  package static func sumOfSquares(_ x: Tensor, range: Range<Int>) -> Double {
    ck_sum_of_squares(x.kernelType, x.pointer + range.lowerBound * x.type.size, range.count)
  }
}
