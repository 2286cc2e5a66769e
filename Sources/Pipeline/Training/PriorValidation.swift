import Basics
import Datasets
import Evaluation
import Foundation
import Generation
import ImageTokenizers
import Imaging
import Priors
import TensorCore
import TextTokenizer

/// Held-out loss and retrieval, and pictures for captions that stay the same throughout a run.
struct PriorValidation {
  private static let maximumCount = 128
  /// Training captions that are drawn in another form.
  private static let formCount = 60
  private static let sampleCount = 12
  /// The held-out pictures' positions in the data set, captions and tokens.
  let indices: [Int]
  let texts: [[Int32]]
  let images: [[Int32]]
  /// Training captions in the forms in which people write them, in turn.
  let formIndices: [Int]
  let formTexts: [[Int32]]
  /// Nil where nothing is looked up, and where not all pictures are in memory: reading each would take too long.
  let library: PictureLibrary?
  let captions: [String]
  let sampleTexts: [[Int32]]
  let reconstructor: Reconstructor
  let team: ThreadTeam
  let seed: UInt64 = 0

  init(
    _ dataSet: PictureDataSet, _ vocabulary: any TextEncoder, _ imageTokenizer: any ImageTokenizer, _ team: ThreadTeam
  ) throws(PipelineError) {
    self.team = team
    reconstructor = Reconstructor(tokenizer: imageTokenizer, team: team)
    if let encoded = dataSet.encoded {
      indices = dataSet.indices(of: .validation).spread(over: Self.maximumCount)
      images = indices.map(encoded.tokens)
    } else {
      let held = try dataSet.pictures(of: .validation, atMost: Self.maximumCount)
      indices = held.map(\.index)
      images = reconstructor.tokens(of: held.map(\.picture))
    }
    let heldCaptions = indices.map { dataSet.entries[$0].captions[0] }
    texts = heldCaptions.map { vocabulary.encode($0) }
    library = dataSet.isInMemory || dataSet.encoded != nil ? try PictureLibrary(dataSet) : nil
    let train = dataSet.indices(of: .train)
    let forms = CaptionForms(of: dataSet.entries, indices: train)
    formIndices = train.spread(over: Self.formCount)
    formTexts = formIndices.enumerated().map { number, index in
      let written = CaptionForms.Measured.allCases
      return vocabulary.encode(forms.caption(of: index, in: written[number % written.count]))
    }
    // Two thirds from training, evenly spaced, the rest held out.
    let trainCount = min(train.count, indices.isEmpty ? Self.sampleCount : Self.sampleCount * 2 / 3)
    captions =
      train.spread(over: trainCount).map { dataSet.entries[$0].captions[0] }
      + heldCaptions.prefix(Self.sampleCount - trainCount)
    sampleTexts = captions.map { vocabulary.encode($0) }
  }

  /// Nats an image token; nil without pictures.
  func loss(_ model: any TrainablePrior, precision: ElementType) -> Double? {
    if texts.isEmpty { return nil }
    return model.meanImageLoss(texts: texts, images: images, precision: precision, team: team)
  }

  /// One picture for each text, picture 0 of the seed, as `evaluate` draws it.
  private func draw(_ model: any Prior, _ texts: [[Int32]]) -> [Picture] {
    reconstructor.decode(
      model.makeDecoder(team: team).draw(texts.map { DrawingRequest(text: $0, seed: seed, number: 0) }))
  }

  /// Nil without pictures, and where there is no library.
  func retrieval(_ model: any Prior) -> Evaluation.Retrieval? {
    texts.isEmpty ? nil : retrieval(model, texts, indices)
  }

  /// Of training captions in other forms; nil where there is no library.
  func retrievalOfForms(_ model: any Prior) -> Evaluation.Retrieval? { retrieval(model, formTexts, formIndices) }

  private func retrieval(_ model: any Prior, _ texts: [[Int32]], _ own: [Int]) -> Evaluation.Retrieval? {
    guard let library else { return nil }
    return Evaluation.Retrieval(
      ranks: zip(draw(model, texts), own).map { library.distances(from: $0).place(of: $1).rank })
  }

  func drawSamples(_ model: any Prior, to folder: URL) throws(PipelineError) {
    guard !captions.isEmpty else { return }
    try Picture.grid(draw(model, sampleTexts), columns: 4).write(
      to: folder.appendingPathComponent("samples.png"),
      text: captions.enumerated().map { ("Caption \($0 + 1)", $1.replacing("\0", with: "")) })
  }
}
