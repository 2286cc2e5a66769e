import Basics
import Foundation

/// A safetensors file that is not finished, and the record of what in it is safe: the disk's side of ``SafeTensorsWriter``.
final class SafeTensorsPartial {
  /// Where the data begin in the file.
  let dataStart: Int
  /// Bytes of data that an earlier run has left, which end with a tensor.
  let kept: Int

  private let url: URL
  private let descriptor: Int32
  /// A hash of the header.
  private let header: String

  private static func partial(_ url: URL) -> String { url.path + ".partial" }
  private static func progress(_ url: URL) -> URL { URL(filePath: url.path + ".progress") }

  /// Begins or continues the file; there is no other that does as long as this lives.
  /// - Parameter ends: where each tensor ends, in bytes behind the header.
  init(of url: URL, header: Data, ends: [Int]) throws(PipelineError) {
    (self.url, dataStart) = (url, header.count)
    var hash = FNV1a()
    hash.combine(header)
    self.header = hash.hexadecimal
    descriptor = try Self.lock(url)
    do throws(PipelineError) {
      kept = try Self.begin(url, descriptor, header: header, hash: hash.hexadecimal, ends: ends)
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  // MARK: Beginning

  private static func lock(_ url: URL) throws(PipelineError) -> Int32 {
    let path = partial(url)
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw PipelineError(.cannotCreate, "cannot write \(path): \(AtomicFile.lastSystemError())")
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let reason = errno == EWOULDBLOCK ? "another run is writing it: wait for its end" : AtomicFile.lastSystemError()
        close(descriptor)
        throw PipelineError(.cannotCreate, "cannot write \(url.path): \(reason)")
      }
      // Whoever had the lock may have renamed the file since it was opened.
      var (opened, named) = (stat(), stat())
      if fstat(descriptor, &opened) == 0, stat(path, &named) == 0, opened.st_ino == named.st_ino,
        opened.st_dev == named.st_dev
      {
        return descriptor
      }
      close(descriptor)
    }
  }

  /// - Returns: bytes of data that are kept.
  private static func begin(
    _ url: URL, _ descriptor: Int32, header: Data, hash: String, ends: [Int]
  ) throws(PipelineError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(url) }
    var kept: Int?
    if startsWith(header, descriptor), let safe = safeByteCount(url, hash) {
      let present = min(safe, Int(status.st_size) - header.count)
      kept = ends.last { $0 <= present } ?? 0
    }
    let size = header.count + (ends.last ?? 0)
    let free = freeByteCount(url) + Int(status.st_blocks) * 512
    guard size <= free else {
      // What an earlier run has left stays, an empty file does not.
      if status.st_size == 0 { unlink(partial(url)) }
      let sizes = "it takes \(gigabytes(size)), and there is room for \(gigabytes(free))"
      throw PipelineError(.cannotCreate, "cannot write \(url.path): \(sizes): make room, or write it elsewhere")
    }
    AtomicFile.removeLeftovers(of: progress(url))
    if kept == nil {
      // The record must be gone for good before there is anything that it could be taken for.
      if unlink(progress(url).path) == 0 { try AtomicFile.sync(url.deletingLastPathComponent()) }
      guard ftruncate(descriptor, 0) == 0, header.withUnsafeBytes({ AtomicFile.write($0, at: 0, to: descriptor) })
      else {
        throw failure(url)
      }
    } else if ftruncate(descriptor, off_t(header.count + (kept ?? 0))) != 0 {
      throw failure(url)
    }
    return kept ?? 0
  }

  private static func startsWith(_ header: Data, _ descriptor: Int32) -> Bool {
    var start = Data(count: header.count)
    return start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) } == header.count
      && start == header
  }

  /// What the record says of a file with such a header.
  private static func safeByteCount(_ url: URL, _ hash: String) -> Int? {
    guard let record = try? InputFile.contents(of: progress(url), maximumByteCount: 64) else { return nil }
    let fields = String(decoding: record, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard fields.count == 2, fields[0] == hash, let count = Int(fields[1]), count >= 0 else { return nil }
    return count
  }

  /// Bytes that the disk has left for this user; very many where it does not say.
  private static func freeByteCount(_ url: URL) -> Int {
    var disk = statvfs()
    guard statvfs(url.deletingLastPathComponent().path, &disk) == 0, disk.f_blocks > 0 else { return Int.max / 2 }
    let (count, overflow) = Int(clamping: disk.f_bavail).multipliedReportingOverflow(by: Int(clamping: disk.f_frsize))
    return overflow ? Int.max / 2 : min(count, Int.max / 2)
  }

  private static func gigabytes(_ byteCount: Int) -> String { String(format: "%.1f GB", Double(byteCount) / 1e9) }

  private static func failure(_ url: URL) -> PipelineError {
    PipelineError(.inputOutput, "writing \(partial(url)) failed: \(AtomicFile.lastSystemError())")
  }

  // MARK: Writing

  /// - Parameter offset: behind the header.
  /// - Returns: whether all was written.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    AtomicFile.write(bytes, at: dataStart + offset, to: descriptor)
  }

  /// - Returns: whether all that was written would survive a loss of power.
  func sync() -> Bool {
    #if os(Linux)
      fdatasync(descriptor) == 0
    #else
      fsync(descriptor) == 0
    #endif
  }

  /// Says that the first `byteCount` bytes of data are safe, once they are.
  func record(_ byteCount: Int) throws(PipelineError) {
    try AtomicFile.write(Data("\(header) \(byteCount)\n".utf8), to: Self.progress(url))
  }

  /// Renames the file, which is synced.
  func finish() throws(PipelineError) {
    guard rename(Self.partial(url), url.path) == 0 else {
      throw PipelineError(.cannotCreate, "cannot replace \(url.path): \(AtomicFile.lastSystemError())")
    }
    try AtomicFile.sync(url.deletingLastPathComponent())
    unlink(Self.progress(url).path)
  }
}
