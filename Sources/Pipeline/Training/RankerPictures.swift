import Basics
import Captions
import Datasets
import Foundation
import Generation
import ImageTokenizers
import Imaging
import Synchronization
import TensorCore
import TextTokenizer

/// Pictures as the model sees them in training: originals, reconstructions or drawings, augmented.
final class RankerPictures: Sendable {
  /// How often a picture that the prior has drawn is seen as drawn, and any other one reconstructed.
  private static let drawingShare: Float = 0.3
  private static let reconstructionShare: Float = 0.5

  let drawings: PriorDrawings
  private let imageTokenizer: any ImageTokenizer
  private let augmentation: Augmentation
  private let seed: UInt64
  /// Reconstructions of pictures, as many as there is room for.
  private let known = Mutex<[Int: [UInt8]]>([:])
  private static let maximumBytes = 512 << 20

  init(
    _ imageTokenizer: any ImageTokenizer, _ augmentation: Augmentation, _ drawings: PriorDrawings, seed: UInt64
  ) {
    (self.imageTokenizer, self.augmentation, self.seed) = (imageTokenizer, augmentation, seed)
    self.drawings = drawings
  }

  /// - Parameter range: positions in the batch.
  /// - Returns: [range.count, S, S, 3] in [0, 1].
  func pictures(of batch: Batch, _ range: Range<Int>, step: Int) -> Tensor {
    let B = batch.indices.count
    let side = imageTokenizer.pictureSize
    let size = side * side * 3
    let bytes = range.flatMap { position in
      // The counter's upper half names the sample: its numbers depend on nothing else.
      var random = Philox(
        seed: seed, stream: RandomStream.rankerPictures(), counter: UInt64(step * B + position) << 24)
      let original = Array(batch.pixels[position * size..<(position + 1) * size])
      let isReconstructed = random.uniform() < Self.reconstructionShare
      let isDrawn = random.uniform() < Self.drawingShare
      let pixels: [UInt8]
      if isDrawn, let views = drawings.views[batch.indices[position]] {
        pixels = views[random.index(below: views.count)].pixels
      } else {
        pixels = isReconstructed ? reconstruction(of: original, index: batch.indices[position]) : original
      }
      return augmentation.applied(to: Picture(width: side, height: side, pixels: pixels), using: &random).pixels
    }
    return Tensor(pictureBytes: bytes, side: side)
  }

  /// Drawings that show nothing, augmented.
  /// - Parameters:
  ///   - range: of the step's `count` the ones asked for.
  /// - Returns: [range.count, S, S, 3] in [0, 1]; nil where there are none.
  func failures(_ range: Range<Int>, of count: Int, step: Int) -> Tensor? {
    guard !range.isEmpty else { return nil }
    let pictures = range.map { position in
      var random = Philox(
        seed: seed, stream: RandomStream.rankerFailures(), counter: UInt64(step * count + position) << 24)
      let drawing = drawings.failures[random.index(below: drawings.failures.count)]
      return augmentation.applied(to: drawing, using: &random)
    }
    return Tensor(pictures)
  }

  private func reconstruction(of pixels: [UInt8], index: Int) -> [UInt8] {
    if let reconstruction = known.withLock({ $0[index] }) { return reconstruction }
    let side = imageTokenizer.pictureSize
    // Runs while a tape records, but a tokenizer's parameters are constants here.
    let reconstruction = withoutRecording {
      imageTokenizer.decode(imageTokenizer.encode(Tensor(pictureBytes: pixels, side: side))).pictures()[0].pixels
    }
    known.withLock { if ($0.count + 1) * pixels.count <= Self.maximumBytes { $0[index] = reconstruction } }
    return reconstruction
  }
}

/// What is said of each picture, to tell which of a batch are wrong answers to a caption.
struct CaptionMeanings {
  private let entries: CaptionedPictures

  init(_ entries: CaptionedPictures) { self.entries = entries }

  /// The content words of all captions and keywords of a picture.
  private func said(of index: Int) -> Set<String> { ContentWords(of: entries[index].allCaptions).words }

  /// Those of its name in each script.
  private func names(of index: Int) -> [Set<String>] {
    entries[index].inEachScript.map { ContentWords(of: [$0.picture.captions[0]]).words }
  }

  /// Row-major [B, B]: whether picture j is a wrong answer for caption i. It is none where it is the same picture, be it
  /// under another name, and where all that the caption says is said of it, too. But a caption that says the whole name of
  /// picture i means that one: "dog" is not the brown dog.
  func isOther(_ batch: Batch) -> [Bool] {
    let B = batch.indices.count
    let size = batch.pixels.count / B
    let pixels = (0..<B).map { batch.pixels[$0 * size..<($0 + 1) * size] }
    // The sums tell nearly all pictures apart.
    let sums = pixels.map { $0.reduce(0) { $0 &+ Int($1) } }
    let said = batch.indices.map(said)
    let names = batch.indices.map(names)
    return (0..<B).flatMap { i in
      let caption = ContentWords(of: [batch.captions[i]]).words.subtracting(CaptionForms.ownWords)
      let name = names[i].first { $0.isSubset(of: caption) }
      return (0..<B).map { j in
        if !caption.isEmpty && caption.isSubset(of: said[j]) && (name.map(names[j].contains) ?? true) {
          return false
        }
        return sums[i] != sums[j] || pixels[i] != pixels[j]
      }
    }
  }
}
