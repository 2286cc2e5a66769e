import Foundation
import Imaging
import TestSupport
import Testing

/// The built program as a process of its own.
enum Program {
  /// Beside the test bundle, where the build puts both.
  static let url: URL = {
    let runner = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
    var folder = runner.resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/" {
      let candidate = folder.appendingPathComponent("dalle-cli")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
      folder.deleteLastPathComponent()
    }
    fatalError("dalle-cli is not beside \(runner.path)")
  }()

  /// Runs it to its end.
  /// - Parameters:
  ///   - prologue: shell commands that come before, such as a limit.
  ///   - launcher: a command, found by its name, that starts the program.
  static func run(
    _ arguments: [String], in folder: TemporaryFolder, prologue: String? = nil, launcher: [String] = []
  ) throws -> Outcome {
    try start(arguments, in: folder, prologue: prologue, launcher: launcher).outcome()
  }

  static func start(
    _ arguments: [String], in folder: TemporaryFolder, prologue: String? = nil, launcher: [String] = []
  ) throws -> RunningProgram {
    let script = "cd \"$0\"; \(prologue ?? ":"); exec \"$@\""
    return try RunningProgram(["/bin/sh", "-c", script, folder.url.path] + launcher + [url.path] + arguments)
  }
}

/// How a process ended, and what it wrote.
struct Outcome: CustomStringConvertible {
  /// The exit code, or the negative number of the signal that ended it.
  var status: Int32
  var output: String
  var errors: String

  var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
  var outputLines: [String] { output.split(separator: "\n").map(String.init) }
  var description: String { "status \(status)\nstdout: \(output)\nstderr: \(errors)" }

  /// Standard output as one JSON object.
  func json() throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
  }

  /// A success.
  func expectSuccess(sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(status == 0, "\(self)", sourceLocation: sourceLocation)
    #expect(!errorLines.contains { $0.hasPrefix("error: ") }, "\(self)", sourceLocation: sourceLocation)
  }

  /// A failure as a person should see it: nothing on stdout, the reason in one line at the end of stderr, and before it
  /// nothing but notes and progress.
  func expectFailure(_ code: Int32, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(status == code, "\(self)", sourceLocation: sourceLocation)
    #expect(output.isEmpty, "\(self)", sourceLocation: sourceLocation)
    let last = errorLines.last ?? ""
    #expect(last.hasPrefix("error: "), "\(self)", sourceLocation: sourceLocation)
    #expect(errorLines.count { $0.hasPrefix("error: ") } == 1, "\(self)", sourceLocation: sourceLocation)
    #expect(
      errorLines.dropLast().allSatisfy { line in
        // Of what takes longer than seconds, as anything does on a busy machine, its progress is told, too.
        ["note: ", "step ", "      "].contains(where: line.hasPrefix) || line.hasSuffix("%")
          || line.contains(#/^\d+ of \d+ /#)
      },
      "\(self)", sourceLocation: sourceLocation)
    for word in words { #expect(last.contains(word), "\(self)", sourceLocation: sourceLocation) }
  }
}

/// A process whose output goes to files, so that no full pipe can stop it.
final class RunningProgram {
  private let id: pid_t
  private let outputFile: URL
  private let errorFile: URL
  private var hasEnded = false

  init(_ command: [String]) throws {
    let name = UUID().uuidString
    outputFile = FileManager.default.temporaryDirectory.appendingPathComponent("\(name).out")
    errorFile = FileManager.default.temporaryDirectory.appendingPathComponent("\(name).err")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputFile.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errorFile.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    // A child that keeps the sockets of other tests' servers keeps their connections open. Closing what is none does nothing.
    for descriptor in 3..<512 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
    // The threads that tests run on have all signals blocked, which a new process would inherit.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var id: pid_t = 0
    let status = posix_spawn(&id, command[0], &actions, &attributes, &arguments, environ)
    try #require(status == 0, "cannot start \(command[0])")
    self.id = id
  }

  deinit { if !hasEnded { kill(id, SIGKILL) } }

