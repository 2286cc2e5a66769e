import Foundation

/// Folders that are either wholly there or not there at all.
public enum AtomicFolder {
  /// Makes a folder under a hidden name beside `url`, has it filled, and renames it. A kill before that leaves at most the hidden
  /// folder, which the next one to make the same removes; a failure leaves nothing.
  /// - Parameters:
  ///   - url: the folder; it may be there where it is empty, or be a link to such a one, which stays.
  ///   - fill: puts what belongs there into the folder that it is given.
  /// - Returns: what `fill` returns.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where `url` holds files already or cannot be created, and what `fill`
  ///   throws.
  public static func make<Result>(
    _ url: URL, fill: (URL) throws(PipelineError) -> Result
  ) throws(PipelineError) -> Result {
    let manager = FileManager.default
    try requireEmpty(url)
    let url = AtomicFile.target(of: url)
    let parent = url.deletingLastPathComponent()
    try AtomicFile.createDirectory(parent)
    let partial = partial(of: url, process: getpid())
    AtomicFile.removeLeftovers(of: url)
    try? manager.removeItem(at: partial)
    // What cannot be replaced, such as a mount point, cannot be removed either; told before the work. `rename` makes it again.
    guard rmdir(url.path) == 0 || errno == ENOENT else {
      throw PipelineError(
        .cannotCreate,
        "\(url.path) cannot be replaced: \(AtomicFile.lastSystemError()); name another folder, or one in it")
    }
    try AtomicFile.createDirectory(partial)
    do throws(PipelineError) {
      let result = try fill(partial)
      // On an empty folder `rename` succeeds, on one that another process has filled meanwhile it does not.
      guard rename(partial.path, url.path) == 0 else {
        throw PipelineError(.cannotCreate, "cannot create \(url.path): \(AtomicFile.lastSystemError())")
      }
      return result
    } catch {
      try? manager.removeItem(at: partial)
      throw error
    }
  }

  /// Writes a file of a folder that is being filled. Without syncing each of thousands of files, which would take a minute: it is the
  /// folder that appears at once.
  /// - Throws: `PipelineError` of kind `.inputOutput`.
  package static func write(_ data: Data, to file: URL) throws(PipelineError) {
    do { try data.write(to: file) } catch {
      throw PipelineError(.inputOutput, "writing \(file.path) failed: \(error.localizedDescription)")
    }
  }

  /// What a process calls the folder until it is filled.
  package static func partial(of url: URL, process: pid_t) -> URL {
    let url = AtomicFile.target(of: url)
    return url.deletingLastPathComponent().appendingPathComponent(".\(url.lastPathComponent).\(process).partial")
  }

  /// Refuses a folder that cannot be made, before the work and not after it.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where `url` is a file, a folder that is not empty, or a link to nothing.
  public static func requireEmpty(_ url: URL) throws(PipelineError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      guard !AtomicFile.isLink(url) else {
        throw PipelineError(.cannotCreate, "\(url.path) is a link to nothing; name a folder")
      }
      return
    }
    guard isFolder.boolValue else {
      throw PipelineError(.cannotCreate, "\(url.path) is a file; name a folder")
    }
    if let content = try? FileManager.default.contentsOfDirectory(atPath: url.path), !content.isEmpty {
      throw PipelineError(.cannotCreate, "\(url.path) is not empty; remove it first, or name another folder")
    }
  }
}
