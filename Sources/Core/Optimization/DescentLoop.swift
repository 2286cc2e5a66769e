import Basics

/// The loop of gradient descent, of all models: step after step until the bound is met, along a schedule that ends annealed
/// whichever bound was given, and not on when the loss has stopped to be a number.
public struct DescentLoop: Sendable {
  public var schedule: LearningRateSchedule
  public var bound: TrainingBound
  public var stepsPerEpoch: Double

  /// A step whose gradient is no number is left out by the optimizer, and the next one may be sound. So many in a row are not
  /// chance.
  public static let mostStepsLeftOut = 20

  public init(schedule: LearningRateSchedule, bound: TrainingBound, stepsPerEpoch: Double) {
    (self.schedule, self.bound, self.stepsPerEpoch) = (schedule, bound, stepsPerEpoch)
  }

  /// Where a run stands.
  public struct Progress: Sendable {
    /// Steps made, and the seconds that they and everything between them took.
    public var step: Int
    public var seconds: Double
    /// The share of the run that is done, 1 or more at its end.
    public var fraction: Double
    /// Of the last step.
    public var learningRate: Float
    public var stepSeconds: Double

    public var isComplete: Bool { fraction >= 1 }
  }

  /// What a step gives.
  public struct Result: Sendable {
    public var loss: Float
    /// Not finite where the step was left out.
    public var gradientNorm: Float
    /// More numbers for a log, by their names there.
    public var metrics: [(name: String, value: Double)]

    public init(loss: Float, gradientNorm: Float, metrics: [(name: String, value: Double)] = []) {
      (self.loss, self.gradientNorm, self.metrics) = (loss, gradientNorm, metrics)
    }

    public var isFinite: Bool { gradientNorm.isFinite && loss.isFinite }
  }

  /// The share of the run that is done.
  public func fraction(step: Int, seconds: Double) -> Double {
    bound.progress(step: step, stepsPerEpoch: stepsPerEpoch, seconds: seconds)
  }

  /// - Parameters:
  ///   - start: steps and seconds of the run's earlier parts.
  ///   - agree: makes the clock's seconds those of all processes that train together.
  ///   - advice: what a person can do about a learning rate that diverges.
  ///   - makeStep: makes one optimizer step, given the number of those before and the share of the run that is done.
  ///   - after: told where the run stands after each step; false ends it.
  /// - Throws: what the closures throw, and `PipelineError` of kind `.usage` where the learning rate diverges.
  public func run(
    from start: (step: Int, seconds: Double) = (0, 0), agree: (_ seconds: Double) -> Double = { $0 }, advice: String,
    step makeStep: (_ step: Int, _ learningRate: Float, _ fraction: Double) throws(PipelineError) -> Result,
    after: (Progress, Result) throws(PipelineError) -> Bool
  ) throws(PipelineError) {
    // Which stands still while the machine sleeps: an hour of training is an hour of work.
    let clock = SuspendingClock()
    let began = clock.now
    var step = start.step
    var fraction = fraction(step: step, seconds: start.seconds)
    var leftOut = 0
    while fraction < 1 {
      let learningRate = schedule.rate(step: step, progress: fraction)
      let stepBegan = clock.now
      let result = try makeStep(step, learningRate, fraction)
      step += 1
      leftOut = result.isFinite ? 0 : leftOut + 1
      if leftOut == Self.mostStepsLeftOut {
        throw PipelineError(
          .usage,
          "the learning rate of \(learningRate) diverges: the loss is \(result.loss) at step \(step); \(advice)")
      }
      // The time is asked for once a step: a bound in minutes must not be met between two questions.
      let now = clock.now
      let seconds = agree(start.seconds + began.duration(to: now).inSeconds)
      fraction = self.fraction(step: step, seconds: seconds)
      let progress = Progress(
        step: step, seconds: seconds, fraction: fraction, learningRate: learningRate,
        stepSeconds: stepBegan.duration(to: now).inSeconds)
      if try !after(progress, result) { return }
    }
  }
}