  var outputSoFar: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }
  var errorsSoFar: String { (try? String(contentsOf: errorFile, encoding: .utf8)) ?? "" }

  func send(_ signal: Int32) { kill(id, signal) }

  /// Waits until `condition` holds.
  func wait(until condition: () -> Bool) throws {
    var patience = Patience()
    while !condition() {
      try #require(patience.isLeft() && kill(id, 0) == 0, "it did not come: \(errorsSoFar)")
      usleep(2000)
    }
  }

  /// - Parameter limit: a process that takes longer is killed: one that hangs fails its test instead of the whole run.
  func outcome(within limit: Duration = .seconds(180)) throws -> Outcome {
    var status: Int32 = 0
    var patience = Patience(limit)
    while waitpid(id, &status, WNOHANG) != id {
      if !patience.isLeft() { kill(id, SIGKILL) }
      usleep(2000)
    }
    hasEnded = true
    defer {
      try? FileManager.default.removeItem(at: outputFile)
      try? FileManager.default.removeItem(at: errorFile)
    }
    let signal = status & 0x7F
    return Outcome(
      status: signal == 0 ? (status >> 8) & 0xFF : -signal,
      output: String(decoding: try Data(contentsOf: outputFile), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errorFile), as: UTF8.self))
  }
}

extension TemporaryFolder {
  /// Sixteen pictures of squares, with captions beside them, in `name`.
  func writeSquares(_ name: String = "data") throws {
    let colors: [(String, Picture.Color)] = [
      ("red", .init(red: 220, green: 20, blue: 20)), ("green", .init(red: 20, green: 200, blue: 20)),
      ("blue", .init(red: 20, green: 20, blue: 220)), ("grey", .init(red: 128, green: 128, blue: 128)),
    ]
    for (word, color) in colors {
      for side in [8, 16, 24, 40] {
        var picture = Picture(width: 40 + side / 2, height: 44, color: .white)
        picture.paste(Picture(width: side, height: side, color: color), x: 2, y: (44 - side) / 2)
        try write(picture.pngData(), to: "\(name)/\(word)\(side).png")
        try write("a \(word) square\nsquare, \(word), size \(side)\n", to: "\(name)/\(word)\(side).txt")
      }
    }
  }
}

/// A folder with data and a checkpoint with both stages, `checkpoints/local`, which the tests copy and never change.
enum Trained {
  static let folder: Result<TemporaryFolder, any Error> = Result {
    let folder = try TemporaryFolder()
    try folder.writeSquares()
    for stage in ["train-tokenizer", "train-prior"] {
      let outcome = try Program.run(
        [stage, "data", "--preset", "tiny", "--batch-size", "4", "--steps", "4"], in: folder)
      try #require(outcome.status == 0, "\(outcome)")
    }
    // The runner ends without letting go of what is static.
    atexit { if case .success(let folder) = Trained.folder { try? FileManager.default.removeItem(at: folder.url) } }
    return folder
  }

  /// A copy that a test may damage.
  static func copy() throws -> TemporaryFolder {
    let copy = try TemporaryFolder()
    let manager = FileManager.default
    for name in ["data", "checkpoints"] {
      try manager.copyItem(at: try folder.get().path(name), to: copy.path(name))
    }
    return copy
  }
}

extension TemporaryFolder {
  /// Pictures of squares and bars, some of them held out, in `data`.
  func writeData(count: Int) throws {
    let colors: [(String, Picture.Color)] = [
      ("red", .init(red: 230, green: 30, blue: 30)), ("green", .init(red: 30, green: 190, blue: 60)),
      ("blue", .init(red: 20, green: 40, blue: 220)),
    ]
    var metadata = ""
    for i in 0..<count {
      let (name, color) = colors[i % colors.count]
      var picture = Picture(width: 16, height: 16, color: .white)
      picture.paste(Picture(width: i % 2 == 0 ? 6 : 2, height: 5 + i % 5, color: color), x: i % 7, y: i % 4)
      try write(picture.pngData(), to: "data/\(100 + i).png")
      let split = i % 4 == 3 ? "validation" : "train"
      let shape = i % 2 == 0 ? "square" : "bar"
      metadata += "{\"file_name\": \"\(100 + i).png\", \"text\": \"a \(name) \(shape)\", \"split\": \"\(split)\"}\n"
    }
    try write(metadata, to: "data/metadata.jsonl")
  }
}
