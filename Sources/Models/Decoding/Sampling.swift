import Algorithms
import Basics
import Foundation

/// How tokens are drawn from the prior's distribution.
public struct SamplingOptions: Sendable, Codable, Equatable, CustomStringConvertible {
  /// Divides the logits; below 1 the likely tokens become likelier. 0 takes the likeliest.
  public var temperature: Float
  /// Only the likeliest `topK` tokens are drawn; 0 leaves all that guidance does.
  public var topK: Int
  /// Only the likeliest tokens whose probabilities sum up to `topP` are drawn (Holtzman et al. 2020).
  public var topP: Float
  /// Classifier-free guidance (Ho & Salimans 2022); see ``guided(_:without:)``. 1 is no guidance.
  public var guidance: Float
  /// With guidance above 1, tokens that the caption makes less likely than this share of the likeliest one are not drawn; 0
  /// leaves all that guidance does.
  public var plausibleShare: Float

  public init(
    temperature: Float = 0.7, topK: Int = 64, topP: Float = 1, guidance: Float = 2, plausibleShare: Float = 0.1
  ) {
    (self.temperature, self.topK, self.topP, self.guidance) = (temperature, topK, topP, guidance)
    self.plausibleShare = plausibleShare
  }

  public var description: String {
    "temperature \(temperature), top-k \(topK), top-p \(topP), guidance \(guidance)"
  }

  /// - Throws: `PipelineError` of kind `.usage` for a value that makes no sense.
  public func validate() throws(PipelineError) {
    func check(_ isValid: Bool, _ message: String) throws(PipelineError) {
      if !isValid { throw PipelineError(.usage, message) }
    }
    try check(temperature >= 0 && temperature.isFinite, "`temperature` must be 0 or more, not \(temperature)")
    try check(topK >= 0, "`topK` must be 0 or more, not \(topK)")
    try check(topP > 0 && topP <= 1, "`topP` must be above 0 and at most 1, not \(topP)")
    try check((0...1).contains(plausibleShare), "`plausibleShare` must be 0 to 1, not \(plausibleShare)")
    try check(guidance >= 0 && guidance.isFinite, "`guidance` must be 0 or more, not \(guidance)")
  }

  /// The logits with guidance: empty + guidance·(caption - empty). Where `guidance` is above 1, tokens that the caption makes
  /// less likely than ``plausibleShare`` of the likeliest one are out (Li et al. 2023, *Contrastive Decoding*, equation 4): of what
  /// is out of the question with the caption and without it, the difference says nothing, and may be large.
  /// - Parameters:
  ///   - conditional: the K logits given the caption.
  ///   - empty: as many without a caption.
  /// - Returns: K logits, -∞ for the tokens that are out.
  public func guided(
    _ conditional: some Collection<Float>, without empty: some Collection<Float>
  ) -> [Float] {
    // A copy takes no time beside going through a collection of a type that is not known here.
    let (conditional, empty) = (Array(conditional), Array(empty))
    let raised = conditional.indices.map { empty[$0] + guidance * (conditional[$0] - empty[$0]) }
    guard guidance > 1, plausibleShare > 0, let largest = conditional.max() else { return raised }
    let least = largest + log(plausibleShare)
    return raised.indices.map { conditional[$0] >= least ? raised[$0] : -.infinity }
  }

  /// Draws one token.
  /// - Parameters:
  ///   - logits: one number a token.
  ///   - uniform: a random number in [0, 1), which alone decides.
  public func draw(_ logits: some RandomAccessCollection<Float>, uniform: Float) -> Int32 {
    let logits = Array(logits)
    let largest = logits.max() ?? 0
    if temperature == 0 { return Int32(logits.firstIndex(of: largest) ?? 0) }
    // Candidates in the order of the tokens, unless a cut asks for the order of likelihood. Ties go to the lower token.
    var candidates = Array(logits.indices)
    if topK > 0 || topP < 1 {
      // The first of this order, rather than `max(count:)`, which takes the later of equals.
      candidates = candidates.min(count: topK > 0 ? topK : logits.count) {
        logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1
      }
    }
    var weights = candidates.map { exp((logits[$0] - largest) / temperature) }
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
      if rest < 0 { return Int32(candidates[i]) }
    }
    // Rounding has left a rest. What has no weight is never drawn.
    return Int32(candidates[weights.lastIndex { $0 > 0 } ?? 0])
  }
}
