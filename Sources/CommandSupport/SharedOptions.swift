import ArgumentParser
import Basics
import Checkpoints
import Foundation

/// How many threads a command uses.
package struct ThreadOptions: ParsableArguments {
  // Numbers are parsed unconditionally, so that -3 is a wrong number and not a missing one.
  @Option(parsing: .unconditional, help: "Threads to use; all cores unless given.")
  package var threads: Int?

  package init() {}

  package func count() throws(PipelineError) -> Int {
    let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
    guard (1...ThreadTeam.maximumCount).contains(count) else {
      throw PipelineError(.usage, "--threads must be 1 to \(ThreadTeam.maximumCount), not \(count)")
    }
    return count
  }
}

/// Which checkpoint a command works on.
package struct CheckpointOptions: ParsableArguments {
  @Option(
    name: .customLong("checkpoint"),
    help: """
      The model: a folder under checkpoints/, or a path. Unless given, training writes checkpoints/local, and all else takes \
      that where it is complete, or else the bundled checkpoints/emoji.
      """,
    completion: .shellCommand("ls checkpoints 2>/dev/null"))
  package var name: String?

  package init() {}

  package func validate() throws {
    if name?.isEmpty ?? false { throw ValidationError("--checkpoint names nothing") }
  }

  /// The checkpoint that training writes: checkpoints/local unless named.
  package func forTraining() -> Checkpoint { Checkpoint(Self.folder(named: name ?? "local")) }

  /// The checkpoint to read: the one named, else checkpoints/local where what is needed is there, else the bundled
  /// one. What was taken without being named is said.
  package func forReading(needing isThere: (Checkpoint) -> Bool) throws(PipelineError) -> Checkpoint {
    if let name { return Self.existing(named: name) ?? Checkpoint(Self.folder(named: name)) }
    let local = Checkpoint(Self.folder(named: "local"))
    let here = Checkpoint(Self.folder(named: "emoji"))
    let bundled =
      NamedFile.exists(here.url) ? here : Checkpoint(NamedFile.besideTheProgram("emoji", in: "checkpoints") ?? here.url)
    guard let found = [local, bundled].first(where: isThere) else {
      throw PipelineError(
        .noInput,
        "there is no checkpoint in checkpoints/local or checkpoints/emoji to take; make one with dalle-cli "
          + "train-tokenizer and train-prior, or name another with --checkpoint")
    }
    Console.note("using the checkpoint \(found.url.relativePath)")
    return found
  }

  /// - Returns: nil where there is none of that name.
  package static func existing(named name: String) -> Checkpoint? {
    let named = folder(named: name)
    return (NamedFile.exists(named) ? named : NamedFile.besideTheProgram(name, in: "checkpoints")).map {
      Checkpoint($0)
    }
  }

  /// Where other checkpoints may lie than one that is taken: beside it, where that is a folder `checkpoints`, else in the one here.
  package static func othersFolder(beside checkpoint: URL) -> URL {
    let parent = checkpoint.standardizedFileURL.deletingLastPathComponent()
    return parent.lastPathComponent == "checkpoints" ? parent : URL(fileURLWithPath: "checkpoints")
  }

  private static func folder(named name: String) -> URL {
    NamedFile.path(name) ?? URL(fileURLWithPath: "checkpoints").appendingPathComponent(name)
  }
}
