import Foundation

/// Reading of files that somebody else wrote.
public enum InputFile {
  /// The whole file.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing, a folder, or not readable, `.badData` where it
  ///   is larger than `maximumByteCount`, and `.inputOutput` where reading fails half-way.
  public static func contents(of url: URL, maximumByteCount: Int) throws(PipelineError) -> Data {
    let size = try byteCount(of: url)
    guard size <= maximumByteCount else {
      throw PipelineError(.badData, "\(url.path): \(size) bytes; at most \(maximumByteCount) are read")
    }
    return try contents(of: url, offset: 0, byteCount: size)
  }

  /// The whole file, mapped: its bytes are read when they are looked at.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing, a folder, or not readable.
  public static func mapped(_ url: URL) throws(PipelineError) -> Data {
    // Nothing can be mapped of a file of no bytes.
    if try byteCount(of: url) == 0 { return Data() }
    do { return try Data(contentsOf: url, options: .alwaysMapped) } catch {
      throw PipelineError(.noInput, "cannot read \(url.path): \(error.localizedDescription)")
    }
  }

  /// `byteCount` bytes from `offset` on. The caller has compared both with the file's size.
  /// - Throws: `PipelineError` of kind `.noInput` where the file cannot be opened, and `.inputOutput` where it ends
  ///   early or reading fails.
  public static func contents(of url: URL, offset: Int, byteCount: Int) throws(PipelineError) -> Data {
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw cannotRead(url) }
    defer { close(descriptor) }
    var data = Data(count: byteCount)
    let readCount = data.withUnsafeMutableBytes { buffer in
      var done = 0
      while done < byteCount {
        let count = pread(descriptor, buffer.baseAddress! + done, byteCount - done, off_t(offset + done))
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { break }
        done += count
      }
      return done
    }
    guard readCount == byteCount else {
      throw PipelineError(.inputOutput, "\(url.path): reading stopped after \(readCount) of \(byteCount) bytes")
    }
    return data
  }

  /// The first bytes, `byteCount` of them where there are so many.
  /// - Throws: `PipelineError` of kind `.noInput` where the file is missing or not a regular file.
  public static func head(of url: URL, byteCount: Int) throws(PipelineError) -> Data {
    try contents(of: url, offset: 0, byteCount: min(byteCount, self.byteCount(of: url)))
  }

  /// The size of a regular file.
  /// - Throws: `PipelineError` of kind `.noInput` where it is missing or not a regular file.
  public static func byteCount(of url: URL) throws(PipelineError) -> Int {
    var status = stat()
    guard stat(url.path, &status) == 0 else { throw cannotRead(url) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a device or pipe"
      throw PipelineError(.noInput, "cannot read \(url.path): it is \(kind), not a file")
    }
    return Int(status.st_size)
  }

  private static func cannotRead(_ url: URL) -> PipelineError {
    PipelineError(.noInput, "cannot read \(url.path): \(String(cString: strerror(errno)))")
  }
}
