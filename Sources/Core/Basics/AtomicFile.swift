import Foundation

/// Files that are either wholly there or not there at all.
public enum AtomicFile {
  /// Writes `chunks` one after the other to a temporary name beside `url`, syncs, and renames it over `url`.
  ///
  /// A kill at any moment leaves the old file or the new one. On failure the temporary file is removed.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where the folder does not take a new file, and
  ///   `.inputOutput` where writing fails half-way (a full disk).
  public static func write(_ chunks: some Sequence<UnsafeRawBufferPointer>, to url: URL) throws(PipelineError) {
    let path = url.path
    let temporary = path + ".\(getpid()).partial"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw PipelineError(.cannotCreate, "cannot write \(path): \(lastSystemError())")
    }
    func abandon() -> PipelineError {
      let error = PipelineError(.inputOutput, "writing \(path) failed: \(lastSystemError()); nothing was changed")
      close(descriptor)
      unlink(temporary)
      return error
    }
    var offset = 0
    for chunk in chunks {
      guard write(chunk, at: offset, to: descriptor) else { throw abandon() }
      offset += chunk.count
    }
    guard fsync(descriptor) == 0 else { throw abandon() }
    close(descriptor)
    guard rename(temporary, path) == 0 else {
      let error = PipelineError(.cannotCreate, "cannot replace \(path): \(lastSystemError())")
      unlink(temporary)
      throw error
    }
  }

  /// Writes bytes to a place in an open file.
  /// - Returns: whether all were written; `errno` says why not.
  package static func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, to descriptor: Int32) -> Bool {
    var done = 0
    while let base = bytes.baseAddress, done < bytes.count {
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// Writes one block of bytes; see ``write(_:to:)-(Sequence<UnsafeRawBufferPointer>,_)``.
  public static func write(_ data: Data, to url: URL) throws(PipelineError) {
    // `withUnsafeBytes` does not carry typed throws.
    let result: Result<Void, PipelineError> = data.withUnsafeBytes { bytes in
      do throws(PipelineError) { return .success(try write([bytes], to: url)) } catch { return .failure(error) }
    }
    try result.get()
  }

  /// Creates a folder and the folders above it.
  /// - Throws: `PipelineError` of kind `.cannotCreate`.
  public static func createDirectory(_ url: URL) throws(PipelineError) {
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      // Foundation has made other calls since the one that failed.
      let cause = ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError)?.code
      let why = cause.map { String(cString: strerror(Int32($0))) } ?? error.localizedDescription
      throw PipelineError(.cannotCreate, "cannot create the folder \(url.path): \(why)")
    }
  }

  package static func isLink(_ url: URL) -> Bool {
    var status = stat()
    return lstat(url.path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// What a link leads to, be it there or not, so that the link stays where that is replaced; `url` itself where it is none.
  package static func target(of url: URL) -> URL {
    var url = url
    // As many as the system follows.
    for _ in 0..<40 {
      guard isLink(url), let next = try? FileManager.default.destinationOfSymbolicLink(atPath: url.path) else { break }
      url =
        URL(fileURLWithPath: next, relativeTo: url.deletingLastPathComponent().resolvingSymlinksInPath())
        .standardizedFileURL
    }
    return url
  }

  /// Removes what processes that were killed amidst writing a file or making a folder have left beside it.
  /// - Parameter url: the file or folder that they wrote.
  public static func removeLeftovers(of url: URL) {
    let (parent, manager) = (url.deletingLastPathComponent(), FileManager.default)
    for name in (try? manager.contentsOfDirectory(atPath: parent.path)) ?? [] {
      guard let (whole, process) = partOf(name),
        [url.lastPathComponent, "." + url.lastPathComponent].contains(whole)
      else { continue }
      if kill(process, 0) != 0 && errno == ESRCH { try? manager.removeItem(at: parent.appendingPathComponent(name)) }
    }
  }

  /// Removes from a folder what any process has left half-written. The caller sees to it that none is writing there.
  package static func removeLeftovers(in folder: URL) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] where partOf(name) != nil {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
  }

  /// The name that a file or folder gets once it is whole, and who writes it: see
  /// ``write(_:to:)-(Sequence<UnsafeRawBufferPointer>,_)`` and ``AtomicFolder``.
  /// - Returns: nil for the name of what others have made.
  private static func partOf(_ name: String) -> (whole: String, process: pid_t)? {
    guard name.hasSuffix(".partial") else { return nil }
    let stem = name.dropLast(".partial".count)
    guard let dot = stem.lastIndex(of: "."), let process = pid_t(stem[stem.index(after: dot)...]), process > 0 else {
      return nil
    }
    return (String(stem[..<dot]), process)
  }

  /// Makes sure that names that were made or changed in a folder survive a loss of power.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where the folder is lost, as when a file is written to it, `.inputOutput` where
  ///   syncing fails.
  public static func sync(_ folder: URL) throws(PipelineError) {
    let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw PipelineError(.cannotCreate, "cannot sync the folder \(folder.path): \(lastSystemError())")
    }
    defer { close(descriptor) }
    // Not every file system knows how to sync a folder.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw PipelineError(.inputOutput, "cannot sync the folder \(folder.path): \(lastSystemError())")
    }
  }

  /// The C library's words for `errno`.
  package static func lastSystemError() -> String { String(cString: strerror(errno)) }
}
