import Basics
import Checkpoints
import Foundation
import Imaging
import TensorCore

/// Stage 1 of a checkpoint alone, for looking at what it keeps of a picture, and for encoding data sets.
public struct StandaloneImageTokenizer {
  public struct Result: Sendable {
    /// The picture as the model takes it, square and of its size.
    public let original: Picture
    public let reconstruction: Picture
    public let psnrInDecibels: Double
  }

  /// How pictures become square.
  public let fit: Picture.Fit
  package let reconstructor: Reconstructor
  package let fingerprint: String

  /// - Parameters:
  ///   - checkpoint: whose stage 1 it is.
  ///   - isUpsampled: whether pictures come back as they are drawn, from the upsampler where there is one; tokens are the same
  ///     either way, and made fastest without.
  ///   - pictureSize: pixels a side, where the tokenizer leaves the choice; its own unless given. Without the upsampler.
  ///   - threads: how many work.
  /// - Throws: `PipelineError` where the checkpoint has no stage 1 or it is damaged.
  public init(_ checkpoint: Checkpoint, isUpsampled: Bool = true, pictureSize: Int? = nil, threads: Int)
    throws(PipelineError)
  {
    let configuration = try checkpoint.readConfiguration()
    fit = configuration.data?.fit ?? .pad
    let tokenizer =
      isUpsampled && pictureSize == nil
      ? try checkpoint.readUpsampledImageTokenizer(configuration)
      : try checkpoint.readImageTokenizer(configuration, pictureSize: pictureSize)
    reconstructor = Reconstructor(tokenizer: tokenizer, team: try ThreadTeam(count: threads))
    fingerprint = try checkpoint.imageTokenizerFingerprint()
  }

  /// Pixels a side.
  public var pictureSize: Int { reconstructor.tokenizer.pictureSize }

  public func reconstruct(_ pictures: [Picture]) -> [Result] {
    let originals = pictures.map { $0.squared(side: pictureSize, fit: fit) }
    return zip(originals, reconstructor.reconstruct(originals)).map { original, result in
      Result(
        original: original, reconstruction: result.picture,
        psnrInDecibels: psnrInDecibels(meanSquaredError: result.meanSquaredError))
    }
  }
}
