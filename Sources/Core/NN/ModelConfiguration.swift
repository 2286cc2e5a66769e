import Basics

/// A model's shape: everything that is needed to make the model, and what a file says of it.
///
/// Fields are named in messages as they stand in JSON, in snake case.
public protocol ModelConfiguration: Codable, Sendable, Equatable {
  /// The shape in words.
  var summary: String { get }
  /// - Throws: `PipelineError` of kind `.badData` that names the first field of which no model can be made.
  func validate() throws(PipelineError)
  /// A bound that is cheap to have, of a shape that is valid: the model has at least so many parameters.
  var leastParameterCount: Int { get }
}

/// The shape of a model that is trained here, and so can begin anew.
public protocol TrainableConfiguration: ModelConfiguration {
  static func preset(_ preset: Preset) -> Self
}

/// A model's shape where there are several kinds of models for a purpose; see ``ModelKinds``.
public protocol ListedConfiguration: ModelConfiguration {
  /// What the kind is called in files and by commands.
  static var kind: String { get }
  /// What a person calls it.
  static var title: String { get }
}

/// How large models are, and how long they are trained.
///
/// `base` is the one where nothing is said; `small` gives coarser pictures in half the time, and `tiny` is for trying things
/// out.
public enum Preset: String, CaseIterable, Sendable, Codable {
  case tiny, small, base
}

extension ModelConfiguration {
  /// - Throws: `PipelineError` of kind `.badData` where a field is out of its range.
  package func check<Value: Comparable>(
    _ field: String, _ value: Value, in range: ClosedRange<Value>
  ) throws(PipelineError) {
    if range.contains(value) { return }
    throw PipelineError(.badData, "\(field) must be \(range.lowerBound) to \(range.upperBound), not \(value)")
  }

  /// - Throws: `PipelineError` of kind `.badData` where a field is out of its range, whose end is not in it.
  package func check<Value: Comparable>(
    _ field: String, _ value: Value, in range: Range<Value>
  ) throws(PipelineError) {
    if range.contains(value) { return }
    throw PipelineError(.badData, "\(field) must be \(range.lowerBound) up to \(range.upperBound), not \(value)")
  }

  /// - Throws: `PipelineError` of kind `.badData` where one of two positive numbers is no divisor of the other.
  package func check(
    _ field: String, _ divisor: Int, divides whole: String, _ value: Int
  ) throws(PipelineError) {
    if divisor > 0 && value % divisor == 0 { return }
    throw PipelineError(.badData, "\(field) \(divisor) does not divide \(whole) \(value)")
  }

  /// - Throws: `PipelineError` of kind `.badData` with a message where something does not hold.
  package func check(_ holds: Bool, _ message: @autoclosure () -> String) throws(PipelineError) {
    if !holds { throw PipelineError(.badData, message()) }
  }
}
