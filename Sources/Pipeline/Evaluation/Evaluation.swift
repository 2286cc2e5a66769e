import Basics
import Captions
import Datasets
import Foundation
import Generation
import ImageTokenizers
import Imaging
import Priors
import TensorCore

/// The figures of merit of a checkpoint on one split of a data set.
public struct Evaluation: Encodable, Sendable {
  public var split: Split
  /// Pictures that reconstruction, codebook and loss were measured on: the whole split.
  public var pictures: Int
  /// From the mean squared error over the split, pixels in [0, 1].
  public var reconstructionPsnrInDecibels: Double
  /// Between reconstructions and the split's pictures, at full size, in which less is sharper; see `PatchDistance`. Nil where
  /// there are no training pictures to say what is looked at.
  public var reconstructionPatchDistance: Double?
  /// Over the split's tokens; see `CodebookUse`.
  public var codebookPerplexity: Double
  /// The share of codes that the split's tokens use.
  public var codebookUse: Double
  /// Nats an image token, given the first caption; nil where there is no prior.
  public var priorLoss: Double?
  /// One picture drawn for each caption, looked up among all pictures of the data set; nil where there is no prior.
  public var retrieval: Retrieval?
  /// Pictures drawn for each caption, of which the ranker chose one; nil where it was not asked.
  public var candidates: Int?
  /// The same with the ranker's choice.
  public var rankedRetrieval: Retrieval?
  /// The same with the reconstruction in place of the drawn picture: what stage 1 allows.
  public var retrievalCeiling: Retrieval
  /// The captions that were drawn, to look at; no part of the figures.
  public var drawings: [Drawing] = []

  enum CodingKeys: String, CodingKey {
    case split, pictures, reconstructionPsnrInDecibels, reconstructionPatchDistance, codebookPerplexity, codebookUse
    case priorLoss, retrieval, candidates, rankedRetrieval, retrievalCeiling
  }

  public struct Retrieval: Encodable, Sendable {
    /// Captions that were drawn.
    public var captions: Int
    /// The shares whose own picture is the nearest, and among the five nearest.
    public var at1: Double
    public var at5: Double

    /// - Parameter ranks: for each caption how many pictures are nearer than its own.
    package init(ranks: [Int]) {
      let count = Double(max(1, ranks.count))
      captions = ranks.count
      at1 = Double(ranks.count { $0 < 1 }) / count
      at5 = Double(ranks.count { $0 < 5 }) / count
    }
  }

  /// A caption of the split, its picture, and what the model makes of both.
  public struct Drawing: Sendable {
    public var caption: String
    public var original: Picture
    public var reconstruction: Picture
    /// Where the original stands among the pictures nearest to the reconstruction.
    public var ceiling: Place
    /// Nil where there is no prior.
    public var drawn: DrawnPicture?
  }

  /// A picture that was drawn, and those of the data set near to it.
  public struct DrawnPicture: Sendable {
    public var picture: Picture
    /// Where the caption's own picture stands; nil where the data set has none.
    public var own: Place?
    /// The nearest picture of the training split; nil where that is empty.
    public var nearest: Nearest?
  }

  /// Where a picture of the data set stands among those nearest to another one.
  public struct Place: Sendable {
    /// The number of pictures that are nearer.
    public var rank: Int
    /// The root of the mean squared difference of the two at 32×32 pixels, in [0, 1].
    public var distance: Double
  }

  /// A picture of the training split.
  public struct Nearest: Sendable {
    public var caption: String
    public var picture: Picture
    /// Whether it is the very picture of the caption that was drawn.
    public var isOwn: Bool
    /// As a ``Place`` has it.
    public var distance: Double
  }

  /// The figures in words: for each a row, its name first, then a value for each evaluation.
  static func figures(_ evaluations: [Evaluation]) -> [[String]] {
    func row(_ name: String, _ value: (Evaluation) -> String) -> [String] { [name] + evaluations.map(value) }
    return [
      row("pictures") { "\($0.pictures)" },
      row("reconstruction PSNR, dB") { String(format: "%.2f", $0.reconstructionPsnrInDecibels) },
      row("patch distance of reconstructions") {
        $0.reconstructionPatchDistance.map { String(format: "%.3f", $0) } ?? "–"
      },
      row("codebook perplexity") { String(format: "%.0f", $0.codebookPerplexity) },
      row("codes in use") { percent($0.codebookUse) },
      row("prior loss, nats an image token") { $0.priorLoss.map { String(format: "%.3f", $0) } ?? "–" },
      row("captions drawn") { "\($0.retrieval?.captions ?? 0)" },
      row("retrieval@1 (ceiling)") {
        "\($0.retrieval.map { percent($0.at1) } ?? "–") (\(percent($0.retrievalCeiling.at1)))"
      },
      row("retrieval@5 (ceiling)") {
        "\($0.retrieval.map { percent($0.at5) } ?? "–") (\(percent($0.retrievalCeiling.at5)))"
      },
    ]
      + (evaluations.candidates.map { count in
        [
          row("retrieval@1, best of \(count)") { $0.rankedRetrieval.map { percent($0.at1) } ?? "–" },
          row("retrieval@5, best of \(count)") { $0.rankedRetrieval.map { percent($0.at5) } ?? "–" },
        ]
      } ?? [])
  }

