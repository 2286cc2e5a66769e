import Foundation

/// What a training run tells whoever watches it.
public enum TrainingEvent: Sendable {
  /// A step was made.
  case step(TrainingProgress)
  /// Something worth knowing, in words.
  case note(String)
  /// Something was measured on held-out pictures, worded for a person.
  case validation(String)
  /// The state was saved after this many steps.
  case saved(step: Int)
}

/// Where a run stands.
public struct TrainingProgress: Sendable {
  public var step: Int
  /// Time spent training so far, over all parts of the run.
  public var seconds: Double
  /// The share of the run that is done, in 0 ... 1.
  public var fraction: Double
  public var loss: Float
  public var learningRate: Float
  public var picturesPerSecond: Double
  /// Seconds until the end, as far as one can tell.
  public var secondsLeft: Double
}

/// Who watches a training run and may end it.
public struct TrainingObserver: Sendable {
  public var report: @Sendable (TrainingEvent) -> Void
  /// Asked after every step; true saves and ends the run.
  public var shouldStop: @Sendable () -> Bool

  public init(
    report: @escaping @Sendable (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping @Sendable () -> Bool = { false }
  ) {
    self.report = report
    self.shouldStop = shouldStop
  }
}
