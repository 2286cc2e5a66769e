import Basics
import Captions
import Datasets
import Foundation
import Generation
import Imaging

/// What was measured of captions that stand in no data set word for word.
public struct Wording: Sendable {
  /// Nil where there is no prior.
  public var forms: FormEvaluation?
  /// Nil where no prompts were given.
  public var prompts: PromptEvaluation?
  /// Nil where it was not asked for.
  public var compositions: CompositionEvaluation?
  /// Nil where it was not asked for.
  public var unseenNouns: UnseenNounEvaluation?

  public init(
    forms: FormEvaluation? = nil, prompts: PromptEvaluation? = nil, compositions: CompositionEvaluation? = nil,
    unseenNouns: UnseenNounEvaluation? = nil
  ) {
    (self.forms, self.prompts) = (forms, prompts)
    (self.compositions, self.unseenNouns) = (compositions, unseenNouns)
  }

  /// For each figure a row: what it is of, how many were drawn, and the share that is right.
  public var figures: [[String]] {
    (forms?.figures ?? []) + (prompts?.figures ?? []) + (compositions?.figures ?? []) + (unseenNouns?.figures ?? [])
  }

  /// What the figures mean.
  static let explanation = """
    X is a training caption without article and full stop, and right is one whose own picture, or another of the same caption, \
    is the nearest of all to the one that is drawn. Keywords are right where the nearest picture carries both, everyday prompts where it is one of those \
    that would do, and pairs never seen where it is their own among compositions of which at least five share each of their parts. \
    The classes and kinds of nouns are those of WordNet.
    """
}

/// How well a model answers its training captions in the forms in which people write them.
public struct FormEvaluation: Encodable, Sendable {
  /// One form, such as "a X".
  public struct Form: Encodable, Sendable {
    public var form: String
    /// Among all pictures of the data set, as for the captions themselves.
    public var retrieval: Evaluation.Retrieval
  }

  /// Two keywords of a picture as a caption.
  public struct KeywordPairs: Encodable, Sendable {
    /// Pairs that were drawn.
    public var captions: Int
    /// The share whose nearest picture of all carries both.
    public var carried: Double
  }

  /// A caption in all forms, to look at; no part of the figures.
  public struct Row: Sendable {
    public var caption: String
    public var drawings: [PromptDrawing]
  }

  public var forms: [Form]
  /// Nil where no picture has two keywords.
  public var keywordPairs: KeywordPairs?
  public var rows: [Row] = []

  enum CodingKeys: String, CodingKey { case forms, keywordPairs }

  /// For each form a row: its name, how many captions, and the share that was found.
  var figures: [[String]] {
    forms.map { ["“\($0.form)”", "\($0.retrieval.captions)", percent($0.retrieval.at1)] }
      + (keywordPairs.map {
        [["two keywords, the nearest picture carries both", "\($0.captions)", percent($0.carried)]]
      }
        ?? [])
  }
}

/// How well a model answers prompts that need not be captions of its data.
public struct PromptEvaluation: Encodable, Sendable {
  public var prompts: Int
  /// The share whose nearest picture of all is one that would do, with one draw.
  public var answered: Double
  /// Pictures drawn for each prompt, of which the ranker chose one; nil where it was not asked.
  public var candidates: Int?
  /// The same with the ranker's choice.
  public var rankedAnswered: Double?
  /// What was drawn, and the ranker's choices, to look at; no part of the figures.
  public var drawings: [PromptDrawing] = []
  public var rankedDrawings: [PromptDrawing] = []

  enum CodingKeys: String, CodingKey { case prompts, answered, candidates, rankedAnswered }

  var figures: [[String]] {
    [["everyday prompts, the nearest picture would do", "\(prompts)", percent(answered)]]
      + (rankedAnswered.map { [["the same, best of \(candidates ?? 0)", "\(prompts)", percent($0)]] } ?? [])
  }
}

