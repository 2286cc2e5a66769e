import Synchronization
import Training

/// Collects a run's events, and ends it after a step.
public final class Recorder: Sendable {
  private let events = Mutex<[TrainingEvent]>([])
  private let stop: Int?

  public init(stopAfter stop: Int? = nil) { self.stop = stop }

  public var observer: TrainingObserver {
    TrainingObserver(
      report: { event in self.events.withLock { $0.append(event) } },
      shouldStop: { self.stop.map { self.step >= $0 } ?? false })
  }

  public var step: Int {
    events.withLock { $0.reduce(0) { if case .step(let progress) = $1 { progress.step } else { $0 } } }
  }
  public var losses: [Float] {
    events.withLock { $0.compactMap { if case .step(let progress) = $0 { progress.loss } else { nil } } }
  }
  public var notes: [String] {
    events.withLock { $0.compactMap { if case .note(let text) = $0 { text } else { nil } } }
  }
  public var validations: [String] {
    events.withLock { $0.compactMap { if case .validation(let text) = $0 { text } else { nil } } }
  }
  public var saves: [Int] { events.withLock { $0.compactMap { if case .saved(let step) = $0 { step } else { nil } } } }
}
