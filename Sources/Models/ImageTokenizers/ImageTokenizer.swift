import Basics
import Foundation
import NN
import TensorCore

/// Stage 1: a model that turns pictures into one or more grids of discrete tokens and back. Stage 2 and everything that draws
/// know this protocol only; what can be trained here is a ``TrainableImageTokenizer``, and what has larger pictures come from its
/// tokens an ``UpsampledImageTokenizer``.
///
/// Pictures are [B, S, S, 3] with values in [0, 1].
public protocol ImageTokenizer: Sendable {
  /// What tokens there are, and in which order.
  var layout: TokenLayout { get }
  /// The number of trained numbers.
  var parameterCount: Int { get }

  /// - Returns: B·``tokenCount`` tokens, each below ``codeCount``.
  func encode(_ pictures: Tensor) -> [Int32]
  /// - Returns: [B, S, S, 3], values mostly within [0, 1], not clamped.
  func decode(_ tokens: [Int32]) -> Tensor

  /// Whether a team's threads share out a picture, where otherwise each takes pictures of its own.
  var sharesOutPictures: Bool { get }
  /// The same on a team's threads, or on the calling one alone.
  func encode(_ pictures: Tensor, on team: ThreadTeam?) -> [Int32]
  func decode(_ tokens: [Int32], on team: ThreadTeam?) -> Tensor
}

extension ImageTokenizer {
  public var sharesOutPictures: Bool { false }
  public func encode(_ pictures: Tensor, on team: ThreadTeam?) -> [Int32] { encode(pictures) }
  public func decode(_ tokens: [Int32], on team: ThreadTeam?) -> Tensor { decode(tokens) }

  /// `body(i, threads)` for i in 0 ..< count on all of a team's threads, each i being one picture: one after the other where they
  /// share it out, else several at once. `threads` are what is left for encoding and decoding that picture.
  package func map<Element: Sendable>(
    _ count: Int, on team: ThreadTeam, _ body: (_ picture: Int, _ threads: ThreadTeam?) -> Element
  ) -> [Element] {
    sharesOutPictures ? (0..<count).map { body($0, team) } : team.map(count) { body($0, nil) }
  }

  /// The same where `body` may fail: what it throws for the least i is thrown.
  package func throwingMap<Element: Sendable>(
    _ count: Int, on team: ThreadTeam,
    _ body: (_ picture: Int, _ threads: ThreadTeam?) throws(PipelineError) -> Element
  ) throws(PipelineError) -> [Element] {
    guard sharesOutPictures else {
      return try team.throwingMap(count) { (i) throws(PipelineError) -> Element in try body(i, nil) }
    }
    var elements: [Element] = []
    for i in 0..<count { elements.append(try body(i, team)) }
    return elements
  }
}

/// What turns pictures into tokens and back, and learns from how well they come back.
public protocol TrainableAutoencoder: ImageTokenizer {
  /// What of it learns.
  var learner: any Module { get }

  /// The forward pass in training, up to the decoder's last layer, on the current tape.
  /// - Parameters:
  ///   - pictures: one shard's, [B, S, S, 3] in [0, 1].
  ///   - step: where the run stands.
  func forward(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerForward

  /// The decoder's last layer.
  /// - Parameters:
  ///   - features: those that ``forward(_:step:)`` gave, or constants of their values.
  ///   - forward: what else it gave.
  ///   - pictures: what they are to become.
  func reconstruction(
    of features: Tensor, in forward: ImageTokenizerForward, _ pictures: Tensor
  ) -> ImageTokenizerReconstruction

  /// The parameters of the decoder's last layer, by whose gradients the weight of a discriminator is chosen.
  var lastLayer: [Parameter] { get }

  /// Changes what no gradient changes, after an optimizer step.
  /// - Parameters:
  ///   - statistics: what ``forward(_:step:)`` left of each shard, in their order.
  ///   - step: where the run stands.
  ///   - seed: names the random numbers.
  func finishStep(_ statistics: [[NamedTensor]], step: Int, seed: UInt64)
}

extension TrainableAutoencoder {
  public func finishStep(_ statistics: [[NamedTensor]], step: Int, seed: UInt64) {}
}

/// An image tokenizer that learns from pictures: VQ-VAE, VQ-VAE-2 and the discrete VAE are three ways to do so.
public protocol TrainableImageTokenizer: TrainableAutoencoder, ConfiguredModule {}

/// An image tokenizer whose tokens name the nearest vectors of a codebook, on one grid or on several.
public protocol VectorQuantizedTokenizer: TrainableImageTokenizer {
  /// ‖z_e - e_k‖², the squared distance of the encoder's vectors from their codes: the mean over places, added up over grids.
  /// - Parameter pictures: [B, S, S, 3].
  func squaredCodeDistance(_ pictures: Tensor) -> Float
  /// β
  var commitment: Float { get }
}

extension VectorQuantizedTokenizer {
  /// What the distance weighs in training where (x - x̂)² weighs 1: the loss is 4·(x - x̂)² + β/4·‖z_e - e_k‖².
  package var commitmentWeight: Float { commitment / 16 }
}

extension TrainableImageTokenizer {
  public var learner: any Module { self }
}

extension ImageTokenizer {
  /// S, pixels a side.
  public var pictureSize: Int { layout.pictureSize }
  /// Tokens a side of each grid, the coarsest first.
  public var gridSides: [Int] { layout.gridSides }
  /// D, the number of tokens at each place of a grid.
  public var codesPerPlace: Int { layout.codesPerPlace }
  /// The number of different tokens, over all grids and codes of a place.
  public var codeCount: Int { layout.codeCount }
  /// Tokens a picture, over all grids.
  public var tokenCount: Int { layout.tokenCount }
}

/// What a training step tells an image tokenizer's loss, besides the pictures.
public struct ImageTokenizerStep: Sendable {
  /// The share of the run that is done, 0 to 1, for schedules.
  public var progress: Double
  /// The random numbers of this step and shard.
  public var noise: NoiseStream
  /// The type of the operands of products.
  public var precision: ElementType

