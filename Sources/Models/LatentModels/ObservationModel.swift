import Basics
import Foundation
import NN
import TensorCore

/// p(x | decoded): what a decoder's output says of a row.
///
/// All are densities over ℝ^D but Bernoulli's, so that log-likelihoods compare. A probability P of a byte counts as the
/// density 256·P on the byte's interval of [0, 1): log p(x) = log P + D·log 256, and bits a dimension are
/// 8 - log p(x) / (D·log 2) either way.
public struct ObservationModel: Module, Sendable {
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// x ∈ {0, 1}, or in between as the probability of a 1: the decoder gives logits. Not a density: bits do not compare.
    case bernoulli
    /// N(decoded, σ_d²) with a learnt variance for each dimension.
    case gaussian
    /// A mixture of discretised logistics over the byte ⌊256·x⌋ (Salimans et al. 2017).
    case discretizedLogistic = "discretized_logistic"
  }

  public let kind: Kind
  /// Of a mixture.
  public let components: Int
  /// What the logarithms of the variances are made of, [D], for `.gaussian`.
  let variance: Parameter?

  /// log σ² is at least this: a column that is constant would have a density without bound.
  private static let leastLogVariance: Float = -16

  init(_ kind: Kind, dimensions: Int, components: Int) {
    (self.kind, self.components) = (kind, components)
    // log σ² = softplus(20·v) - 16 starts at -2; the factor lets Adam's small steps cross the whole range.
    variance = kind == .gaussian ? Parameter(Tensor(repeating: 0.7, shape: [dimensions])) : nil
  }

  /// How many numbers a decoder gives for each element of a row.
  var numbersPerElement: Int { kind == .discretizedLogistic ? 3 * components : 1 }

  /// log σ² of every element: [B, D].
  private func logVariance(_ shape: [Int]) -> Tensor {
    guard let variance else { return .zeros(shape) }
    let least = Tensor(repeating: Self.leastLogVariance, shape: variance.shape)
    let bounded = (variance() * 20).applying(.softplus) + least
    return Tensor.zeros(shape).addingRows(bounded.reshaped([1, -1]))
  }

  /// log p(x_d | decoded) of each element.
  /// - Parameters:
  ///   - x: [B, D].
  ///   - decoded: [B, D·numbersPerElement].
  /// - Returns: [B, D], nats.
  func logDensity(_ x: Tensor, _ decoded: Tensor) -> Tensor {
    switch kind {
    case .bernoulli:
      return x * decoded - decoded.applying(.softplus)
    case .gaussian:
      let logVariance = logVariance(x.shape)
      let distance = (x - decoded).applying(.square) * (logVariance * -1).applying(.exp)
      return (distance + logVariance + Tensor(repeating: log(2 * Float.pi), shape: x.shape)) * -0.5
    case .discretizedLogistic:
      return discretizedLogisticLogProbability(x, parameters: decoded.reshaped([x.count, 3 * components]))
        + Tensor(repeating: log(256), shape: x.shape)
    }
  }

  /// The mean of p(x | decoded): [B, D]. Of discretised logistics, what is beyond black and white counts as these, as the bins there
  /// have it; that a bell's two halves are cut unequally is left out.
  func mean(_ decoded: Tensor) -> Tensor {
    switch kind {
    case .bernoulli: return decoded.applying(.sigmoid)
    case .gaussian: return decoded
    case .discretizedLogistic:
      let parts = decoded.reshaped([-1, 3 * components]).split(3)
      let (weights, centres) = (parts[0].softmax().scalars, parts[1].scalars)
      return Tensor(
        (0..<weights.count / components).map { n in
          let mean = (n * components..<(n + 1) * components)
            .reduce(0) { $0 + weights[$1] * min(max(centres[$1], -1), 1) }
          return min(max((mean + 1) / 2, 0), 1)
        }, shape: [decoded.shape[0], decoded.count / decoded.shape[0] / (3 * components)])
    }
  }

  /// Draws from p(x | decoded): [B, D].
  /// - Parameters:
  ///   - rows: the numbers of the rows, which their random numbers follow.
  func draw(_ decoded: Tensor, rows: Range<Int>, seed: UInt64, stream: UInt64) -> Tensor {
    let B = decoded.shape[0]
    let D = decoded.count / B / numbersPerElement
    let numbers = decoded.scalars
    let deviations = kind == .gaussian ? (logVariance([1, D]) * 0.5).applying(.exp).scalars : []
    var result: [Float] = []
    result.reserveCapacity(B * D)
    for (b, row) in rows.enumerated() {
      var random = Philox(seed: seed, stream: stream | UInt64(row))
      for d in 0..<D {
        let n = b * D + d
        switch kind {
        case .bernoulli:
          result.append(random.uniform() < 1 / (1 + exp(-numbers[n])) ? 1 : 0)
        case .gaussian:
          result.append(numbers[n] + deviations[d] * Float(random.normal()))
        case .discretizedLogistic:
          let parameters = numbers[n * 3 * components..<(n + 1) * 3 * components]
          result.append(Self.drawLogistic(parameters, components, &random))
        }
      }
    }
    return Tensor(result, shape: [B, D])
  }

  /// A byte of the mixture as a number that is uniform within the byte's interval.
  private static func drawLogistic(
    _ parameters: ArraySlice<Float>, _ K: Int, _ random: inout Philox
  ) -> Float {
    let start = parameters.startIndex
    let largest = parameters.prefix(K).max() ?? 0
    let weights = parameters.prefix(K).map { exp($0 - largest) }
    var left = random.uniform() * weights.reduce(0, +)
    var k = 0
    while k < K - 1 && left >= weights[k] {
      left -= weights[k]
      k += 1
    }
    let u = min(max(random.uniform(), 1e-7), 1 - 1e-7)
    let scale = exp(min(max(parameters[start + 2 * K + k], -7), 7))
    let value = parameters[start + K + k] + scale * log(u / (1 - u))
    let byte = min(max(((value + 1) * 128).rounded(.down), 0), 255)
    return min((byte + random.uniform()) / 256, 1 - Float.ulpOfOne)
  }
}

/// log Σ eˣ of Float64 numbers.
func logSumExp(_ x: [Double]) -> Double {
  guard let largest = x.max(), largest.isFinite else { return x.max() ?? -.infinity }
  return largest + log(x.reduce(0) { $0 + exp($1 - largest) })
}

extension Tensor {
  /// The sum of each row, in float64.
  func rowSums() -> [Double] {
    let C = count / shape[0]
    let scalars = scalars
    return (0..<shape[0]).map { row in scalars[row * C..<(row + 1) * C].reduce(0) { $0 + Double($1) } }
  }
}
