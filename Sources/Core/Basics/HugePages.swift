import Foundation

/// Memory in pages of two megabytes, which spare the address translation cache.
package enum HugePages {
  package static let size = 1 << 21

  /// Linux's MADV_HUGEPAGE, which the C library's overlay does not carry over.
  private static let advice: Int32 = 14

  /// Asks for them, where the memory is large enough and the system has some.
  package static func advise(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
    #if os(Linux)
      if byteCount >= size { madvise(memory, byteCount, advice) }
    #endif
  }
}
