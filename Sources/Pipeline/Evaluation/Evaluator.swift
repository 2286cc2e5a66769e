import Basics
import Captions
import Datasets
import Generation
import ImageTokenizers
import Imaging
import Priors
import TensorCore

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

  /// Pictures that are in memory at a time while a split is measured.
  private static let picturesAtOnce = 256
  /// Captions that are kept to look at, evenly spread: each has four pictures.
  private static let maximumDrawings = 1000

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

  /// Measures one split, in which there may be more pictures than fit in memory.
  /// - Parameters:
  ///   - split: whose pictures and captions are measured.
  ///   - options: of drawing.
  ///   - captionLimit: draw for at most this many captions of the split, chosen by the options' seed; nil draws all.
  ///   - candidates: draw so many pictures for each caption, and measure the ranker's choice among them, too.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where the split has no pictures that can be read.
  /// - Throws: `PipelineError` where the options make no sense, there is no ranker to choose, or a picture can no longer be read.
  public func evaluate(
    _ split: Split, options: GenerationOptions = .init(), captionLimit: Int? = nil,
    candidates: Int? = nil, progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> Evaluation? {
    let indices = dataSet.indices(of: split).filter(library.contains)
    guard !indices.isEmpty else { return nil }
    let chosen = Self.choose(indices, limit: captionLimit, seed: options.seed)
    let captions = DrawnCaptions(chosen, dataSet.sharingCaption(of: chosen), shown: Self.maximumDrawings)
    let reconstructed = try reconstruct(indices, captions) { progress("reconstructing \(split.rawValue)", $0) }
    var evaluation = try stage1(split, reconstructed)
    guard let model else { return evaluation }
    progress("measuring the prior on \(split.rawValue)", 0)
    evaluation.priorLoss = (model.prior as? any TrainablePrior)?.meanImageLoss(
      texts: indices.map { model.textEncoder.encode(dataSet.entries[$0].captions[0]) },
      images: reconstructed.tokens, precision: .float32, team: model.threadTeam)
    var (ranks, rankedRanks): ([Int], [Int]) = ([], [])
    try model.draw(
      chosen.map { dataSet.entries[$0].captions[0] }, candidates: candidates, options: options,
      progress: { progress("drawing \(split.rawValue)", $0) }
    ) { (place, first, best) throws(PipelineError) in
      let own = captions.own[place]
      ranks.append(library.distances(from: first).place(ofNearest: own).rank)
      if candidates != nil { rankedRanks.append(library.distances(from: best).place(ofNearest: own).rank) }
      if let shown = captions.shown[chosen[place]] {
        evaluation.drawings[shown].drawn = try neighbourhood(of: first, own: own)
      }
    }
    evaluation.retrieval = .init(ranks: ranks)
    if let candidates {
      evaluation.candidates = candidates
      evaluation.rankedRetrieval = .init(ranks: rankedRanks)
    }
    return evaluation
  }

  /// The captions of a split that are drawn.
  private struct DrawnCaptions {
    /// Their pictures' positions in the data set.
    let indices: [Int]
    /// For each caption all pictures that have it.
    let own: [[Int]]
    /// Where each caption to look at stands among those, by its picture's position in the data set.
    let shown: [Int: Int]

    init(_ indices: [Int], _ own: [[Int]], shown count: Int) {
      (self.indices, self.own) = (indices, own)
      shown = Dictionary(uniqueKeysWithValues: indices.spread(over: count).enumerated().map { ($1, $0) })
    }
  }

  /// What stage 1 makes of a split's pictures.
  private struct Reconstructions {
    /// The mean over each picture, summed.
    var squaredError = 0.0
    /// Each picture's.
    var tokens: [[Int32]] = []
    var patches: (of: PatchDistance.Sample, originals: PatchDistance.Sample)?
    /// Of the captions that are drawn.
    var ceilings: [Evaluation.Place] = []
    /// Captions to look at.
    var drawings: [Evaluation.Drawing] = []
  }

  private func reconstruct(
    _ indices: [Int], _ captions: DrawnCaptions, progress: (Double) -> Void
  ) throws(PipelineError) -> Reconstructions {
    var made = Reconstructions()
    made.patches = patchDistance.map { ($0.sample(), $0.sample()) }
    let compared = Set(indices.spread(over: PatchDistance.maximumPictures))
    let places = Dictionary(uniqueKeysWithValues: captions.indices.enumerated().map { ($1, $0) })
    for start in stride(from: 0, to: indices.count, by: Self.picturesAtOnce) {
      progress(Double(start) / Double(indices.count))
      let group = Array(indices[start..<min(start + Self.picturesAtOnce, indices.count)])
      let pictures = try reconstructor.team.throwingMap(group.count) { (i) throws(PipelineError) in
        try dataSet.picture(at: group[i])
      }
      let results = reconstructor.reconstruct(pictures)
      made.squaredError += results.map(\.meanSquaredError).reduce(0, +)
      made.tokens += results.map(\.tokens)
      let sampled = group.indices.filter { compared.contains(group[$0]) }
      made.patches?.of.add(sampled.map { results[$0].picture })
      made.patches?.originals.add(sampled.map { pictures[$0] })
      for (i, index) in group.enumerated() {
        guard let place = places[index] else { continue }
        let ceiling = library.distances(from: results[i].picture).place(ofNearest: captions.own[place])
        made.ceilings.append(ceiling)
        guard captions.shown[index] != nil else { continue }
        made.drawings.append(
          .init(
            caption: dataSet.entries[index].captions[0], original: pictures[i], reconstruction: results[i].picture,
            ceiling: ceiling))
      }
    }
    return made
  }

  /// The figures of stage 1.
  private func stage1(_ split: Split, _ reconstructed: Reconstructions) throws(PipelineError) -> Evaluation {
    let count = reconstructed.tokens.count
    let use = CodebookUse(tokens: reconstructed.tokens.flatMap(\.self), codeCount: reconstructor.tokenizer.codeCount)
    return Evaluation(
      split: split, pictures: count,
      reconstructionPsnrInDecibels: psnrInDecibels(meanSquaredError: reconstructed.squaredError / Double(count)),
      reconstructionPatchDistance: try reconstructed.patches.flatMap { (patches) throws(PipelineError) in
        try patchDistance?.between(patches.of, patches.originals)
      },
      codebookPerplexity: use.perplexity, codebookUse: Double(use.used) / Double(use.total),
      retrievalCeiling: .init(ranks: reconstructed.ceilings.map(\.rank)), drawings: reconstructed.drawings)
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

  /// What of the data set is near to a picture that was drawn.
  /// - Parameter own: the pictures of the caption that it was drawn for; nil where the data set has none.
  private func neighbourhood(of picture: Picture, own: [Int]?) throws(PipelineError) -> Evaluation.DrawnPicture {
    let distances = library.distances(from: picture)
    var drawn = Evaluation.DrawnPicture(picture: picture, own: own.map(distances.place(ofNearest:)))
    if let nearest = distances.nearest(of: dataSet.indices(of: .train)) {
      drawn.nearest = .init(
        caption: dataSet.entries[nearest].captions[0], picture: try dataSet.picture(at: nearest),
        isOwn: own?.contains(nearest) == true, distance: distances.rootMeanSquare(at: nearest))
    }
    return drawn
  }
}

extension TextToImageModel {
  /// Pictures that are drawn at a time, all of which are in memory.
  private static var picturesAtOnce: Int { 512 }

  /// Draws for some captions after the others.
  /// - Parameters:
  ///   - captions: what to draw.
  ///   - candidates: pictures for each caption, of which the ranker chooses one; nil draws one.
  ///   - options: of drawing.
  ///   - progress: told the share that is done, in 0 ... 1.
  ///   - each: given for each caption, in their order, its place among them, the first picture of the seed, and the best of the
  ///     candidates; the same where nothing is chosen.
  func draw(
    _ captions: [String], candidates: Int?, options: GenerationOptions, progress: (Double) -> Void,
    each: (_ place: Int, _ first: Picture, _ best: Picture) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    let step = max(1, Self.picturesAtOnce / (candidates ?? 1))
    for start in stride(from: 0, to: captions.count, by: step) {
      let group = Array(captions[start..<min(start + step, captions.count)])
      func report(_ share: Double) {
        progress((Double(start) + share * Double(group.count)) / Double(captions.count))
      }
      guard let candidates else {
        let pictures = try generate(captions: group, options: options, progress: report)
        for (i, picture) in pictures.enumerated() { try each(start + i, picture, picture) }
        continue
      }
      let ranked = try generateRanked(
        captions: group, count: candidates, candidates: candidates, options: options, progress: report)
      for (i, pictures) in ranked.enumerated() {
        try each(start + i, pictures.first { $0.number == 0 }!.picture, pictures[0].picture)
      }
    }
  }

  /// The same, all together.
  func draw(
    _ captions: [String], candidates: Int?, options: GenerationOptions, progress: (Double) -> Void
  ) throws(PipelineError) -> [(first: Picture, best: Picture)] {
    var drawn: [(first: Picture, best: Picture)] = []
    try draw(captions, candidates: candidates, options: options, progress: progress) { drawn.append(($1, $2)) }
    return drawn
  }
}
