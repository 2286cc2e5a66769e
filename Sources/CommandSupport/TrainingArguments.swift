import ArgumentParser
import Basics
import Imaging
import Optimization
import TensorCore

extension Picture.Fit: ExpressibleByArgument {}
extension ElementType: ExpressibleByArgument {
  public init?(argument: String) { self.init(rawValue: argument) }
  public static var allValueStrings: [String] { ["float32", "bfloat16"] }
}

/// Where a data set's captions stand.
package struct CaptionColumnOptions: ParsableArguments {
  @Option(
    name: .customLong("caption-column"),
    help: ArgumentHelp(
      "The column of metadata that has the captions; text, or else caption or prompt, unless given.", valueName: "name")
  )
  package var name: String?

  package init() {}
}

/// How long something is trained.
package struct BoundOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "Train this many steps.") package var steps: Int?
  @Option(parsing: .unconditional, help: "Train this many passes over the data.") package var epochs: Double?
  @Option(parsing: .unconditional, help: "Train this long.") package var minutes: Double?

  package init() {}

  /// Nil where none is given.
  package func bound() throws(PipelineError) -> TrainingBound? {
    let bounds = [steps.map(TrainingBound.steps), epochs.map(TrainingBound.epochs), minutes.map(TrainingBound.minutes)]
      .compactMap { $0 }
    guard bounds.count <= 1 else {
      throw PipelineError(.usage, "--steps, --epochs and --minutes exclude one another; give one of them")
    }
    return bounds.first
  }
}
