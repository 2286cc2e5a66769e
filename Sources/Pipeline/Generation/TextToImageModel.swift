import Basics
import Captions
import Checkpoints
import Datasets
import Decoding
import Foundation
import ImageTokenizers
import Imaging
import Lexicon
import Priors
import Rankers
import TextTokenizer

/// How pictures are drawn.
public struct GenerationOptions: Sendable {
  /// Names the random numbers: the same seed gives the same pictures.
  public var seed: UInt64
  /// Nil draws as the checkpoint's prior wants it; see `Prior.sampling`.
  public var sampling: SamplingOptions?
  /// The picture whose upper part is kept; nil draws all of it.
  public var imagePrompt: ImagePrompt?
  /// Whether nouns that no training caption has are drawn as the nearest ones that are there; see
  /// ``TextToImageModel/replacingUnseenNouns(in:)``. Otherwise the model is given the caption as it stands.
  public var replacesUnseenNouns: Bool

  public init(
    seed: UInt64 = 0, sampling: SamplingOptions? = nil, imagePrompt: ImagePrompt? = nil,
    replacesUnseenNouns: Bool = false
  ) {
    self.seed = seed
    self.sampling = sampling
    self.imagePrompt = imagePrompt
    self.replacesUnseenNouns = replacesUnseenNouns
  }
}

/// A picture as the beginning of others (Ramesh et al. 2021, figure 2d: "the exact same cat on the top as a sketch on the
/// bottom"): the first rows of its image tokens are given, and the others are drawn from the caption and from them.
///
/// What is kept are tokens. Pixels near the first row that is drawn may change, because the decoder's convolutions see
/// both sides.
public struct ImagePrompt: Sendable {
  /// Of any size: it is made square the way that the checkpoint's data set was, and brought to the tokenizer's size.
  public var picture: Picture
  /// Rows of image tokens that are kept, from the top, 0 ..< the grid's side. 0 draws what is drawn without a prompt. Nil
  /// keeps the upper half.
  public var keptRows: Int?

  public init(_ picture: Picture, keptRows: Int? = nil) {
    self.picture = picture
    self.keptRows = keptRows
  }
}

/// Both stages of a checkpoint, ready to draw.
///
/// ```swift
/// let model = try TextToImageModel(contentsOf: URL(filePath: "checkpoints/emoji"))
/// let pictures = try model.generate("a red heart", count: 4, options: .init(seed: 7))
/// try pictures[0].write(to: URL(filePath: "heart.png"))
/// ```
public final class TextToImageModel {
  public let configuration: CheckpointConfiguration
  public let imageTokenizer: any ImageTokenizer
  public let prior: any Prior
  public let textEncoder: any TextEncoder
  private let team: ThreadTeam
  private(set) lazy var decoder = prior.makeDecoder(team: team)
  private let checkpoint: Checkpoint
  private var loadedRanker: Ranker?
  private var knownCaptions: KnownCaptions?
  private lazy var knownWords = configuration.captionWords.map { KnownWords($0) }
  private var unseenNouns: UnseenNouns?

  /// Loads a checkpoint's folder.
  /// - Parameters:
  ///   - url: the folder.
  ///   - threads: how many threads draw; all cores unless told otherwise. The pictures do not depend on it.
  /// - Throws: `PipelineError` where the folder or one of the stages is missing, damaged or does not fit the others.
  public init(
    contentsOf url: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount
  ) throws(PipelineError) {
    checkpoint = Checkpoint(url)
    configuration = try checkpoint.readConfiguration()
    imageTokenizer = try checkpoint.readUpsampledImageTokenizer(configuration)
    prior = try checkpoint.readPrior(configuration)
    textEncoder = try checkpoint.readTextEncoder(configuration)
    if let description = configuration.prior {
      try checkpoint.checkBelongTogether(description.base, imageTokenizer, textEncoder)
    }
    team = try ThreadTeam(count: threads)
  }

