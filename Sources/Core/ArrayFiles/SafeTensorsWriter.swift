import Basics
import Foundation

/// Writes a large safetensors file tensor by tensor, its layout known beforehand, so that a run that was interrupted can be
/// continued.
///
/// The bytes go to `<name>.partial`, which ``finish()`` syncs and renames. After every 256 MB the file is synced, and
/// then `<name>.progress` says how many of its tensors are safe, and for which header: no more than that is believed, so
/// a kill or a loss of power costs at most what came after (256 MB, or the tensor that was being written where it is
/// larger). A run that ends in order, or by an error such as a full disk, records what it has and loses nothing but the
/// tensor that it was at.
///
/// A file is continued where its header is the same to the byte. Two sources of one layout have the same header, so what
/// tells them apart belongs into the metadata, such as ``PublishedTensors/fingerprint()``.
///
/// The data begin at a multiple of 64 bytes, and so does every tensor as long as the sizes of those before it are
/// multiples of 64: the format knows no gaps. One thread at a time may use a writer.
public final class SafeTensorsWriter {
  /// The first tensor that is to be appended: those before it are there. All of them are where this is their number.
  public let firstMissing: Int

  private let url: URL
  private let partial: SafeTensorsPartial
  /// Where each tensor ends, in bytes behind the header.
  private let ends: [Int]
  /// How often the file is synced, in bytes.
  private let syncInterval: Int
  /// What is not yet in the file, up to the next multiple of a huge page's size: where file systems keep files in huge
  /// pages, a block as large as that becomes one, and twice as fast to read by two cores once it is mapped.
  private let block: UnsafeMutableRawBufferPointer
  private var blockCount = 0
  /// Bytes of data that are in the file.
  private var written: Int
  /// The end of the last tensor that is known to be safe.
  private var recorded: Int
  /// Why nothing is certain that came after the last record: a disk that could not sync once may claim to later.
  private var syncFailure: PipelineError?

  private static let blockSize = 1 << 21

  /// Begins the file, or continues it.
  /// - Parameters:
  ///   - url: the file; what is there is replaced by ``finish()``.
  ///   - tensors: in the order of their data, with types in the format's words, such as "F32", "BF16", "U8".
  ///   - metadata: free text.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where the folder takes no file or not so large a one, and where
  ///   another run is writing the same file; `.inputOutput` where the disk fails.
  public convenience init(
    to url: URL, tensors: [(name: String, dtype: String, shape: [Int])], metadata: [String: String] = [:]
  ) throws(PipelineError) {
    try self.init(to: url, tensors: tensors, metadata: metadata, syncInterval: 256 << 20)
  }

  /// - Parameter syncInterval: in bytes.
  package init(
    to url: URL, tensors: [(name: String, dtype: String, shape: [Int])], metadata: [String: String], syncInterval: Int
  ) throws(PipelineError) {
    let header: Data
    do throws(SafeTensorsHeader.Fault) {
      (header, ends) = try SafeTensorsHeader.bytes(describing: tensors, metadata: metadata, alignment: 64)
    } catch { throw PipelineError(.cannotCreate, "cannot write \(url.path): \(error.description)") }
    partial = try SafeTensorsPartial(of: url, header: header, ends: ends)
    let kept = partial.kept
    (written, recorded) = (kept, kept)
    firstMissing = ends.firstIndex { $0 > kept } ?? ends.count
    (self.url, self.syncInterval) = (url, syncInterval)
    block = .allocate(byteCount: Self.blockSize, alignment: 4096)
  }

  deinit {
    try? writeBlock()
    try? record()
    block.deallocate()
  }

  /// Appends bytes, cut in any way, one tensor after the other from ``firstMissing`` on.
  /// - Throws: `PipelineError` of kind `.inputOutput` where the disk is full or fails. This writer is then of no more use;
  ///   another one continues.
  /// - Precondition: there are not more of them than the tensors take.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(PipelineError) {
    precondition(
      bytes.count <= (ends.last ?? 0) - written - blockCount, "more bytes than the tensors of \(url.path) take")
    var rest = bytes[...]
    while !rest.isEmpty {
      let place = (partial.dataStart + written) % Self.blockSize
      let part = rest.prefix(Self.blockSize - place - blockCount)
      UnsafeMutableRawBufferPointer(rebasing: block[blockCount...]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: part))
      blockCount += part.count
      rest = rest.dropFirst(part.count)
      if place + blockCount == Self.blockSize { try writeBlock() }
    }
    if written - recorded >= syncInterval { try record() }
  }

  /// Makes the file appear under its name.
  /// - Throws: `PipelineError` of kind `.inputOutput` where the disk is full or fails, `.cannotCreate` where the file
  ///   cannot be renamed.
  /// - Precondition: all tensors are there.
  public func finish() throws(PipelineError) {
    try writeBlock()
    precondition(written == ends.last ?? 0, "\((ends.last ?? 0) - written) bytes of \(url.path) are missing")
    try sync()
    try partial.finish()
    recorded = written
  }

  private func writeBlock() throws(PipelineError) {
    guard partial.write(UnsafeRawBufferPointer(rebasing: block[..<blockCount]), at: written) else { throw failure() }
    written += blockCount
    blockCount = 0
  }

  /// Syncs what is in the file and says which tensors are whole.
  private func record() throws(PipelineError) {
    guard let end = ends.last(where: { $0 <= written }), end > recorded else { return }
    try sync()
    try partial.record(end)
    recorded = end
  }

  private func sync() throws(PipelineError) {
    if syncFailure == nil, !partial.sync() { syncFailure = failure() }
    if let syncFailure { throw syncFailure }
  }

  private func failure() -> PipelineError {
    PipelineError(
      .inputOutput,
      "writing \(url.path) failed: \(AtomicFile.lastSystemError()); what is there is kept, so that it can be continued")
  }
}
