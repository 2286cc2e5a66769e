import Basics
import Decoding
import NN
import TensorCore

/// Stage 2: a model of the image tokens of a picture given its caption, one token after another, row by row. This is what
/// drawing needs of it; what can be trained here is a ``TrainablePrior``.
public protocol Prior: Sendable {
  /// Text tokens that the model sees of a caption; 0 where it takes none.
  var textLength: Int { get }
  /// The number of different image tokens.
  var imageVocabulary: Int { get }
  /// Places a side of the image tokens' grid.
  var gridSide: Int { get }
  /// D, the number of image tokens at each place; each is of a range of its own, `imageVocabulary`/D tokens large.
  var codesPerPlace: Int { get }
  /// The number of trained numbers.
  var parameterCount: Int { get }

  /// How the model draws where nothing is said.
  var sampling: SamplingOptions { get }

  /// Ready to draw on the threads of a team.
  func makeDecoder(team: ThreadTeam) -> any ImageTokenDecoder
}

extension Prior {
  /// Image tokens a picture.
  public var imageLength: Int { gridSide * gridSide * codesPerPlace }
  public var codesPerPlace: Int { 1 }
  public var sampling: SamplingOptions { SamplingOptions() }
}

/// A prior that learns from captioned pictures. The transformer and PixelCNN are two of them; training knows this protocol
/// only.
public protocol TrainablePrior: Prior, ConfiguredModule where Configuration: TrainablePriorConfiguration {
  /// The loss of a batch, or of a part of one.
  /// - Parameters:
  ///   - batch: captions and the tokens of their pictures.
  ///   - share: the part of the whole batch's pictures that these are, where it is split over threads.
  ///   - textShare: the part of the whole batch's text targets that these have; `share` where nil.
  ///   - precision: the type of the operands of products.
  ///   - dropout: nil outside training.
  func loss(
    _ batch: PriorBatch, share: Float, textShare: Float?, precision: ElementType, dropout: DropoutStream?
  ) -> PriorLosses

  /// The number of text tokens of captions that the loss predicts.
  func textTargetCount(_ texts: [[Int32]]) -> Int

  /// The parameters that have a row for each text token, and then maybe some more.
  var textTokenParameters: [Parameter] { get }

  /// A prior of more layers that computes the same, to train further.
  /// - Throws: `PipelineError` of kind `.usage` where this one has more of them, or its kind cannot grow.
  func deepened(to layers: Int) throws(PipelineError) -> Self
}

extension TrainablePrior {
  public func deepened(to layers: Int) throws(PipelineError) -> Self {
    guard layers == configuration.layers else {
      throw PipelineError(
        .usage,
        "only a transformer takes further layers, and this \(Configuration.kind) has \(configuration.layers); leave `layers` out"
      )
    }
    return self
  }

  public func loss(_ batch: PriorBatch, precision: ElementType) -> PriorLosses {
    loss(batch, share: 1, textShare: nil, precision: precision, dropout: nil)
  }
}