  /// Draws pictures for a caption.
  ///
  /// Picture i of a seed is the same bits whatever `count` and the number of threads.
  ///
  /// ```swift
  /// let best = try model.generate("a red heart", candidates: 16, options: .init(sampling: .init(temperature: 0.9)))
  /// ```
  /// - Parameters:
  ///   - caption: what to draw. Text beyond the prior's context is cut; see ``tokens(of:)``.
  ///   - count: pictures 0 ..< count of the seed are drawn.
  ///   - candidates: draw pictures 0 ..< candidates instead, and keep the `count` best by the checkpoint's ranker, the best first.
  ///   - options: the seed, how tokens are drawn, and what picture to begin with.
  ///   - progress: told the share that is done, in 0 ... 1.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense, an image prompt's rows among them, and for
  ///   candidates what ``generateRanked(captions:count:candidates:options:progress:)`` throws.
  public func generate(
    _ caption: String, count: Int = 1, candidates: Int? = nil, options: GenerationOptions = .init(),
    progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [Picture] {
    try generate(captions: [caption], count: count, candidates: candidates, options: options, progress: progress)
  }

  /// The same for several captions: `count` pictures of each, caption after caption.
  public func generate(
    captions: [String], count: Int = 1, candidates: Int? = nil, options: GenerationOptions = .init(),
    progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [Picture] {
    if let candidates {
      let ranked = try generateRanked(
        captions: captions, count: count, candidates: candidates, options: options, progress: progress)
      return ranked.flatMap { $0.map(\.picture) }
    }
    return reconstructor.decode(try tokens(captions: captions, count: count, options: options, progress: progress))
  }

  /// The image tokens of what ``generate(captions:count:candidates:options:progress:)`` draws, without candidates.
  package func tokens(
    captions: [String], count: Int = 1, options: GenerationOptions, progress: (Double) -> Void = { _ in }
  ) throws(PipelineError) -> [[Int32]] {
    guard count > 0 else { throw PipelineError(.usage, "`count` must be 1 or more, not \(count)") }
    return decoder.draw(try requests(captions, 0..<count, options), progress: progress)
  }

  /// What pictures of the seed to draw for each caption, caption after caption.
  func requests(
    _ captions: [String], _ numbers: Range<Int>, _ options: GenerationOptions
  ) throws(PipelineError) -> [DrawingRequest] {
    var requests: [DrawingRequest] = []
    for caption in captions {
      var request = try request(caption, number: 0, options, prefix: requests.first?.prefix)
      for number in numbers {
        request.number = number
        requests.append(request)
      }
    }
    return requests
  }

  /// One picture of the seed for a caption.
  /// - Parameter prefix: the tokens of the image prompt, where they are known already.
  package func request(
    _ caption: String, number: Int, _ options: GenerationOptions, prefix: [Int32]? = nil
  ) throws(PipelineError) -> DrawingRequest {
    try request(textEncoder.encode(try text(of: caption, options)), number: number, options, prefix: prefix)
  }

  /// The same for a caption's tokens, as the model is given it.
  package func request(
    _ text: [Int32], number: Int, _ options: GenerationOptions, prefix: [Int32]? = nil
  ) throws(PipelineError) -> DrawingRequest {
    let sampling = options.sampling ?? prior.sampling
    try sampling.validate()
    let kept = prefix == nil ? try options.imagePrompt.map(keptTokens) : prefix
    return DrawingRequest(text: text, prefix: kept ?? [], sampling: sampling, seed: options.seed, number: number)
  }

  /// The rows of an image prompt that are kept.
  /// - Throws: `PipelineError` of kind `.usage` where there are not so many, or none would be left to draw.
  public func keptRows(of prompt: ImagePrompt) throws(PipelineError) -> Int {
    let rows = prompt.keptRows ?? prior.gridSide / 2
    guard (0..<prior.gridSide).contains(rows) else {
      throw PipelineError(
        .usage,
        "`keptRows` must be 0 to \(prior.gridSide - 1), not \(rows): a picture has \(prior.gridSide) rows of tokens")
    }
    return rows
  }

  private func keptTokens(of prompt: ImagePrompt) throws(PipelineError) -> [Int32] {
    let count = try keptRows(of: prompt) * prior.gridSide * prior.codesPerPlace
    return Array(reconstructor.tokens(of: [squared(prompt.picture)])[0].prefix(count))
  }

  /// Pictures through stage 1 and back, at the model's size.
  public func reconstruct(_ pictures: [Picture]) -> [Picture] {
    reconstructor.reconstruct(pictures.map(squared)).map(\.picture)
  }

  /// A picture as the tokenizer takes it.
  private func squared(_ picture: Picture) -> Picture {
    picture.squared(side: imageTokenizer.pictureSize, fit: configuration.data?.fit ?? .pad)
  }

  /// The checkpoint's ranker, read when it is asked for first: drawing alone does without.
  /// - Throws: `PipelineError` where there is none, or it is damaged or does not fit the other parts.
  public func ranker() throws(PipelineError) -> Ranker {
    if let loadedRanker { return loadedRanker }
    let ranker = try checkpoint.readRanker(configuration)
    try checkpoint.checkBelongTogether(ranker.configuration, imageTokenizer, textEncoder)
    loadedRanker = ranker
    return ranker
  }

  package var reconstructor: Reconstructor { Reconstructor(tokenizer: imageTokenizer, team: team) }
  package var threadTeam: ThreadTeam { team }

  /// A caption's tokens, and how many of them the prior sees.
  public func tokens(of caption: String) -> (ids: [Int32], used: Int) {
    let ids = textEncoder.encode(caption)
    return (ids, min(ids.count, prior.textLength))
  }

  /// How much of a caption the training captions say, and which of them are nearest to it.
  /// - Returns: nil where the caption says nothing, and for a checkpoint that does not hold its captions.
  /// - Throws: `PipelineError` where the file of captions is damaged.
  public func familiarity(of caption: String) throws(PipelineError) -> PromptFamiliarity? {
    guard let captions = try readCaptions() else { return nil }
    let hasForms = configuration.priorTraining?.settings.captionForms?.isEmpty == false
    return captions.familiarity(of: caption, neutral: hasForms ? CaptionForms.ownWords : [])
  }

  /// Reads what is otherwise read when it is asked for first: the ranker, the captions and the list of nouns, where the checkpoint
  /// has them. So all that draws is of the same time, and what is damaged is known before anything is drawn.
  /// - Throws: `PipelineError` where one of them is damaged, or does not fit the other parts.
  package func readAll() throws(PipelineError) {
    if configuration.ranker != nil, checkpoint.hasRanker { _ = try ranker() }
    _ = try readCaptions()
    _ = try readUnseenNouns()
  }

  /// The captions that the checkpoint holds, read when they are asked for first.
  private func readCaptions() throws(PipelineError) -> KnownCaptions? {
    if knownCaptions == nil, checkpoint.exists(checkpoint.captionsFile) {
      knownCaptions = try KnownCaptions(contentsOf: checkpoint.captionsFile)
    }
    return knownCaptions
  }

  /// The words and signs of a caption that no training caption contains, words in singular or plural or with a Korean particle,
  /// each once: first the words in their order, then signs such as emoji.
  public func unseenWords(in caption: String) -> [String] {
    guard let knownWords else { return [] }
    var signs = knownWords.missingSigns(in: caption)
    // Checkpoints of before list words alone.
    if !signs.isEmpty, let captions = try? readCaptions() { signs = captions.missing(signs) }
    var named = Set<String>()
    return (knownWords.missing(in: caption) + signs).filter { named.insert($0).inserted }
  }

  /// A caption with the nearest noun that training captions have in the place of each that they do not, by what both are:
  /// "two rhinoceroses" for "two tapirs". Other words that they do not have stay.
  ///
  /// ```swift
  /// let prompt = try model.replacingUnseenNouns(in: "a tapir made of accordion")
  /// for replacement in prompt.replacements { print(replacement) }
  /// let pictures = try model.generate(prompt.text)
  /// ```
  /// - Returns: the caption as it is where nothing is near, and for a checkpoint whose prior was trained without WordNet.
  /// - Throws: `PipelineError` where the file of nouns is damaged.
  public func replacingUnseenNouns(in caption: String) throws(PipelineError) -> ReplacedPrompt {
    guard let knownWords, !knownWords.missing(in: caption).isEmpty, let nouns = try readUnseenNouns() else {
      return ReplacedPrompt(text: caption)
    }
    return try nouns.replaced(caption)
  }

  /// What finds nouns that were never seen, read when it is asked for first; nil for a checkpoint without a list of nouns.
  private func readUnseenNouns() throws(PipelineError) -> UnseenNouns? {
    if unseenNouns == nil, let knownWords, checkpoint.exists(checkpoint.nounsFile) {
      unseenNouns = UnseenNouns(words: knownWords, map: try NounMap(contentsOf: checkpoint.nounsFile))
    }
    return unseenNouns
  }

  /// What the model is given of a caption.
  package func text(of caption: String, _ options: GenerationOptions) throws(PipelineError) -> String {
    options.replacesUnseenNouns ? try replacingUnseenNouns(in: caption).text : caption
  }
}
