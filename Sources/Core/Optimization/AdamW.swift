import Basics
import Foundation
import TensorCore

/// AdamW (Loshchilov & Hutter 2019) with clipping of the gradient's global norm and an exponential moving average of
/// the weights.
public final class AdamW {
  public struct Options: Sendable, Codable, Equatable {
    public var beta1: Float = 0.9
    public var beta2: Float = 0.95
    public var epsilon: Float = 1e-8
    /// Applies to parameters that say they decay.
    public var weightDecay: Float = 0.01
    /// The largest global norm that a gradient keeps (Pascanu et al. 2013).
    public var maximumGradientNorm: Float = 1
    /// Of the moving average of the weights; nil keeps none.
    public var averageDecay: Float?

    public init() {}
  }

  public let options: Options
  public let store: ParameterStore
  /// The number of steps made.
  public private(set) var step = 0
  public let firstMoment: Tensor
  public let secondMoment: Tensor
  /// The moving average of the weights, where one is kept.
  public let average: Tensor?

  public init(_ store: ParameterStore, options: Options = .init()) {
    self.store = store
    self.options = options
    firstMoment = .zeros([store.values.count])
    secondMoment = .zeros([store.values.count])
    average = options.averageDecay.map { _ in .zeros([store.values.count]) }
    average?.overwrite(with: store.values)
  }

  /// Goes on after `step` steps whose moments and average have been put in place.
  public func resume(at step: Int) {
    self.step = step
    store.refreshOperands()
  }

  /// Sums the replicas' gradients in their order, clips, and changes the weights.
  ///
  /// Work is shared out in blocks of fixed size, and the norm is summed block by block, so that the result depends on
  /// the gradients alone and not on the team.
  /// - Parameters:
  ///   - gradients: each laid out like the store's values; the first one is overwritten by the sum.
  ///   - scale: factor for the sum: 1 / (number of replicas) makes it their mean.
  ///   - learningRate: of this step.
  ///   - team: whose threads share out the parameters.
  ///   - exchange: sums the gradients.
  /// - Returns: the norm of the scaled sum before clipping.
  @discardableResult
  package func update(
    gradients: [Tensor], scale: Float, learningRate: Float, team: ThreadTeam, exchange: any GradientExchange
  ) -> Float {
    step += 1
    let norm = Self.normOfSum(gradients, team: team, exchange: exchange) * scale
    // A gradient that is not finite would spoil the moments for good: the step is left out and the caller sees the norm.
    guard norm.isFinite else { return norm }
    apply(gradients[0], norm: norm, scale: scale, learningRate: learningRate, team: team, exchange: exchange)
    return norm
  }

  /// Sums gradients into the first one.
  /// - Returns: the norm of the sum.
  private static func normOfSum(_ gradients: [Tensor], team: ThreadTeam, exchange: some GradientExchange) -> Float {
    let (sum, size) = (gradients[0], type(of: exchange).blockSize)
    var squares = [Double](repeating: 0, count: (sum.count + size - 1) / size)
    squares.withUnsafeMutableBufferPointer { squares in
      nonisolated(unsafe) let squares = squares
      exchange.sum(gradients, team: team) {
        squares[$0.lowerBound / size] = FlatMemory.sumOfSquares(sum, range: $0)
      }
    }
    return Float(exchange.sum(squares).reduce(0, +).squareRoot())
  }

  /// Changes the weights by a gradient that is summed, those of the exchange's part, and gets the others.
  private func apply(
    _ sum: Tensor, norm: Float, scale: Float, learningRate: Float, team: ThreadTeam, exchange: any GradientExchange
  ) {
    var coefficients = FlatMemory.AdamWCoefficients(
      gradientScale: scale * min(1, options.maximumGradientNorm / max(norm, 1e-12)), learningRate: learningRate,
      beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon, decay: 0,
      correction1: 1 - pow(options.beta1, Float(step)), correction2: 1 - pow(options.beta2, Float(step)),
      // The average forgets its start faster than its own decay would.
      averageDecay: min(options.averageDecay ?? 0, Float(1 + step) / Float(10 + step)))
    coefficients.decay = options.weightDecay
    let state = FlatMemory.AdamWState(
      weights: store.values, gradient: sum, firstMoment: firstMoment, secondMoment: secondMoment,
      operand: store.operands, average: average)
    let (shared, part) = (coefficients, exchange.part(of: sum.count))
    team.run { thread in
      let own = team.range(of: thread, total: part.count, multiple: 16)
      let mine = part.lowerBound + own.lowerBound..<part.lowerBound + own.upperBound
      for (parameter, range) in zip(store.parameters, store.ranges) where range.overlaps(mine) {
        var coefficients = shared
        if !parameter.decays { coefficients.decay = 0 }
        FlatMemory.adamW(state, range: range.clamped(to: mine), coefficients)
      }
    }
    for array in [store.values, store.operands, average].compactMap(\.self) { exchange.spread(array) }
  }
}
