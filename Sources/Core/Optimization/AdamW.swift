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
  /// Of an outer optimizer around this one, which the exchange of gradients has (see ``GradientExchange``); nil where there is
  /// none.
  package internal(set) var outerMomentum: Tensor?

  public init(_ store: ParameterStore, options: Options = .init()) {
    self.store = store
    self.options = options
    firstMoment = store.zeros()
    secondMoment = store.zeros()
    average = options.averageDecay.map { _ in store.zeros() }
    average?.overwrite(with: store.values)
  }

  /// What a step leaves besides the weights.
  var state: [Tensor] { [firstMoment, secondMoment] + (average.map { [$0] } ?? []) }

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
  ///   - gradients: each laid out like the store's values; what they hold is lost.
  ///   - scale: factor for the sum.
  ///   - learningRate: of this step.
  ///   - team: whose threads share out the parameters.
  ///   - exchange: sums the gradients.
  /// - Returns: the norm of the scaled sum before clipping.
  @discardableResult
  package func update(
    gradients: [Tensor], scale: Float, learningRate: Float, team: ThreadTeam, exchange: any GradientExchange
  ) -> Float {
    step += 1
    let (sum, sumNorm) = Self.sumAndNorm(gradients, team: team, exchange: exchange)
    let norm = sumNorm * scale
    // A gradient that is not finite would spoil the moments for good: the step is left out and the caller sees the norm.
    if norm.isFinite {
      apply(sum, norm: norm, scale: scale, learningRate: learningRate, team: team, exchange: exchange)
    }
    exchange.spread(store, team: team)
    return norm
  }

  /// The sum of gradients, and its norm.
  private static func sumAndNorm(
    _ gradients: [Tensor], team: ThreadTeam, exchange: some GradientExchange
  ) -> (sum: Tensor, norm: Float) {
    let size = type(of: exchange).blockSize
    var squares = [Double](repeating: 0, count: (gradients[0].count + size - 1) / size)
    let sum = squares.withUnsafeMutableBufferPointer { squares in
      nonisolated(unsafe) let squares = squares
      return exchange.sum(gradients, team: team) { sum, block in
        squares[block.lowerBound / size] = FlatMemory.sumOfSquares(sum, range: block)
      }
    }
    return (sum, Float(exchange.sum(squares).reduce(0, +).squareRoot()))
  }

  /// Changes the weights by a gradient that is summed, those of the exchange's part.
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
  }
}
