import Basics
import Datasets
import Imaging

/// Compositions made while a model is trained on them, none of them held out.
public struct TrainingCompositions: PictureMaker {
  public let maker: CompositionMaker

  public init(_ maker: CompositionMaker) { self.maker = maker }

  /// A composition is the same bits as on disk: that of the number's index, or where this is held out, that of an index far
  /// above all that a folder has.
  public func captionedPicture(_ number: Int) throws(PipelineError) -> (captions: [String], picture: Picture) {
    let composition = try maker.composition(at: index(of: number))
    return ([composition.caption] + composition.furtherCaptions, composition.picture)
  }

  private func index(of number: Int) -> Int {
    var index = number
    // One pair in twenty is held out.
    while maker.split(of: maker.pair(at: index)) != .train { index += CompositionFolder.maximumCount }
    return index
  }

  /// What is said of the first `count` of them, for a vocabulary.
  public func captions(ofFirst count: Int) -> [[String]] {
    (0..<count).map { maker.described(at: index(of: $0)).captions }
  }
}
