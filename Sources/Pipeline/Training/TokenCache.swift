import Datasets
import ImageTokenizers
import Generation
import Synchronization
import TensorCore

/// The image tokens of pictures, each encoded once where it is always the same.
final class TokenCache: Sendable {
  private let imageTokenizer: any ImageTokenizer
  private let isCaching: Bool
  private let known = Mutex<[Int: [Int32]]>([:])

  init(_ imageTokenizer: any ImageTokenizer, isCaching: Bool) {
    self.imageTokenizer = imageTokenizer
    self.isCaching = isCaching
  }

  func tokens(of batch: Batch, at position: Int) -> [Int32] {
    let index = batch.indices[position]
    if isCaching, let tokens = known.withLock({ $0[index] }) { return tokens }
    let side = imageTokenizer.pictureSize
    let size = side * side * 3
    let bytes = Array(batch.pixels[position * size..<(position + 1) * size])
    // One by one, so that a picture's tokens do not depend on the batch it is met in. Runs while a tape records, but
    // a tokenizer's parameters are constants here.
    let tokens = withoutRecording { imageTokenizer.encode(Tensor(pictureBytes: bytes, side: side)) }
    if isCaching { known.withLock { $0[index] = tokens } }
    return tokens
  }
}