/// A picture that was drawn for a prompt, and whether it is right.
public struct PromptDrawing: Sendable {
  public var prompt: String
  public var picture: Picture
  public var isRight: Bool
  /// The first caption of the nearest picture of all.
  public var nearest: String
}

/// As the tables of card, sheet and terminal have it.
func percent(_ share: Double) -> String { String(format: "%.1f%%", 100 * share) }

/// A prompt that people may type, and the pictures that would do.
public struct EverydayPrompt: Sendable, Equatable {
  public var text: String
  /// Positions in the data set's `entries`.
  public var pictures: [Int]

  private struct Line: Decodable {
    var prompt: String
    package var pictures: [String]
  }

  /// Reads a file of JSON lines, `{"prompt": "a cup of coffee", "pictures": ["hot beverage", "2615.png"]}`: each picture
  /// is named by one of its captions or by its file name.
  /// - Throws: `PipelineError` of kind `.noInput` where there is no such file, `.badData` naming the first line that is
  ///   none or names a picture that the data set does not have.
  public static func read(_ url: URL, for dataSet: PictureDataSet) throws(PipelineError) -> [EverydayPrompt] {
    let content = try InputFile.contents(of: url, maximumByteCount: 64 << 20)
    var named: [String: [Int]] = [:]
    for (index, entry) in dataSet.entries.enumerated() {
      for name in Set([entry.fileName] + entry.captions) { named[name, default: []].append(index) }
    }
    var prompts: [EverydayPrompt] = []
    let lines = content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (number, line) in lines.enumerated() where !line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == 13 }) {
      let place = "\(url.relativePath) line \(number + 1)"
      guard let read = try? JSONDecoder().decode(Line.self, from: line), !read.pictures.isEmpty else {
        throw PipelineError(.badData, "\(place): not a JSON object with prompt and pictures")
      }
      var pictures: [Int] = []
      for name in read.pictures {
        guard let found = named[name] else {
          throw PipelineError(.badData, "\(place): the data set has no picture \"\(name)\"")
        }
        pictures += found
      }
      prompts.append(EverydayPrompt(text: read.prompt, pictures: pictures))
    }
    guard !prompts.isEmpty else { throw PipelineError(.badData, "\(url.relativePath) has no prompts") }
    return prompts
  }
}

