import Foundation
import LatentModels
import Media
import Priors
import TensorCore
import TextTokenizer

/// How pictures are drawn.
public struct GenerationOptions: Sendable {
  /// Names the random numbers: the same seed gives the same pictures.
  public var seed: UInt64
  public var sampling: SamplingOptions

  public init(seed: UInt64 = 0, sampling: SamplingOptions = .init()) {
    self.seed = seed
    self.sampling = sampling
  }
}

/// Both stages of a checkpoint, ready to draw.
public final class TextToImageModel {
  public let configuration: CheckpointConfiguration
  public let imageTokenizer: any ImageTokenizer
  public let prior: any Prior
  public let vocabulary: BytePairEncoding
  private let team: ThreadTeam
  private lazy var decoder = prior.makeDecoder(team: team)
  private let checkpoint: Checkpoint
  private var loadedRanker: Ranker?

  /// Loads a checkpoint's folder.
  /// - Parameter threads: how many threads draw; all cores unless told otherwise. The pictures do not depend on it.
  /// - Throws: `PipelineError` where the folder or one of the stages is missing, damaged or does not fit the others.
  public init(
    contentsOf url: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount
  ) throws(PipelineError) {
    checkpoint = Checkpoint(url)
    configuration = try checkpoint.readConfiguration()
    imageTokenizer = try checkpoint.readImageTokenizer(configuration)
    prior = try checkpoint.readPrior(configuration)
    vocabulary = try checkpoint.readVocabulary()
    if let description = configuration.prior {
      try checkpoint.checkBelongTogether(description, imageTokenizer, vocabulary)
    }
    team = try makeTeam(threads: threads)
  }

  /// Draws pictures for a caption.
  ///
  /// Picture i of a seed is the same bits whatever `count` and the number of threads.
  /// - Parameters:
  ///   - caption: what to draw. Text beyond the prior's context is cut; see ``tokens(of:)``.
  ///   - progress: told the share that is done, in 0 ... 1.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  public func generate(
    _ caption: String, count: Int = 1, options: GenerationOptions = .init(),
    progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [Picture] {
    try generate(captions: [caption], count: count, options: options, progress: progress)
  }

  /// Draws pictures 0 ..< count of the seed for each caption, caption after caption.
  public func generate(
    captions: [String], count: Int = 1, options: GenerationOptions = .init(),
    progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [Picture] {
    try options.sampling.validate()
    guard count > 0 else { throw PipelineError(.usage, "--count must be 1 or more, not \(count)") }
    let requests = captions.flatMap { caption in
      let text = vocabulary.encode(caption)
      return (0..<count).map { DrawingRequest(text: text, seed: options.seed, number: $0) }
    }
    return draw(requests, options.sampling, progress)
  }

  /// Sequences that advance together: enough to read each weight rarely, few enough for the cache.
  private static let picturesAtOnce = 8

  private func draw(
    _ requests: [DrawingRequest], _ options: SamplingOptions, _ progress: (Double) -> Void
  ) -> [Picture] {
    let length = prior.imageLength
    var pictures: [Picture] = []
    for start in stride(from: 0, to: requests.count, by: Self.picturesAtOnce) {
      let part = Array(requests[start..<min(start + Self.picturesAtOnce, requests.count)])
      let tokens = decoder.draw(part, options: options) { done in
        progress((Double(start) + Double(part.count * done) / Double(length)) / Double(requests.count))
      }
      pictures += reconstructor.decode(tokens)
    }
    return pictures
  }

  /// Pictures through stage 1 and back, at the model's size.
  public func reconstruct(_ pictures: [Picture]) -> [Picture] {
    let (size, fit) = (imageTokenizer.pictureSize, configuration.data?.fit ?? .pad)
    return reconstructor.reconstruct(pictures.map { $0.squared(side: size, fit: fit) }).map(\.picture)
  }

  /// The checkpoint's ranker, read when it is asked for first: drawing alone does without.
  /// - Throws: `PipelineError` where there is none, or it is damaged or does not fit the other parts.
  public func ranker() throws(PipelineError) -> Ranker {
    if let loadedRanker { return loadedRanker }
    let ranker = try checkpoint.readRanker(configuration)
    try checkpoint.checkBelongTogether(ranker.configuration, imageTokenizer, vocabulary)
    loadedRanker = ranker
    return ranker
  }

  var reconstructor: Reconstructor { Reconstructor(tokenizer: imageTokenizer, team: team) }
  var threadTeam: ThreadTeam { team }

  /// A caption's tokens, and how many of them the prior sees.
  public func tokens(of caption: String) -> (ids: [Int32], used: Int) {
    let ids = vocabulary.encode(caption)
    return (ids, min(ids.count, prior.textLength))
  }

  /// The words of a caption that no training caption contains, each once, in their order.
  public func unseenWords(in caption: String) -> [String] {
    guard let words = configuration.captionWords else { return [] }
    let known = Set(words.split(separator: " ").map(String.init))
    var named = Set<String>()
    return BytePairEncoding.words(in: caption).filter { !known.contains($0) && named.insert($0).inserted }
  }
}
