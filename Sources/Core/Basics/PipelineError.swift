import Foundation

/// A failure that a person can cause, worded for that person: what was wrong, where, and what to do.
///
/// Every library call of this package that can fail on input throws this type.
public struct PipelineError: LocalizedError, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, CaseIterable {
    /// An argument that makes no sense.
    case usage
    /// A file that can be read but does not hold what it should.
    case badData
    /// A file or folder that is missing or cannot be opened.
    case noInput
    /// A file or folder that cannot be created.
    case cannotCreate
    /// Reading or writing failed half-way, for example on a full disk.
    case inputOutput
  }

  public let kind: Kind
  /// One line, whatever was quoted in it from a file. A setting stands in it by its name in the library, marked as code: "`batchSize` must be 1 to 65536".
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message.singleLine
  }

  public var description: String { message }
  public var errorDescription: String? { message }
}

extension String {
  /// The same without line breaks and terminal commands, which captions, file names and what a file says may hold.
  package var singleLine: String {
    var line = UnicodeScalarView()
    for scalar in unicodeScalars {
      let category = scalar.properties.generalCategory
      let isControl = category == .control || category == .lineSeparator || category == .paragraphSeparator
      line.append(isControl ? " " : scalar)
    }
    return String(line)
  }
}
