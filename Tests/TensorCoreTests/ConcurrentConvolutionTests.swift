import Basics
import ModelTestSupport
import Synchronization
import TensorCore
import Testing

/// What a convolution keeps from its first use must be right whoever else makes one at the same time.
struct ConcurrentConvolutionTests {
  /// Every shape is new to all threads, and each thread goes through them in another order.
  @Test func firstUsesAtTheSameTime() throws {
    let team = try ThreadTeam(count: 4)
    let wrong = Mutex<[String]>([])
    let channels = [3, 5, 16, 32]
    team.run { thread in
      var random = Philox(seed: 1, stream: UInt64(thread))
      for shape in random.permutation(240) {
        let (C, O, stride, side) = (channels[shape % 4], 4 + 4 * (shape / 4 % 3), 1 + shape / 12 % 2, 5 + shape / 24)
        let x = Tensor.normal([1, side, 7, C], seed: 1, stream: 1).cast(to: .bfloat16)
        let w = Tensor.normal([O, 3, 3, C], seed: 1, stream: 2).cast(to: .bfloat16)
        func run(_ type: ElementType) -> Tensor {
          convolution(x.cast(to: type), weight: w.cast(to: type), stride: stride, padding: 1).cast(to: .float32)
        }
        let error = relativeError(run(.bfloat16), run(.float32))
        if !(error < 0x1p-7) {
          wrong.withLock { $0.append("\(C) to \(O) channels, stride \(stride), side \(side): \(error)") }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [])
  }
}
