import Foundation
import Synchronization
import Testing

@testable import Basics
@testable import TensorCore

struct BufferPoolTests {
  @Test func sizeClassesWasteAtMostAnEighth() {
    for size in Array(1...5000) + [1 << 20, 1 << 20 + 1, 12_345_678] {
      let held = BufferPool.sizeClass(size)
      #expect(held >= size)
      #expect(held <= max(256, size + size / 8))
      #expect(BufferPool.sizeClass(held) == held)
    }
  }

  @Test func freedMemoryIsUsedAgain() {
    let pool = BufferPool()
    let first = pool.take(4096)
    let second = pool.take(4096)
    #expect(first != second)
    #expect(UInt(bitPattern: first) % 64 == 0)
    pool.give(first, size: 4096)
    let larger = pool.take(8192)
    #expect(larger != first)
    #expect(pool.take(4096) == first)
    let third = pool.take(4096)
    #expect(third != second)
    // All of it is the system's again when the pool ends.
    for buffer in [first, second, third] { pool.give(buffer, size: 4096) }
    pool.give(larger, size: 8192)
  }

  @Test func tensorsTakeTheMemoryOfFreedOnes() {
    // An odd size, so that no other test's tensor takes the buffer meanwhile; a test may change threads only where it
    // waits.
    func addressOfANewOne() -> UInt { UInt(bitPattern: Tensor(uninitialized: [777, 1013]).pointer) }
    let first = addressOfANewOne()
    #expect((0..<5).allSatisfy { _ in addressOfANewOne() == first })
  }

  /// A buffer that another thread frees goes back to where it came from.
  @Test func buffersGoHome() throws {
    let team = try ThreadTeam(count: 2)
    let made = Mutex<[Tensor]>([])
    let addresses = Mutex<[UInt]>([])
    for _ in 0..<4 {
      team.run { thread in
        if thread == 1 {
          let tensor = Tensor(uninitialized: [555, 1019])
          addresses.withLock { $0.append(UInt(bitPattern: tensor.pointer)) }
          made.withLock { $0.append(tensor) }
        }
      }
      team.run { thread in
        if thread == 0 { made.withLock { $0.removeAll() } }
      }
    }
    #expect(Set(addresses.withLock { $0 }).count == 1)
  }
}
