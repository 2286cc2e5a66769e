import Basics
import Foundation

/// A save of a checkpoint: all of its files appear together, or none does.
///
/// The files are written into a folder of the save's own inside the checkpoint, then a marker `commit` beside them, and only
/// then are they moved to their names. A save without a marker never was; one with a marker is finished by whoever opens the
/// checkpoint next (``Checkpoint/finishSave()``), so that a kill at any moment leaves the save before or this one.
private struct CheckpointSave {
  static let prefix = ".save-"

  /// What is done besides moving the files.
  private struct Commit: Codable {
    /// Names of files that the save has no use for.
    var removed: [String]
  }

  let checkpoint: Checkpoint
  let folder: URL

  private var marker: URL { folder.appendingPathComponent("commit") }
  /// What takes the place of the checkpoint's folder `previous`, where something does.
  private var previous: URL { folder.appendingPathComponent("previous") }
  var isCommitted: Bool { checkpoint.exists(marker) }

  /// Begins one.
  init(of checkpoint: Checkpoint) throws(PipelineError) {
    self.checkpoint = checkpoint
    let name = "\(Self.prefix)\(getpid())-\(UInt64.random(in: 0 ... .max))"
    folder = checkpoint.url.appendingPathComponent(name)
    try AtomicFile.createDirectory(folder)
  }

  /// One that was begun.
  private init(_ folder: URL, of checkpoint: Checkpoint) { (self.folder, self.checkpoint) = (folder, checkpoint) }

  /// Those that lie in a checkpoint.
  static func all(of checkpoint: Checkpoint) -> [CheckpointSave] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoint.url.path)) ?? []
    return names.filter { $0.hasPrefix(prefix) }.sorted().map {
      CheckpointSave(checkpoint.url.appendingPathComponent($0), of: checkpoint)
    }
  }

  /// Makes all that the checkpoint holds now its folder `previous` when the save is committed. The files are linked, not
  /// copied, where the file system can: a later save puts new ones in their place and does not write into them.
  func setAside() throws(PipelineError) {
    let manager = FileManager.default
    do {
      try manager.createDirectory(at: previous, withIntermediateDirectories: false)
      for file in checkpoint.files where checkpoint.exists(file) {
        let place = previous.appendingPathComponent(file.lastPathComponent)
        do { try manager.linkItem(at: file, to: place) } catch { try manager.copyItem(at: file, to: place) }
      }
    } catch {
      throw PipelineError(
        .inputOutput,
        "cannot copy the old checkpoint to \(checkpoint.previousFolder.path): is the disk full? Nothing was changed")
    }
  }

  /// - Parameter removed: files that go, where the save has none of their names.
  func commit(removing removed: [URL]) throws(PipelineError) {
    let staged = Set(try names())
    let commit = Commit(removed: removed.map(\.lastPathComponent).filter { !staged.contains($0) })
    guard let json = try? JSONEncoder().encode(commit) else {
      throw PipelineError(.inputOutput, "cannot describe the save of \(checkpoint.url.path)")
    }
    try AtomicFile.sync(folder)
    try AtomicFile.write(json, to: marker)
    try AtomicFile.sync(folder)
  }

  /// Moves the files of a committed save to their names. May be done again from the beginning at any point.
  func finish() throws(PipelineError) {
    let json = try InputFile.contents(of: marker, maximumByteCount: 1 << 20)
    guard let commit = try? JSONDecoder().decode(Commit.self, from: json) else {
      throw PipelineError(.badData, "\(marker.path) is damaged: remove the folder to go back to the save before")
    }
    let manager = FileManager.default
    do {
      if checkpoint.exists(previous) {
        if checkpoint.exists(checkpoint.previousFolder) { try manager.removeItem(at: checkpoint.previousFolder) }
        try manager.moveItem(at: previous, to: checkpoint.previousFolder)
      }
    } catch {
      throw PipelineError(.cannotCreate, "cannot set the old checkpoint aside in \(checkpoint.previousFolder.path)")
    }
    for name in try names() {
      let place = checkpoint.url.appendingPathComponent(name)
      guard rename(folder.appendingPathComponent(name).path, place.path) == 0 else {
        throw PipelineError(.cannotCreate, "cannot replace \(place.path): \(String(cString: strerror(errno)))")
      }
    }
    for name in commit.removed { try? manager.removeItem(at: checkpoint.url.appendingPathComponent(name)) }
    try AtomicFile.sync(checkpoint.url)
    discard()
  }

  /// Removes what is left of it, the marker first: what is removed in part is not to be finished.
  func discard() {
    try? FileManager.default.removeItem(at: marker)
    try? FileManager.default.removeItem(at: folder)
  }

  /// The files that it puts into the checkpoint.
  private func names() throws(PipelineError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { $0 != marker.lastPathComponent && $0 != previous.lastPathComponent }.sorted()
    } catch {
      throw PipelineError(.inputOutput, "cannot read \(folder.path)")
    }
  }
}

extension Checkpoint {
  /// Saves files together.
  /// - Parameters:
  ///   - settingAside: whether all that the checkpoint holds now becomes its folder `previous`.
  ///   - removed: files that the save has no use for.
  ///   - write: writes files of the checkpoint that it is given, which is the save's folder.
  /// - Throws: `PipelineError` where a file cannot be written; the checkpoint is then as it was.
  package func save(
    settingAside: Bool = false, removing removed: [URL] = [], _ write: (Checkpoint) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    let save = try CheckpointSave(of: self)
    do {
      try write(Checkpoint(save.folder))
      if settingAside { try save.setAside() }
      try save.commit(removing: removed)
    } catch {
      save.discard()
      throw error
    }
    try save.finish()
  }

  /// Finishes a save that was committed and not moved to its place when its writer was killed.
  ///
  /// Where a writer is at work it finishes its own, and is waited for.
  /// - Throws: `PipelineError` where the files cannot be moved.
  package func finishSave() throws(PipelineError) {
    for _ in 0..<500 {
      guard CheckpointSave.all(of: self).contains(where: \.isCommitted) else { return }
      if let lock = try? CheckpointLock(of: url) {
        return try withExtendedLifetime(lock) { () throws(PipelineError) in try finishSaves() }
      }
      usleep(10_000)
    }
  }

  /// Whoever holds the lock finishes what is committed and removes what is not.
  func finishSaves() throws(PipelineError) {
    for save in CheckpointSave.all(of: self) {
      if save.isCommitted { try save.finish() } else { save.discard() }
    }
  }
}

/// The right to write to a checkpoint, which one process at a time has. It ends with the process, however that ends.
package final class CheckpointLock: Sendable {
  private let descriptor: Int32

  /// - Throws: `PipelineError` of kind `.cannotCreate` where somebody else has it or the folder takes no file.
  package init(of folder: URL) throws(PipelineError) {
    // Closed by `deinit` where there is a lock, and only there.
    let descriptor = try Self.open(folder)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw PipelineError(
        .cannotCreate, "another run is writing to \(folder.path): wait for its end, or name another `checkpoint`")
    }
    self.descriptor = descriptor
  }

  private static func open(_ folder: URL) throws(PipelineError) -> Int32 {
    let file = folder.appendingPathComponent(".lock")
    let descriptor = Foundation.open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw PipelineError(.cannotCreate, "cannot write \(file.path): \(String(cString: strerror(errno)))")
    }
    return descriptor
  }

  deinit { close(descriptor) }
}