extension Evaluator {
  /// Draws training captions in the forms in which people write them, one picture each, and looks each up among all
  /// pictures of the data set.
  /// - Parameters:
  ///   - options: of drawing.
  ///   - captionLimit: draw for at most this many captions, the same as ``evaluate(_:options:captionLimit:candidates:progress:)``
  ///     takes of the training split.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where there is no prior, or no training picture that could be read.
  /// - Throws: `PipelineError` of kind `.usage` for options that make no sense.
  public func evaluateForms(
    options: GenerationOptions = .init(), captionLimit: Int? = nil, progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> FormEvaluation? {
    let train = dataSet.indices(of: .train)
    guard let model, !train.isEmpty else { return nil }
    let forms = CaptionForms(of: dataSet.entries, indices: train)
    // A composition is said as a whole, in the wordings that it has.
    let plain = dataSet.uncomposed(train)
    // Nothing is near to a picture that could not be read.
    let there = (plain.isEmpty ? train : plain).filter(library.contains)
    guard !there.isEmpty else { return nil }
    let indices = Self.choose(there, limit: captionLimit, seed: options.seed)
    let own = dataSet.sharingCaption(of: indices)
    let written = CaptionForms.Measured.allCases
    var evaluation = FormEvaluation(forms: [])
    evaluation.rows = indices.map { .init(caption: dataSet.entries[$0].captions[0], drawings: []) }
    for (number, form) in written.enumerated() {
      let drawings = try answers(
        indices.map { forms.caption(of: $0, in: form) }, right: { own[$0] }, model, options
      ) { progress("drawing captions in other forms", (Double(number) + $0) / Double(written.count + 1)) }
      evaluation.forms.append(.init(form: form.rawValue, retrieval: .init(ranks: drawings.map(\.rank))))
      for (i, drawing) in drawings.enumerated() { evaluation.rows[i].drawings.append(drawing.shown) }
    }
    let pairs = indices.enumerated().compactMap { place, index in
      forms.keywordPair(of: index, seed: options.seed).map { (place: place, words: $0) }
    }
    if !pairs.isEmpty {
      let content = dataSet.entries.map { ContentWords(of: $0.allCaptions) }
      let carriers = pairs.map { pair in
        let asked = ContentWords(of: pair.words).words
        return content.indices.filter { asked.isSubset(of: content[$0].words) && library.contains($0) }
      }
      let drawings = try answers(
        pairs.map { $0.words.joined(separator: " ") }, right: { carriers[$0] }, model, options
      ) { progress("drawing keywords", (Double(written.count) + $0) / Double(written.count + 1)) }
      for (pair, drawing) in zip(pairs, drawings) { evaluation.rows[pair.place].drawings.append(drawing.shown) }
      evaluation.keywordPairs = .init(
        captions: pairs.count, carried: Double(drawings.count { $0.shown.isRight }) / Double(pairs.count))
    }
    return evaluation
  }

  /// Draws for prompts that need not be captions of the data set, and looks whether the nearest picture of all would do.
  /// - Parameters:
  ///   - prompts: see ``EverydayPrompt/read(_:for:)``; not empty.
  ///   - candidates: draw so many pictures for each prompt, and measure the ranker's choice among them, too.
  ///   - options: of drawing.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where there is no prior.
  /// - Throws: `PipelineError` for options that make no sense, or where there is no ranker to choose.
  public func evaluate(
    _ prompts: [EverydayPrompt], candidates: Int? = nil, options: GenerationOptions = .init(),
    progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> PromptEvaluation? {
    guard let model else { return nil }
    let ranked = try model.draw(prompts.map(\.text), candidates: candidates, options: options) {
      progress("drawing prompts", $0)
    }
    func shown(_ pictures: [Picture]) -> [PromptDrawing] {
      zip(prompts, pictures).map { answer($0.text, $1, right: $0.pictures).shown }
    }
    func share(_ drawings: [PromptDrawing]) -> Double {
      Double(drawings.count(where: \.isRight)) / Double(prompts.count)
    }
    let drawings = shown(ranked.map(\.first))
    var evaluation = PromptEvaluation(prompts: prompts.count, answered: share(drawings), drawings: drawings)
    if let candidates {
      evaluation.candidates = candidates
      evaluation.rankedDrawings = shown(ranked.map(\.best))
      evaluation.rankedAnswered = share(evaluation.rankedDrawings)
    }
    return evaluation
  }

  /// Draws one picture for each text and looks it up.
  private func answers(
    _ texts: [String], right: (Int) -> [Int], _ model: TextToImageModel, _ options: GenerationOptions,
    progress: (Double) -> Void
  ) throws(PipelineError) -> [(shown: PromptDrawing, rank: Int)] {
    let pictures = try model.generate(captions: texts, options: options, progress: progress)
    return texts.indices.map { answer(texts[$0], pictures[$0], right: right($0)) }
  }

  /// - Parameter right: the pictures that would do, at least one.
  /// - Returns: the picture with what it is nearest to, and how many pictures are nearer than the best that would do.
  private func answer(_ text: String, _ picture: Picture, right: [Int]) -> (shown: PromptDrawing, rank: Int) {
    let distances = library.distances(from: picture)
    let rank = distances.place(ofNearest: right).rank
    let nearest = distances.nearest(of: Array(dataSet.entries.indices)).map { dataSet.entries[$0].captions[0] }
    return (PromptDrawing(prompt: text, picture: picture, isRight: rank == 0, nearest: nearest ?? ""), rank)
  }
}
