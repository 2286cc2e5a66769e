import Basics
import CKernels
import Foundation
import Synchronization

/// Freed buffers, kept by size class for the next tensor of about that size, so that a training step in its steady
/// state asks the system for nothing.
///
/// Each thread has a pool of its own, which keeps a core's working set in that core's cache. A buffer goes back to the
/// pool that it came from, whichever thread frees it, so no pool grows at another's expense.
final class BufferPool: Sendable {
  private let free = Mutex<[Int: [UInt]]>([:])

  deinit {
    for buffer in free.withLock({ $0.values.joined() }) { Foundation.free(UnsafeMutableRawPointer(bitPattern: buffer)) }
  }

  private static let pools: [BufferPool] = (0..<Int(CK_THREAD_SLOTS)).map { _ in BufferPool() }

  /// The calling thread's pool.
  static var current: BufferPool { pools[ck_thread_slot()] }

  /// The smallest of the sizes {8, 9, … 15}·2ᵏ, at least 256, that holds `byteCount`: at most an eighth is wasted.
  static func sizeClass(_ byteCount: Int) -> Int {
    if byteCount <= 256 { return 256 }
    let step = 1 << (Int.bitWidth - 1 - (byteCount - 1).leadingZeroBitCount - 3)
    return (byteCount + step - 1) / step * step
  }

  /// A buffer of `size` bytes (a size class), aligned to a cache line, with unspecified contents.
  func take(_ size: Int) -> UnsafeMutableRawPointer {
    let kept = free.withLock { $0[size]?.popLast() }
    if let kept, let pointer = UnsafeMutableRawPointer(bitPattern: kept) { return pointer }
    var pointer: UnsafeMutableRawPointer?
    // Large buffers begin on a huge page, which spares the address translation cache.
    let alignment = size >= HugePages.size ? HugePages.size : 64
    guard posix_memalign(&pointer, alignment, size) == 0, let pointer else {
      fatalError("out of memory: \(size) bytes asked for")
    }
    HugePages.advise(pointer, byteCount: size)
    return pointer
  }

  func give(_ pointer: UnsafeMutableRawPointer, size: Int) {
    free.withLock { $0[size, default: []].append(UInt(bitPattern: pointer)) }
  }
}

/// The memory behind one or more tensors.
package final class Storage: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  private let size: Int
  /// Nil where the memory is somebody else's.
  private let pool: BufferPool?
  /// Who keeps it where it is; nil for a pool's, and where it stays to the end of the process.
  private let owner: AnyObject?

  package init(byteCount: Int) {
    size = BufferPool.sizeClass(byteCount)
    let pool = BufferPool.current
    self.pool = pool
    owner = nil
    base = pool.take(size)
  }

  /// Memory that somebody else has made, and keeps.
  init(_ base: UnsafeMutableRawPointer, keptBy owner: AnyObject?) {
    (self.base, self.owner, size, pool) = (base, owner, 0, nil)
  }

  deinit { pool?.give(base, size: size) }
}
