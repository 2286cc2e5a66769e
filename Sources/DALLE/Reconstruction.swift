import Foundation
import LatentModels
import Media
import TensorCore

/// Pictures through an image tokenizer and back, one by one on all threads, so that no picture's tokens depend on the
/// company it is in.
struct Reconstructor {
  let tokenizer: any ImageTokenizer
  let team: ThreadTeam

  struct Result: Sendable {
    var tokens: [Int32]
    var picture: Picture
    /// A pixel channel, in [0, 1].
    var meanSquaredError: Double
  }

  func tokens(of pictures: [Picture]) -> [[Int32]] {
    team.map(pictures.count) { tokenizer.encode(Tensor([pictures[$0]])) }
  }

  func decode(_ tokens: [[Int32]]) -> [Picture] {
    team.map(tokens.count) { tokenizer.decode(tokens[$0]).pictures()[0] }
  }

  func reconstruct(_ pictures: [Picture]) -> [Result] {
    team.map(pictures.count) { i in
      let original = Tensor([pictures[i]])
      let tokens = tokenizer.encode(original)
      let decoded = tokenizer.decode(tokens)
      return Result(
        tokens: tokens, picture: decoded.pictures()[0],
        meanSquaredError: Double(meanSquaredError(decoded, original).item))
    }
  }
}

extension ThreadTeam {
  /// `body(i)` for i in 0 ..< count, shared out over the team.
  func map<Element: Sendable>(_ count: Int, _ body: (Int) -> Element) -> [Element] {
    var results = [Element?](repeating: nil, count: count)
    results.withUnsafeMutableBufferPointer { results in
      nonisolated(unsafe) let results = results
      run { thread in
        // Interleaved, because neighbours are alike in cost.
        for i in stride(from: thread, to: count, by: self.count) { results[i] = body(i) }
      }
    }
    return results.compactMap { $0 }
  }
}
