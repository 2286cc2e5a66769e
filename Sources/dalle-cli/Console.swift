import Foundation

/// Standard error for progress and notes, standard output for results.
enum Console {
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1

  /// One line on standard error.
  static func line(_ text: String) {
    LiveLine.clear()
    FileHandle.standardError.write(Data((text.replacing("\n", with: " ") + "\n").utf8))
  }

  static func note(_ text: String) { line("note: \(text)") }

  /// One line on standard output.
  static func result(_ text: String) {
    LiveLine.clear()
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
  }

  /// One JSON object on standard output.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    result(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}

/// A line that changes in place on a terminal; elsewhere a plain line every few seconds.
enum LiveLine {
  private struct State {
    var isShown = false
    var last: Date?
  }

  nonisolated(unsafe) private static var state = State()
  private static let lock = NSLock()

  private static let interval = 5.0
  private static let terminalInterval = 0.1

  /// - Parameter always: shows it now, however short ago the last one was.
  static func show(_ text: @autoclosure () -> String, always: Bool = false) {
    lock.withLock {
      let now = Date()
      let wait = Console.errorIsTerminal ? terminalInterval : interval
      if !always, let last = state.last, now.timeIntervalSince(last) < wait { return }
      state.last = now
      let output = Console.errorIsTerminal ? "\r\u{1B}[K\(text())" : "\(text())\n"
      state.isShown = Console.errorIsTerminal
      FileHandle.standardError.write(Data(output.utf8))
    }
  }

  static func clear() {
    lock.withLock {
      guard state.isShown else { return }
      state.isShown = false
      FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
    }
  }
}

/// SIGINT and SIGTERM as a question that a training run asks after each step.
enum StopSignal {
  nonisolated(unsafe) private static var count: sig_atomic_t = 0

  /// From now on the first signal asks for a save and an end; a second one ends the process at once.
  static func install() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        StopSignal.count += 1
        if StopSignal.count > 1 { _exit(128 + number) }
      }
    }
  }

  static var wasReceived: Bool { count > 0 }
}

/// A duration in words: "42 s", "3 min 20 s", "1 h 05 min".
func described(seconds: Double) -> String {
  let total = Int(min(max(seconds, 0), 1e9).rounded())
  if total < 60 { return "\(total) s" }
  if total < 3600 { return String(format: "%d min %02d s", total / 60, total % 60) }
  return String(format: "%d h %02d min", total / 3600, total % 3600 / 60)
}