  public init(
    progress: Double = 0, noise: NoiseStream = NoiseStream(seed: 0, stream: 0), precision: ElementType
  ) {
    (self.progress, self.noise, self.precision) = (progress, noise, precision)
  }
}

/// What an image tokenizer's forward pass in training gives before the decoder's last layer.
public struct ImageTokenizerForward {
  /// What goes into that layer.
  public let features: Tensor
  /// The part of the loss that does not look at pixels, a scalar: the codes' commitment, or their divergence.
  public let regularization: Tensor
  /// The tokens chosen, to see how many are in use.
  public let tokens: [Int32]
  /// What the shard leaves behind for ``TrainableAutoencoder/finishStep(_:step:seed:)``, besides its gradients.
  public let statistics: [NamedTensor]
  /// What the last layer's result is added to, a constant; nil for nothing.
  var foundation: Tensor?
}

/// What the decoder's last layer makes of that.
public struct ImageTokenizerReconstruction {
  /// The mean over the shard's pictures, a scalar.
  public let loss: Tensor
  /// x̂, [B, S, S, 3], mostly within [0, 1].
  public let pictures: Tensor
  /// A pixel channel, for pixels in [0, 1].
  public let meanSquaredError: Float
}

extension TrainableAutoencoder {
  /// The training loss of one shard, on the current tape.
  /// - Parameters:
  ///   - pictures: [B, S, S, 3] in [0, 1].
  ///   - step: where the run stands.
  public func loss(_ pictures: Tensor, step: ImageTokenizerStep) -> ImageTokenizerLoss {
    loss(forward(pictures, step: step), pictures)
  }

  func loss(_ forward: ImageTokenizerForward, _ pictures: Tensor) -> ImageTokenizerLoss {
    let reconstruction = reconstruction(of: forward.features, in: forward, pictures)
    return ImageTokenizerLoss(
      total: reconstruction.loss + forward.regularization, meanSquaredError: reconstruction.meanSquaredError,
      tokens: forward.tokens, statistics: forward.statistics)
  }
}

/// What an image tokenizer's whole forward pass in training gives.
public struct ImageTokenizerLoss {
  /// The mean over the shard's pictures, a scalar.
  public let total: Tensor
  /// The mean squared error a pixel channel, for pixels in [0, 1].
  public let meanSquaredError: Float
  /// The tokens chosen, to see how many are in use.
  public let tokens: [Int32]
  /// What the shard leaves behind for ``TrainableAutoencoder/finishStep(_:step:seed:)``, besides its gradients.
  public let statistics: [NamedTensor]
}

/// How evenly tokens are used.
public struct CodebookUse: Sendable, Equatable {
  /// exp(entropy) of the tokens' distribution (van den Oord et al. 2017): the number of codes that would be used as well
  /// if all were used evenly.
  public let perplexity: Double
  /// The number of codes that occur at all.
  public let used: Int
  public let total: Int

  public init(counts: [Int]) {
    let sum = Double(counts.reduce(0, +))
    let entropy = counts.reduce(0.0) { $1 == 0 ? $0 : $0 - Double($1) / sum * log(Double($1) / sum) }
    perplexity = exp(entropy)
    used = counts.count { $0 > 0 }
    total = counts.count
  }

  public init(tokens: some Sequence<Int32>, codeCount: Int) {
    var counts = [Int](repeating: 0, count: codeCount)
    for token in tokens { counts[Int(token)] += 1 }
    self.init(counts: counts)
  }
}
