import Basics
import Foundation
import ImageTokenizers
import NN

extension Checkpoint {
  /// Places of tokens a side that a prior of one's own learns in hours, where a tokenizer leaves the choice.
  private static let placesOfAPrior = 16

  /// What stage 1 of a checkpoint is for pictures of a size.
  /// - Parameters:
  ///   - configuration: of this checkpoint.
  ///   - pictureSize: pixels a side; its own unless given.
  /// - Throws: `PipelineError` of kind `.noInput` where there is none, `.usage` where it takes no pictures of that size.
  public func imageTokenizer(
    _ configuration: CheckpointConfiguration, pictureSize: Int? = nil
  ) throws(PipelineError) -> any ImageTokenizerConfiguration {
    guard hasImageTokenizer, let description = configuration.imageTokenizer?.base else {
      throw PipelineError(
        .noInput, "\(url.path) has no image tokenizer yet; train one with: dalle-cli train-tokenizer")
    }
    guard let pictureSize else { return description }
    guard let resized = description.resized(to: pictureSize) else {
      throw PipelineError(
        .usage,
        "`pictureSize` cannot be \(pictureSize): the image tokenizer of \(url.path) takes pictures of "
          + "\(description.layout.pictureSize) pixels a side"
          + (description.resized(to: 2 * description.layout.pictureSize) == nil
            ? "" : ", or others that its grid divides"))
    }
    return resized
  }

  /// Makes the image tokenizer of another checkpoint this one's, to train a prior on its tokens. Nothing happens where it is
  /// already.
  /// - Parameters:
  ///   - source: the other checkpoint.
  ///   - pictureSize: pixels a side of the pictures that are to be drawn. Where the tokenizer leaves the choice it is one with 16 places
  ///     of tokens a side unless given, as a prior of one's own has to learn all of them.
  /// - Throws: `PipelineError` where there is no such tokenizer, or this checkpoint has another.
  public func adoptImageTokenizer(of source: Checkpoint, pictureSize: Int? = nil) throws(PipelineError) {
    var description = try source.imageTokenizer(source.readConfiguration(), pictureSize: pictureSize)
    let layout = description.layout
    if pictureSize == nil, layout.gridSides[0] > Self.placesOfAPrior {
      let size = layout.pictureSize / layout.gridSides[0] * Self.placesOfAPrior
      if let smaller = description.resized(to: size) { description = smaller }
    }
    let lock = try create()
    try withExtendedLifetime(lock) { () throws(PipelineError) in
      var configuration = CheckpointConfiguration()
      if exists(configurationFile) {
        configuration = try readConfiguration()
        let isSame = hasImageTokenizer && configuration.imageTokenizer == AnyConfiguration(description)
        if isSame, try imageTokenizerFingerprint() == source.imageTokenizerFingerprint() { return }
        // One that was taken over before, perhaps for another size, is no loss.
        guard configuration.prior == nil, configuration.upsampler == nil, configuration.tokenizerTraining == nil,
          configuration.prompt == nil
        else {
          throw PipelineError(
            .cannotCreate,
            "\(url.path) has another image tokenizer already; name another `checkpoint`, or leave `imageTokenizer` out")
        }
      }
      configuration.imageTokenizer = AnyConfiguration(description)
      try save { folder throws(PipelineError) in
        try AtomicFile.write(InputFile.mapped(source.imageTokenizerFile), to: folder.imageTokenizerFile)
        try folder.write(configuration)
      }
    }
  }

  /// - Throws: `PipelineError` of kind `.usage` where the checkpoint was made of a published model, which only draws.
  package func checkIsOwn(_ configuration: CheckpointConfiguration, for purpose: String) throws(PipelineError) {
    guard configuration.prompt == nil else {
      throw PipelineError(
        .usage, "\(url.path) was imported and only draws: \(purpose); name another `checkpoint`")
    }
  }
}