  /// What the figures of retrieval mean.
  /// - Parameter settings: what the pictures were drawn with, in words.
  static func retrievalExplanation(_ evaluations: [Evaluation], settings: String) -> String {
    let best = evaluations.candidates.map {
      " Best of \($0): the ranker has chosen among \($0) pictures drawn for the caption."
    }
    return """
      Retrieval: one picture is drawn for each caption with \(settings), and its nearest neighbours are looked up \
      among all pictures of the data set, at 32×32 pixels: the share whose own picture is the nearest, or among the \
      five nearest. The ceiling is the same with the tokenizer's reconstruction in place of the drawn picture.\(best ?? "")
      """
  }
}

extension [Evaluation] {
  /// How many pictures the ranker has chosen among; nil where it was not asked.
  var candidates: Int? { lazy.compactMap(\.candidates).first }
}

extension TextToImageModel {
  /// For each caption the first picture of the seed, and the best of `candidates` by the ranker; the same where nil.
  func draw(
    _ captions: [String], candidates: Int?, options: GenerationOptions, progress: (Double) -> Void
  ) throws(PipelineError) -> [(first: Picture, best: Picture)] {
    guard let candidates else {
      return try generate(captions: captions, options: options, progress: progress).map { ($0, $0) }
    }
    let ranked = try generateRanked(
      captions: captions, count: candidates, candidates: candidates, options: options, progress: progress)
    return ranked.map { pictures in
      (pictures.first { $0.number == 0 }?.picture ?? pictures[0].picture, pictures[0].picture)
    }
  }
}

/// Measures a model on a data set.
///
/// ```swift
/// let evaluation = try Evaluator(model, dataSet).evaluate(.validation)
/// ```
public struct Evaluator {
  private let reconstructor: Reconstructor
  /// Both stages; nil where there is only the first.
  let model: TextToImageModel?
  public let dataSet: PictureDataSet
  let library: PictureLibrary
  private let patchDistance: PatchDistance?

  public init(_ model: TextToImageModel, _ dataSet: PictureDataSet) throws(PipelineError) {
    try self.init(model, model.reconstructor, dataSet)
  }

  /// Measures stage 1 alone.
  public init(_ tokenizer: StandaloneImageTokenizer, _ dataSet: PictureDataSet) throws(PipelineError) {
    try self.init(nil, tokenizer.reconstructor, dataSet)
  }

  /// Training pictures whose patches say what is looked at.
  private static let maximumPatchPictures = 2000

  private init(
    _ model: TextToImageModel?, _ reconstructor: Reconstructor, _ dataSet: PictureDataSet
  ) throws(PipelineError) {
    try dataSet.requirePictures()
    self.model = model
    self.reconstructor = reconstructor
    self.dataSet = dataSet
    library = try PictureLibrary(dataSet, team: reconstructor.team)
    let training = try dataSet.pictures(of: .train, atMost: Self.maximumPatchPictures).map(\.picture)
    patchDistance = training.isEmpty ? nil : try PatchDistance(training, threads: reconstructor.team.count)
  }

