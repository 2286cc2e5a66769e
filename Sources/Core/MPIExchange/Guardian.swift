#if MPI
  import Basics
  import Foundation

  /// The process that mpirun starts, which does nothing but start the rank proper and say what has ended it. Of itself a killed
  /// rank says nothing, and the others cannot: Open MPI ends those that exchange with it at once, within itself.
  enum Guardian {
    /// Set for the rank proper.
    private static let mark = "DALLE_GUARDED"

    /// So long the guardian stays after it has spoken, that the other ranks of the host see that it has.
    private static let farewell = 0.5

    static func isGuarded(_ environment: [String: String]) -> Bool { environment[mark] != nil }

    /// Starts this program once more, as the rank proper, and ends as that ends.
    /// - Parameters:
    ///   - environment: of this process.
    ///   - say: says a failure.
    /// - Throws: `PipelineError` of kind `.usage` where the system starts no process.
    static func run(
      _ environment: [String: String], say: @Sendable (PipelineError) -> Void
    ) throws(PipelineError) -> Never {
      // mpirun's signals go to the rank, too, which knows what to do. Handlers, unlike ignored signals, are not passed on to it.
      for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2] { signal(number) { _ in } }
      var process: pid_t = 0
      let variables = environment.merging([mark: "1"]) { $1 }.map { "\($0.key)=\($0.value)" }
      let code = withCStrings(CommandLine.arguments) { arguments in
        withCStrings(variables) { posix_spawn(&process, "/proc/self/exe", nil, nil, arguments, $0) }
      }
      guard code == 0 else { throw PipelineError(.usage, "cannot start a process: \(String(cString: strerror(code)))") }
      var status: Int32 = 0
      while waitpid(process, &status, 0) < 0 && errno == EINTR {}
      let signal = status & 0x7F
      guard signal != 0 else { _exit(status >> 8 & 0xFF) }
      // Those who asked it to end know why.
      guard ![SIGINT, SIGTERM, SIGHUP].contains(signal) else { _exit(128 + signal) }
      let name = String(cString: strsignal(signal))
      say(
        PipelineError(
          .inputOutput,
          "rank \(Launcher.rank(environment)) (process \(process) on \(ProcessInfo.processInfo.hostName)) was ended by signal \(signal) (\(name)); "
            + "all processes end. \(ProcessWatch.advice)"))
      Thread.sleep(forTimeInterval: farewell)
      _exit(128 + signal)
    }

    private static func withCStrings<Result>(
      _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
      let copies = strings.map { strdup($0) }
      defer { copies.forEach { free($0) } }
      return body(copies + [nil])
    }
  }
#endif
