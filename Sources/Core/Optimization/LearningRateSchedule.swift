import Foundation

/// Linear warm-up, then a half cosine down to a hundredth of the peak (Loshchilov & Hutter 2017), over the whole run,
/// however its end was given: the schedule takes the share of the run that is done, be it of steps, epochs or minutes.
public struct LearningRateSchedule: Sendable, Codable, Equatable {
  public var peak: Float
  /// The number of steps over which the rate rises from zero.
  public var warmUpSteps: Int
  /// The rate at the end, as a share of the peak.
  public var finalShare: Float

  public init(peak: Float, warmUpSteps: Int, finalShare: Float = 0.01) {
    self.peak = peak
    self.warmUpSteps = warmUpSteps
    self.finalShare = finalShare
  }

  /// - Parameters:
  ///   - step: the number of steps made before this one.
  ///   - progress: the share of the run that is done, in 0 ... 1.
  public func rate(step: Int, progress: Double) -> Float {
    let warmUp = min(1, Float(step + 1) / Float(max(1, warmUpSteps)))
    let cosine = Float(0.5 * (1 + cos(Double.pi * min(1, max(0, progress)))))
    return peak * warmUp * (finalShare + (1 - finalShare) * cosine)
  }
}
