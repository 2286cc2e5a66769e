import Basics
import Foundation

/// Where training ends. The learning rate is annealed towards it, whichever it is.
public enum TrainingBound: Codable, Sendable, Equatable {
  case steps(Int)
  case epochs(Double)
  case minutes(Double)

  private enum CodingKeys: CodingKey { case steps, epochs, minutes }

  /// An object with one of the three as its key.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let count = try container.decodeIfPresent(Int.self, forKey: .steps) {
      self = .steps(count)
    } else if let count = try container.decodeIfPresent(Double.self, forKey: .epochs) {
      self = .epochs(count)
    } else {
      self = .minutes(try container.decode(Double.self, forKey: .minutes))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .steps(let count): try container.encode(count, forKey: .steps)
    case .epochs(let count): try container.encode(count, forKey: .epochs)
    case .minutes(let count): try container.encode(count, forKey: .minutes)
    }
  }

  /// - Throws: `PipelineError` of kind `.usage` where it is not a positive number.
  package func validate() throws(PipelineError) {
    let (name, least, value): (String, String, Double) =
      switch self {
      case .steps(let count): ("steps", "1 or more", Double(count))
      case .epochs(let count): ("epochs", "above 0", count)
      case .minutes(let count): ("minutes", "above 0", count)
      }
    guard value > 0, value.isFinite else {
      throw PipelineError(.usage, "--\(name) must be \(least), not \(value.formatted())")
    }
  }

  /// A part of the run: at least one step where it is bounded by their number.
  package func part(_ share: Double) -> TrainingBound {
    switch self {
    case .steps(let count): .steps(max(1, Int((Double(count) * share).rounded())))
    case .epochs(let count): .epochs(count * share)
    case .minutes(let count): .minutes(count * share)
    }
  }

  /// The share of the run that is done, 1 or more at its end.
  package func progress(step: Int, stepsPerEpoch: Double, seconds: Double) -> Double {
    switch self {
    case .steps(let count): Double(step) / Double(count)
    case .epochs(let count): Double(step) / max(1, (count * stepsPerEpoch).rounded())
    case .minutes(let count): seconds / (60 * count)
    }
  }
}
