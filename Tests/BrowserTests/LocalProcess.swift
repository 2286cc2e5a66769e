import Foundation
import TestSupport
import Testing

/// A program that runs beside the tests, and is gone when the last reference to it is.
final class LocalProcess: Sendable {
  private let process = Process()
  private let folder: TemporaryFolder

  /// What it writes goes to files, so that no full pipe can stop it.
  init(_ program: URL, _ arguments: [String]) throws {
    folder = try TemporaryFolder()
    try folder.write("", to: "output")
    let output = try FileHandle(forWritingTo: folder.path("output"))
    process.executableURL = program
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var isRunning: Bool { process.isRunning }

  /// What it has written so far.
  var output: String { (try? folder.read("output")).map { String(decoding: $0, as: UTF8.self) } ?? "" }

  /// Asks it to end, and waits until it has.
  /// - Returns: its exit code.
  func terminate() async throws -> Int32 {
    process.terminate()
    try await until("the program ends") { [self] in !process.isRunning }
    return process.terminationStatus
  }
}

/// What did not come about.
struct Timeout: Error, CustomStringConvertible {
  let description: String
}

/// Waits until `condition` holds. Where other tests keep all threads busy, long.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
  guard try await holdsEventually(every: .milliseconds(10), condition) else {
    throw Timeout(description: "this did not come about: \(what)")
  }
}
