import Foundation

/// Reading of files that somebody else wrote.
public enum InputFile {
  /// The whole file.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing, a folder, or not readable, `.badData` where it
  ///   is larger than `maximumByteCount`, and `.inputOutput` where reading fails half-way.
  public static func contents(of url: URL, maximumByteCount: Int) throws(PipelineError) -> Data {
    let file = try OpenFile(url)
    guard file.byteCount <= maximumByteCount else {
      throw PipelineError(.badData, "\(url.path): \(file.byteCount) bytes; at most \(maximumByteCount) are read")
    }
    return try file.contents(at: 0, byteCount: file.byteCount)
  }

  /// The whole file, mapped: its bytes are read when they are looked at.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing, a folder, or not readable.
  public static func mapped(_ url: URL) throws(PipelineError) -> Data { try OpenFile(url).mapped().data }

  /// `byteCount` bytes from `offset` on.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, and `.inputOutput` where it does not have
  ///   them or reading fails.
  public static func contents(of url: URL, offset: Int, byteCount: Int) throws(PipelineError) -> Data {
    try OpenFile(url).contents(at: offset, byteCount: byteCount)
  }

  /// The first bytes, `byteCount` of them where there are so many.
  /// - Throws: `PipelineError` of kind `.noInput` where the file is missing or not a regular file.
  public static func head(of url: URL, byteCount: Int) throws(PipelineError) -> Data {
    let file = try OpenFile(url)
    return try file.contents(at: 0, byteCount: min(byteCount, file.byteCount))
  }

  /// The size of a regular file.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing or not a regular file.
  public static func byteCount(of url: URL) throws(PipelineError) -> Int {
    var status = stat()
    guard stat(url.path, &status) == 0 else { throw cannotRead(url.path) }
    return try byteCount(status, path: url.path)
  }

  fileprivate static func byteCount(_ status: stat, path: String) throws(PipelineError) -> Int {
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a device or pipe"
      throw PipelineError(.noInput, "cannot read \(path): it is \(kind), not a file")
    }
    return Int(status.st_size)
  }

  fileprivate static func cannotRead(_ path: String) -> PipelineError {
    PipelineError(.noInput, "cannot read \(path): \(AtomicFile.lastSystemError())")
  }
}

/// A file that is open for reading: all that is read is of one file, whatever its name means in the meantime.
public final class OpenFile: Sendable {
  public let path: String
  /// The size when it was opened.
  public let byteCount: Int
  private let descriptor: Int32

  /// - Throws: `PipelineError` of kind `.noInput` where it is missing, not a regular file, or not readable.
  public init(_ url: URL) throws(PipelineError) {
    path = url.path
    // A pipe that nobody writes to is not waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw InputFile.cannotRead(path) }
    do throws(PipelineError) {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw InputFile.cannotRead(path) }
      byteCount = try InputFile.byteCount(status, path: path)
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Fills `buffer` with the bytes from `offset` on; several threads may read at once.
  /// - Throws: `PipelineError` of kind `.inputOutput` where the file ends early or reading fails.
  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(PipelineError) {
    var done = 0
    while let start = buffer.baseAddress, done < buffer.count {
      let count = pread(descriptor, start + done, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let reason = count < 0 ? ": \(AtomicFile.lastSystemError())" : ""
        throw PipelineError(.inputOutput, "\(path): reading stopped after \(done) of \(buffer.count) bytes\(reason)")
      }
      done += count
    }
  }

  /// `byteCount` bytes from `offset` on.
  /// - Throws: `PipelineError` of kind `.inputOutput` where the file does not have them or reading fails.
  public func contents(at offset: Int, byteCount: Int) throws(PipelineError) -> Data {
    // What tells where something stands may be of another file, or damaged: no memory is taken on its word.
    guard offset >= 0, byteCount >= 0, byteCount <= self.byteCount - offset else {
      throw PipelineError(
        .inputOutput, "\(path) has \(self.byteCount) bytes, and not \(byteCount) from byte \(offset) on")
    }
    var data = Data(count: byteCount)
    // `withUnsafeMutableBytes` does not carry typed throws.
    let result: Result<Void, PipelineError> = data.withUnsafeMutableBytes { buffer in
      do throws(PipelineError) { return .success(try read(at: offset, into: buffer)) } catch { return .failure(error) }
    }
    try result.get()
    return data
  }

  /// Has the system read bytes into its cache that will be asked for, without waiting for them.
  package func willRead(at offset: Int, byteCount: Int) {
    #if os(Linux)
      posix_fadvise(descriptor, off_t(offset), off_t(byteCount), POSIX_FADV_WILLNEED)
    #endif
  }

  /// The whole file, mapped: its bytes are read when they are looked at.
  /// - Throws: `PipelineError` of kind `.noInput` where the file system cannot map.
  public func mapped() throws(PipelineError) -> MappedBytes {
    try MappedBytes(descriptor, byteCount: byteCount, path: path)
  }
}
