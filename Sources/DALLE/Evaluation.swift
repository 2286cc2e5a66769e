import Corpus
import Foundation
import LatentModels
import Media
import Priors
import TensorCore

/// The figures of merit of a checkpoint on one split of a data set.
public struct Evaluation: Encodable, Sendable {
  public var split: Split
  /// Pictures that reconstruction, codebook and loss were measured on: the whole split.
  public var pictures: Int
  /// From the mean squared error over the split, pixels in [0, 1].
  public var reconstructionPsnrInDecibels: Double
  /// Over the split's tokens; see ``CodebookUse``.
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

  public struct Retrieval: Encodable, Sendable {
    /// Captions that were drawn.
    public var captions: Int
    /// The shares whose own picture is the nearest, and among the five nearest.
    public var at1: Double
    public var at5: Double
  }
}

/// Measures a model on a data set.
public struct Evaluator {
  private let reconstructor: Reconstructor
  /// Both stages; nil where there is only the first.
  private let model: TextToImageModel?
  public let dataSet: PictureDataSet
  /// Every picture of the data set box-filtered to 32×32 RGB.
  private let library: [[UInt8]]

  private static let retrievalSide = 32

  public init(_ model: TextToImageModel, _ dataSet: PictureDataSet) throws(PipelineError) {
    try self.init(model, model.reconstructor, dataSet)
  }

  /// Measures stage 1 alone.
  public init(_ tokenizer: StandaloneTokenizer, _ dataSet: PictureDataSet) throws(PipelineError) {
    try self.init(nil, tokenizer.reconstructor, dataSet)
  }

  private init(
    _ model: TextToImageModel?, _ reconstructor: Reconstructor, _ dataSet: PictureDataSet
  ) throws(PipelineError) {
    self.model = model
    self.reconstructor = reconstructor
    self.dataSet = dataSet
    var library: [[UInt8]] = []
    for index in dataSet.entries.indices { library.append(Self.feature(try dataSet.picture(at: index))) }
    self.library = library
  }

  private static func feature(_ picture: Picture) -> [UInt8] {
    picture.resized(width: retrievalSide, height: retrievalSide).pixels
  }

  /// - Parameters:
  ///   - captionLimit: draw for at most this many captions of the split, chosen by the options' seed; nil draws all.
  ///   - candidates: draw so many pictures for each caption, and measure the ranker's choice among them, too.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where the split has no pictures.
  /// - Throws: `PipelineError` where a picture cannot be read, the options make no sense, or there is no ranker to choose.
  public func evaluate(
    _ split: Split, options: GenerationOptions = .init(), captionLimit: Int? = nil,
    candidates: Int? = nil, progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> Evaluation? {
    let indices = dataSet.indices(of: split)
    guard !indices.isEmpty else { return nil }
    let drawn = Self.choose(indices, limit: captionLimit, seed: options.seed)
    var pictures: [Picture] = []
    for index in indices { pictures.append(try dataSet.picture(at: index)) }
    progress("reconstructing \(split.rawValue)", 0)
    let reconstructions = reconstructor.reconstruct(pictures)
    let error = reconstructions.map(\.meanSquaredError).reduce(0, +) / Double(indices.count)
    let use = CodebookUse(tokens: reconstructions.flatMap(\.tokens), codeCount: reconstructor.tokenizer.codeCount)
    let reconstructed = Dictionary(uniqueKeysWithValues: zip(indices, reconstructions.map(\.picture)))
    var evaluation = Evaluation(
      split: split, pictures: indices.count,
      reconstructionPsnrInDecibels: psnrInDecibels(meanSquaredError: error), codebookPerplexity: use.perplexity,
      codebookUse: Double(use.used) / Double(use.total),
      retrievalCeiling: retrieval(drawn.compactMap { reconstructed[$0] }, of: drawn))
    guard let model else { return evaluation }
    progress("measuring the prior on \(split.rawValue)", 0)
    evaluation.priorLoss = model.prior.meanImageLoss(
      texts: indices.map { model.vocabulary.encode(dataSet.entries[$0].captions[0]) },
      images: reconstructions.map(\.tokens), precision: .float32, team: model.threadTeam)
    let captions = drawn.map { dataSet.entries[$0].captions[0] }
    let report = { progress("drawing \(split.rawValue)", $0) }
    guard let candidates else {
      let generated = try model.generate(captions: captions, options: options, progress: report)
      evaluation.retrieval = retrieval(generated, of: drawn)
      return evaluation
    }
    let ranked = try model.generate(
      captions: captions, count: candidates, candidates: candidates, options: options, progress: report)
    // Number 0 is what would have been drawn alone.
    evaluation.retrieval = retrieval(ranked.compactMap { $0.first { $0.number == 0 }?.picture }, of: drawn)
    evaluation.rankedRetrieval = retrieval(ranked.map { $0[0].picture }, of: drawn)
    evaluation.candidates = candidates
    return evaluation
  }

  private static func choose(_ indices: [Int], limit: Int?, seed: UInt64) -> [Int] {
    guard let limit, limit < indices.count else { return indices }
    var random = Philox(seed: seed, stream: 0xE7A1)
    return random.permutation(indices.count).prefix(limit).map { indices[$0] }.sorted()
  }

  /// Where each picture's own one, `indices[i]`, stands among its neighbours.
  private func retrieval(_ pictures: [Picture], of indices: [Int]) -> Evaluation.Retrieval {
    var ranks: [Int] = []
    for (picture, index) in zip(pictures, indices) {
      let feature = Self.feature(picture)
      let own = Self.squaredDistance(feature, library[index])
      ranks.append(library.count { Self.squaredDistance(feature, $0) < own })
    }
    let count = Double(max(1, ranks.count))
    return .init(
      captions: ranks.count, at1: Double(ranks.count { $0 < 1 }) / count, at5: Double(ranks.count { $0 < 5 }) / count)
  }

  private static func squaredDistance(_ a: [UInt8], _ b: [UInt8]) -> Int32 {
    // 32·32·3·255² is below 2³¹.
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        var sum: Int32 = 0
        for i in a.indices {
          let difference = Int32(a[i]) - Int32(b[i])
          sum &+= difference &* difference
        }
        return sum
      }
    }
  }
}
