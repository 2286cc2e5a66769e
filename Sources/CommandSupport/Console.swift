import Basics
import Foundation
import Synchronization

/// Standard error for progress and notes, standard output for results. May be called from any thread.
package enum Console {
  package static let errorIsTerminal = isatty(STDERR_FILENO) == 1

  /// The line that changes in place on a terminal. The lock is held over each write, so that lines do not mix.
  private struct LiveLine {
    var isShown = false
    /// When it was shown last; elsewhere than on a terminal the first one comes after an interval, too.
    var last = ContinuousClock.now

    mutating func clear() {
      if isShown { write("\r\u{1B}[K", to: STDERR_FILENO) }
      isShown = false
    }
  }

  private static let liveLine = Mutex(LiveLine())

  /// One line on standard error.
  package static func line(_ text: String) {
    liveLine.withLock {
      $0.clear()
      write(text.singleLine + "\n", to: STDERR_FILENO)
    }
  }

  package static func note(_ text: String) { if isTalking.load(ordering: .relaxed) { line("note: \(text)") } }

  private static let isTalking = Atomic(true)

  /// Leaves notes and progress to another process.
  package static func leaveTalking() { isTalking.store(false, ordering: .relaxed) }

  /// How far long work is: a line that changes in place on a terminal, and elsewhere a plain line every few seconds.
  /// - Parameter isLast: shows it now, however short ago the last one was.
  package static func progress(_ text: @autoclosure () -> String, isLast: Bool = false) {
    guard isTalking.load(ordering: .relaxed) else { return }
    liveLine.withLock {
      let wait: Duration = errorIsTerminal ? .milliseconds(100) : .seconds(5)
      if !isLast && $0.last.duration(to: .now) < wait { return }
      $0.last = .now
      $0.isShown = errorIsTerminal
      write(errorIsTerminal ? "\r\u{1B}[K\(text().prefix(columns - 1))" : "\(text())\n", to: STDERR_FILENO)
    }
  }

  /// How wide the terminal is now: a line that is longer could not be cleared.
  private static var columns: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
  }

  /// One line on standard output.
  /// - Throws: `PipelineError` of kind `.inputOutput` where it cannot be written, but for a reader that has gone away.
  package static func result(_ text: String) throws(PipelineError) { try result(Data((text + "\n").utf8)) }

  /// Bytes on standard output, a picture's.
  /// - Throws: as ``result(_:)-(String)``.
  package static func result(_ bytes: Data) throws(PipelineError) {
    let error = liveLine.withLock {
      $0.clear()
      return write(bytes, to: STDOUT_FILENO)
    }
    if error != 0 && error != EPIPE {
      throw PipelineError(.inputOutput, "cannot write to standard output: \(String(cString: strerror(error)))")
    }
  }

  /// One JSON object on standard output.
  package static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try result(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// `FileHandle` would end the process where the other end of a pipe is closed.
  /// - Returns: 0 or the system's error number.
  @discardableResult
  private static func write(_ text: String, to descriptor: Int32) -> Int32 { write(Data(text.utf8), to: descriptor) }

  @discardableResult
  private static func write(_ bytes: Data, to descriptor: Int32) -> Int32 {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return errno }
      bytes = bytes.dropFirst(count)
    }
    return 0
  }
}

/// SIGINT and SIGTERM as a question that a training run asks after each step.
package enum StopSignal {
  private static let count = Atomic<Int>(0)
  private static let last = Atomic<Int32>(0)

  /// From now on the first signal asks for a save and an end; a second one ends the process at once.
  package static func install() {
    // Touched here, so that a signal does not find it being made.
    count.store(0, ordering: .relaxed)
    last.store(0, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        StopSignal.last.store(number, ordering: .relaxed)
        if StopSignal.count.add(1, ordering: .relaxed).newValue > 1 { _exit(128 + number) }
      }
    }
  }

  package static var wasReceived: Bool { exitCode != nil }

  /// What a process that a signal has ended exits with, as a shell has it: 130 for SIGINT, 143 for SIGTERM; nil where none came.
  package static var exitCode: Int32? {
    let number = last.load(ordering: .relaxed)
    return number == 0 ? nil : 128 + number
  }
}

/// A duration in words: "42 s", "3 min 20 s", "1 h 05 min".
package func described(seconds: Double) -> String {
  let total = seconds.isFinite ? Int(min(max(seconds, 0), 1e9).rounded()) : 0
  if total < 60 { return "\(total) s" }
  if total < 3600 { return String(format: "%d min %02d s", total / 60, total % 60) }
  return String(format: "%d h %02d min", total / 3600, total % 3600 / 60)
}
