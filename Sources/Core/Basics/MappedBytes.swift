import Foundation

/// Bytes of a file where the kernel has mapped them: read when they are looked at, without a copy. They stay where they
/// are as long as this lives.
///
/// A file that somebody cuts off while it is mapped ends the process when the missing bytes are looked at; files that
/// are replaced by a rename, as ``AtomicFile`` does, stay as they were.
public final class MappedBytes: @unchecked Sendable {
  public let pointer: UnsafeRawPointer
  public let byteCount: Int
  /// What this is a part of, and what unmaps it; nil for the whole.
  private let whole: MappedBytes?
  private let isOfFile: Bool

  /// - Parameter byteCount: what is mapped of the file, from its first byte on.
  /// - Throws: `PipelineError` of kind `.noInput` where the file system cannot map.
  init(_ descriptor: Int32, byteCount: Int, path: String) throws(PipelineError) {
    (self.byteCount, whole, isOfFile) = (byteCount, nil, true)
    // Nothing can be mapped of no bytes.
    if byteCount == 0 {
      pointer = UnsafeRawPointer(bitPattern: HugePages.size)!
      return
    }
    guard let start = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else {
      throw PipelineError(.noInput, "cannot map \(path): \(AtomicFile.lastSystemError())")
    }
    pointer = UnsafeRawPointer(start)
    // Where the file system keeps a file in huge pages, as ext4 does from Linux 6.16 on, they are read and mapped as such.
    // Other advice made nothing faster, and MADV_SEQUENTIAL made first reading slower.
    HugePages.advise(start, byteCount: byteCount)
  }

  /// Memory of no file, which `fill` writes, in huge pages where there are some.
  package init(byteCount: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) {
    (self.byteCount, whole, isOfFile) = (byteCount, nil, false)
    guard
      let start = mmap(nil, max(1, byteCount), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      start != MAP_FAILED
    else { fatalError("out of memory: \(byteCount) bytes asked for") }
    HugePages.advise(start, byteCount: byteCount)
    fill(UnsafeMutableRawBufferPointer(start: start, count: byteCount))
    pointer = UnsafeRawPointer(start)
  }

  private init(pointer: UnsafeRawPointer, byteCount: Int, of whole: MappedBytes) {
    (self.pointer, self.byteCount, self.whole, isOfFile) = (pointer, byteCount, whole, whole.isOfFile)
  }

  deinit {
    if whole == nil, byteCount > 0 { munmap(UnsafeMutableRawPointer(mutating: pointer), byteCount) }
  }

  /// A part, in bytes from the beginning.
  public subscript(range: Range<Int>) -> MappedBytes {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    return MappedBytes(pointer: pointer + range.lowerBound, byteCount: range.count, of: whole ?? self)
  }

  /// Has the system forget which pages of a file were looked at: they stay in its cache and count no more as this process's memory.
  package func release() {
    // Memory of no file would be lost.
    guard isOfFile else { return }
    let page = Int(getpagesize())
    let start = Int(bitPattern: pointer) / page * page
    // A part that is no whole page is looked at again.
    let end = Int(bitPattern: pointer) + byteCount
    if end > start { madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_DONTNEED) }
  }

  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: pointer, count: byteCount)) }
  }

  /// The same bytes as data, without a copy.
  public var data: Data {
    if byteCount == 0 { return Data() }
    return Data(
      bytesNoCopy: UnsafeMutableRawPointer(mutating: pointer), count: byteCount,
      deallocator: .custom { _, _ in withExtendedLifetime(self) {} })
  }
}