  /// Measures one split.
  /// - Parameters:
  ///   - split: whose pictures and captions are measured.
  ///   - options: of drawing.
  ///   - captionLimit: draw for at most this many captions of the split, chosen by the options' seed; nil draws all.
  ///   - candidates: draw so many pictures for each caption, and measure the ranker's choice among them, too.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where the split has no pictures that can be read.
  /// - Throws: `PipelineError` where the options make no sense, or there is no ranker to choose, and for the first picture that
  ///   cannot be read of a data set that was opened with `strict`; of others it is left out.
  public func evaluate(
    _ split: Split, options: GenerationOptions = .init(), captionLimit: Int? = nil,
    candidates: Int? = nil, progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> Evaluation? {
    var indices: [Int] = []
    var pictures: [Picture] = []
    for index in dataSet.indices(of: split) {
      guard let picture = try dataSet.pictureIfReadable(at: index) else { continue }
      indices.append(index)
      pictures.append(picture)
    }
    guard !indices.isEmpty else { return nil }
    let drawn = Self.choose(indices, limit: captionLimit, seed: options.seed)
    progress("reconstructing \(split.rawValue)", 0)
    let reconstructions = reconstructor.reconstruct(pictures)
    let error = reconstructions.map(\.meanSquaredError).reduce(0, +) / Double(indices.count)
    let use = CodebookUse(tokens: reconstructions.flatMap(\.tokens), codeCount: reconstructor.tokenizer.codeCount)
    let places = Dictionary(uniqueKeysWithValues: zip(indices, indices.indices))
    var drawings = drawn.compactMap { places[$0] }.map { place in
      let reconstruction = reconstructions[place].picture
      return Evaluation.Drawing(
        caption: dataSet.entries[indices[place]].captions[0], original: pictures[place], reconstruction: reconstruction,
        ceiling: library.distances(from: reconstruction).place(of: indices[place]))
    }
    var evaluation = Evaluation(
      split: split, pictures: indices.count,
      reconstructionPsnrInDecibels: psnrInDecibels(meanSquaredError: error),
      reconstructionPatchDistance: try patchDistance?.between(reconstructions.map(\.picture), pictures),
      codebookPerplexity: use.perplexity,
      codebookUse: Double(use.used) / Double(use.total),
      retrievalCeiling: .init(ranks: drawings.map(\.ceiling.rank)), drawings: drawings)
    guard let model else { return evaluation }
    progress("measuring the prior on \(split.rawValue)", 0)
    evaluation.priorLoss = (model.prior as? any TrainablePrior)?.meanImageLoss(
      texts: indices.map { model.textEncoder.encode(dataSet.entries[$0].captions[0]) },
      images: reconstructions.map(\.tokens), precision: .float32, team: model.threadTeam)
    let ranked = try model.draw(
      drawings.map(\.caption), candidates: candidates, options: options,
      progress: { progress("drawing \(split.rawValue)", $0) })
    for (i, index) in drawn.enumerated() { drawings[i].drawn = try neighbourhood(of: ranked[i].first, own: index) }
    evaluation.retrieval = .init(ranks: drawings.compactMap { $0.drawn?.own?.rank })
    if let candidates {
      evaluation.candidates = candidates
      evaluation.rankedRetrieval = .init(
        ranks: zip(ranked, drawn).map { library.distances(from: $0.best).place(of: $1).rank })
    }
    evaluation.drawings = drawings
    return evaluation
  }

  /// What was drawn for a caption that need not be one of the data set.
  public struct Prompt: Sendable {
    public var caption: String
    /// Whether the training split has this very caption.
    public var isInTraining: Bool
    /// See `TextToImageModel.unseenWords(in:)`.
    public var unseenWords: [String]
    /// Pictures 0 ..< count of the seed.
    public var drawings: [Evaluation.DrawnPicture]
  }

  /// Draws for captions that need not be of the data set.
  /// - Parameters:
  ///   - captions: what to draw.
  ///   - count: pictures a caption.
  ///   - options: of drawing.
  ///   - progress: told the share that is done, in 0 ... 1.
  /// - Returns: nothing where there is no prior.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  public func draw(
    _ captions: [String], count: Int, options: GenerationOptions = .init(), progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [Prompt] {
    guard let model else { return [] }
    let pictures = try model.generate(captions: captions, count: count, options: options, progress: progress)
    let known = Set(dataSet.indices(of: .train).flatMap { dataSet.entries[$0].allCaptions })
    var prompts: [Prompt] = []
    for (i, caption) in captions.enumerated() {
      var prompt = Prompt(
        caption: caption, isInTraining: known.contains(caption), unseenWords: model.unseenWords(in: caption),
        drawings: [])
      for picture in pictures[i * count..<(i + 1) * count] {
        prompt.drawings.append(try neighbourhood(of: picture, own: nil))
      }
      prompts.append(prompt)
    }
    return prompts
  }

  static func choose(_ indices: [Int], limit: Int?, seed: UInt64) -> [Int] {
    guard let limit, limit < indices.count else { return indices }
    var random = Philox(seed: seed, stream: RandomStream.evaluatedCaptions())
    return random.permutation(indices.count).prefix(limit).map { indices[$0] }.sorted()
  }

  /// What of the data set is near to a picture that was drawn for the caption of the picture `own`.
  private func neighbourhood(of picture: Picture, own: Int?) throws(PipelineError) -> Evaluation.DrawnPicture {
    let distances = library.distances(from: picture)
    var drawn = Evaluation.DrawnPicture(picture: picture, own: own.map(distances.place))
    if let nearest = distances.nearest(of: dataSet.indices(of: .train)) {
      drawn.nearest = .init(
        caption: dataSet.entries[nearest].captions[0], picture: try dataSet.picture(at: nearest),
        isOwn: nearest == own, distance: distances.rootMeanSquare(at: nearest))
    }
    return drawn
  }
}
