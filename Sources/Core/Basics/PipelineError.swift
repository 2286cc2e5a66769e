/// A failure that a person can cause, worded for that person: what was wrong, where, and what to do.
///
/// Every library call of this package that can fail on input throws this type. The command line prints
/// `message` on one line and exits with the code that belongs to `kind` (BSD `sysexits`).
public struct PipelineError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Int32, Sendable {
    /// An argument that makes no sense (`EX_USAGE`).
    case usage = 64
    /// A file that can be read but does not hold what it should (`EX_DATAERR`).
    case badData = 65
    /// A file or folder that is missing or cannot be opened (`EX_NOINPUT`).
    case noInput = 66
    /// A file or folder that cannot be created (`EX_CANTCREAT`).
    case cannotCreate = 73
    /// Reading or writing failed half-way, for example on a full disk (`EX_IOERR`).
    case inputOutput = 74
  }

  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }
}
