import Basics
import Foundation
import ImageTokenizers
import Imaging
import TensorCore

/// Pictures through an image tokenizer and back, each on its own on all threads or one of them, so that no picture's tokens
/// depend on the company it is in.
package struct Reconstructor {
  package let tokenizer: any ImageTokenizer
  package let team: ThreadTeam

  package init(tokenizer: any ImageTokenizer, team: ThreadTeam) { (self.tokenizer, self.team) = (tokenizer, team) }

  package struct Result: Sendable {
    package var tokens: [Int32]
    package var picture: Picture
    /// A pixel channel, in [0, 1].
    package var meanSquaredError: Double
  }

  package func tokens(of pictures: [Picture]) -> [[Int32]] {
    tokenizer.map(pictures.count, on: team) { tokenizer.encode(Tensor([pictures[$0]]), on: $1) }
  }

  package func decode(_ tokens: [[Int32]]) -> [Picture] {
    tokenizer.map(tokens.count, on: team) { tokenizer.decode(tokens[$0], on: $1).pictures()[0] }
  }

  package func reconstruct(_ pictures: [Picture]) -> [Result] {
    tokenizer.map(pictures.count, on: team) { i, threads in
      let original = Tensor([pictures[i]])
      let tokens = tokenizer.encode(original, on: threads)
      let decoded = tokenizer.decode(tokens, on: threads)
      return Result(
        tokens: tokens, picture: decoded.pictures()[0],
        meanSquaredError: Double(meanSquaredError(decoded, original).item))
    }
  }
}
