import Basics
import Captions
import Compositions
import Datasets
import Decoding
import Evaluation
import Foundation
import Generation
import ImageTokenizers
import Imaging
import Pages
import Priors
import TensorCore
import TextTokenizer

/// Held-out loss and retrieval, and pictures for captions that stay the same throughout a run.
struct PriorValidation {
  private static let maximumCount = 128
  /// Training captions that are drawn in another form.
  private static let formCount = 60
  private static let sampleCount = 12
  /// Compositions that are looked up; `evaluate` takes more.
  private static let poolSize = 3000
  /// The held-out pictures' positions in the data set, captions and tokens.
  let indices: [Int]
  let texts: [[Int32]]
  let images: [[Int32]]
  /// For each of them all pictures of its caption; empty where nothing is looked up.
  private let own: [[Int]]
  /// How many of them are no compositions: the first ones.
  private let plainCount: Int
  /// Training captions in the forms in which people write them, in turn.
  let formIndices: [Int]
  private let ownOfForms: [[Int]]
  let formTexts: [[Int32]]
  /// Nil where nothing is looked up, and where not all pictures are in memory: reading each would take too long.
  let library: PictureLibrary?
  /// Pairs that are held out of the compositions that are made in training, and their captions; nil where there are none.
  private let pool: CompositionPool?
  private let poolTexts: [[Int32]]
  let captions: [String]
  let sampleTexts: [[Int32]]
  let reconstructor: Reconstructor
  let team: ThreadTeam
  let seed: UInt64 = 0

  init(
    _ dataSet: PictureDataSet, _ compositions: CompositionMaker?, _ vocabulary: any TextEncoder,
    _ imageTokenizer: any ImageTokenizer, _ team: ThreadTeam
  ) throws(PipelineError) {
    self.team = team
    reconstructor = Reconstructor(tokenizer: imageTokenizer, team: team)
    let validation = dataSet.indices(of: .validation)
    let plain = dataSet.uncomposed(validation).spread(over: Self.maximumCount)
    let composed = dataSet.composed(validation).spread(over: Self.maximumCount)
    if let encoded = dataSet.encoded {
      indices = plain + composed
      images = indices.map(encoded.tokens)
    } else {
      var held: [(index: Int, picture: Picture)] = []
      for index in plain + composed {
        if let picture = try dataSet.pictureIfReadable(at: index) { held.append((index, picture)) }
      }
      indices = held.map(\.index)
      images = reconstructor.tokens(of: held.map(\.picture))
    }
    plainCount = indices.count { !dataSet.entries.isComposed(at: $0) }
    let heldCaptions = indices.map { dataSet.entries[$0].captions[0] }
    texts = heldCaptions.map { vocabulary.encode($0) }
    library =
      dataSet.isInMemory || dataSet.encoded != nil && !dataSet.isStreamed
      ? try PictureLibrary(dataSet, team: team) : nil
    own = library == nil ? [] : dataSet.sharingCaption(of: indices)
    pool = try compositions.map { (maker) throws(PipelineError) in
      try CompositionPool(maker, asking: Self.maximumCount, of: .validation, size: Self.poolSize, team: team)
    }
    poolTexts = pool.map { pool in pool.members.prefix(pool.truths.count).map { vocabulary.encode($0.caption) } } ?? []
    let train = dataSet.indices(of: .train)
    let forms = CaptionForms(of: dataSet.entries, indices: train)
    formIndices = dataSet.uncomposed(train).spread(over: Self.formCount)
    ownOfForms = library == nil ? [] : dataSet.sharingCaption(of: formIndices)
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

  /// Of what is no composition; nil without pictures, and where there is no library.
  func retrieval(_ model: any Prior) -> Evaluation.Retrieval? {
    plainCount == 0 ? nil : retrieval(model, Array(texts.prefix(plainCount)), Array(own.prefix(plainCount)))
  }

  /// Of training captions in other forms; nil where there is no library.
  func retrievalOfForms(_ model: any Prior) -> Evaluation.Retrieval? { retrieval(model, formTexts, ownOfForms) }

  /// Of pairs never seen; nil where there are no compositions.
  func retrievalOfCompositions(_ model: any Prior) -> Evaluation.Retrieval? {
    if plainCount < texts.count {
      return retrieval(model, Array(texts.dropFirst(plainCount)), Array(own.dropFirst(plainCount)))
    }
    guard let pool, !poolTexts.isEmpty else { return nil }
    return Evaluation.Retrieval(ranks: pool.ranks(of: draw(model, poolTexts)))
  }

  private func retrieval(_ model: any Prior, _ texts: [[Int32]], _ own: [[Int]]) -> Evaluation.Retrieval? {
    guard let library else { return nil }
    let pictures = draw(model, texts)
    return Evaluation.Retrieval(
      ranks: team.map(own.count) { library.distances(from: pictures[$0]).place(ofNearest: own[$0]).rank })
  }

  func drawSamples(_ model: any Prior, to folder: URL) throws(PipelineError) {
    guard !captions.isEmpty else { return }
    let pictures = draw(model, sampleTexts)
    try Picture.grid(pictures, columns: 4).write(
      to: folder.appendingPathComponent("samples.png"),
      text: captions.enumerated().map { ("Caption \($0 + 1)", $1.replacing("\0", with: "")) })
    // The same with the captions below, in whatever script they are.
    let cards = try zip(pictures, captions).map { (picture, caption) throws(PipelineError) in
      try Figure(picture, scale: max(1, 192 / picture.width), caption: caption)
    }
    let page = Self.samplesPage.page(title: "Samples", Samples(cards: cards))
    try AtomicFile.write(Data(page.utf8), to: folder.appendingPathComponent("samples.html"))
  }

  /// What the template names.
  private struct Samples { let cards: [Figure] }

  private static let samplesPage = PageTemplate(
    body: """
      <h1>Samples</h1>
      <p>What the prior draws by now, one picture each. The last ones are captions that it is not trained on.</p>
      <div class="cards">
      {{#cards}}
      {{>figure}}
      {{/cards}}
      </div>

      """)
}
