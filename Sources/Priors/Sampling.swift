import Foundation
import TensorCore

/// How tokens are drawn from the prior's distribution.
public struct SamplingOptions: Sendable, Codable, Equatable {
  /// Divides the logits; below 1 the likely tokens become likelier. 0 takes the likeliest.
  public var temperature: Float = 0.7
  /// Only the likeliest `topK` tokens are drawn; 0 leaves all.
  public var topK = 64
  /// Only the likeliest tokens whose probabilities sum up to `topP` are drawn (Holtzman et al. 2020).
  public var topP: Float = 1
  /// Classifier-free guidance (Ho & Salimans 2022): logits = empty + guidance·(caption - empty), where "empty" are those
  /// without a caption. 1 is no guidance.
  public var guidance: Float = 2

  public init() {}

  /// - Throws: `PipelineError` of kind `.usage` for a value that makes no sense.
  public func validate() throws(PipelineError) {
    func check(_ isValid: Bool, _ message: String) throws(PipelineError) {
      if !isValid { throw PipelineError(.usage, message) }
    }
    try check(temperature >= 0 && temperature.isFinite, "--temperature must be 0 or more, not \(temperature)")
    try check(topK >= 0, "--top-k must be 0 or more, not \(topK)")
    try check(topP > 0 && topP <= 1, "--top-p must be above 0 and at most 1, not \(topP)")
    try check(guidance >= 0 && guidance.isFinite, "--guidance must be 0 or more, not \(guidance)")
  }

  /// Draws one token.
  /// - Parameters:
  ///   - logits: one number a token.
  ///   - uniform: a random number in [0, 1), which alone decides.
  public func draw(_ logits: some RandomAccessCollection<Float>, uniform: Float) -> Int32 {
    // Ties go to the lower token, so that the order does not depend on the sort.
    var ranked = logits.enumerated().map { (token: $0.offset, logit: $0.element) }
    ranked.sort { $0.logit != $1.logit ? $0.logit > $1.logit : $0.token < $1.token }
    if temperature == 0 { return Int32(ranked[0].token) }
    if topK > 0 { ranked.removeLast(max(0, ranked.count - topK)) }
    let largest = ranked[0].logit
    var weights = ranked.map { exp(($0.logit - largest) / temperature) }
    if topP < 1 {
      let limit = topP * weights.reduce(0, +)
      var sum: Float = 0
      let kept = weights.firstIndex { weight in
        sum += weight
        return sum >= limit
      }
      if let kept { weights.removeLast(weights.count - kept - 1) }
    }
    var rest = uniform * weights.reduce(0, +)
    for (i, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return Int32(ranked[i].token) }
    }
    return Int32(ranked[weights.count - 1].token)
  }
}
