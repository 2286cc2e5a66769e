import Basics
import Captions
import Datasets
import Foundation
import Generation
import Imaging
import Lexicon

/// What a model draws for nouns that it has never seen: whether it is a thing of the same sort at least.
public struct UnseenNounEvaluation: Encodable, Sendable {
  /// The nouns of one class.
  public struct Part: Encodable, Sendable {
    /// As WordNet has it, such as "animal"; "all" of all.
    public var category: String
    /// Nouns that were drawn.
    public var nouns: Int
    /// The share whose nearest picture of all shows something of the same class: an animal for a tapir.
    public var sameCategory: Double
    /// The share whose nearest picture shows something of the same kind: a horse for a tapir, and no cat. Of one kind is what has
    /// a hypernym in common that is not as general as "artifact" or "placental".
    public var sameKind: Double
  }

  /// Nouns of one class and what is drawn for them, to look at; no part of the figures.
  public struct Drawings: Sendable {
    public var category: String
    /// Right is what is of the same class.
    public var drawings: [PromptDrawing]
  }

  public var all: Part
  /// Of the classes that training pictures are of, in the order of the alphabet.
  public var categories: [Part]
  public var drawings: [Drawings] = []

  enum CodingKeys: String, CodingKey { case all, categories }

  /// For each figure a row: what it is of, how many were drawn, and the share that is right.
  var figures: [[String]] {
    ([all] + categories).flatMap { part in
      [
        [
          "nouns never seen, \(part.category), drawn as something of their class", "\(part.nouns)",
          percent(part.sameCategory),
        ],
        ["the same, as something of their kind", "\(part.nouns)", percent(part.sameKind)],
      ]
    }
  }
}

/// Nouns that are going to be drawn.
public struct AskedNouns {
  fileprivate var asked: [(noun: String, meaning: WordNet.Meaning)]
  /// What each picture of the data set shows; nil where that is no noun.
  fileprivate var meanings: [WordNet.Meaning?]
}

extension Evaluator {
  /// Training pictures that a class must have for its nouns to be asked for.
  private static let leastPictures = 5

  /// Nouns that no training caption has, as many of each class that training pictures are of.
  /// - Parameters:
  ///   - count: nouns at most.
  ///   - wordNet: says what is a noun, and of which class.
  /// - Returns: nil where there is no prior.
  /// - Throws: `PipelineError` of kind `.badData` where no noun is left to be asked for.
  public func unseenNouns(count: Int, wordNet: WordNet) throws(PipelineError) -> AskedNouns? {
    guard let model else { return nil }
    let meanings = dataSet.entries.map { Self.meaning(of: $0, wordNet) }
    let known = dataSet.indices(of: .train).compactMap { meanings[$0]?.category }
      .reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
    // In the order of a hash, so that the first ones are from the whole alphabet and stay the same when others come.
    let unseen = wordNet.familiarNouns.filter { !model.unseenWords(in: $0).isEmpty }
      .compactMap { noun in wordNet.meaning(of: noun).map { (noun: noun, meaning: $0) } }
      .filter { known[$0.meaning.category, default: 0] >= Self.leastPictures }
      .sorted { (FNV1a.hash($0.noun), $0.noun) < (FNV1a.hash($1.noun), $1.noun) }
    let classes = Dictionary(grouping: unseen) { $0.meaning.category }.sorted { $0.key < $1.key }
    // The first ones of each class, then the second ones, until there are enough.
    let turns = (0..<(classes.map(\.value.count).max() ?? 0)).flatMap { turn in
      classes.compactMap { turn < $0.value.count ? $0.value[turn].noun : nil }
    }
    let chosen = Set(turns.prefix(count))
    let asked = classes.flatMap { $0.value.filter { chosen.contains($0.noun) } }
    guard !asked.isEmpty else {
      throw PipelineError(
        .badData,
        "no \(count) nouns that the captions of \(dataSet.url.path) lack are of a class that its pictures show")
    }
    return AskedNouns(asked: asked, meanings: meanings)
  }

  /// Draws nouns, one picture each, and looks whether the nearest picture of the data set is one of a similar thing.
  /// - Parameters:
  ///   - nouns: of ``unseenNouns(count:wordNet:)``.
  ///   - options: of drawing, among them whether the nearest noun is drawn instead.
  ///   - progress: told what is being done, and the share of it that is.
  /// - Returns: nil where there is no prior.
  /// - Throws: `PipelineError` for options that make no sense, or a damaged list of nouns.
  public func evaluate(
    _ nouns: AskedNouns, options: GenerationOptions = .init(), progress: (String, Double) -> Void = { _, _ in }
  ) throws(PipelineError) -> UnseenNounEvaluation? {
    guard let model else { return nil }
    let (asked, meanings) = (nouns.asked, nouns.meanings)
    let prompts = asked.map { noun, _ in
      English.isSeveralOrMass(noun) ? noun : "\(English.indefiniteArticle(for: noun)) \(noun)"
    }
    let pictures = try model.generate(captions: prompts, options: options) {
      progress("drawing nouns never seen", $0)
    }
    // A composition says nothing of what its things are.
    let all = dataSet.uncomposed(Array(dataSet.entries.indices))
    let nearest = pictures.map { library.distances(from: $0).nearest(of: all) ?? 0 }
    func isSameCategory(_ i: Int) -> Bool { meanings[nearest[i]]?.category == asked[i].meaning.category }
    func part(_ name: String, _ chosen: [Int]) -> UnseenNounEvaluation.Part {
      func share(_ isRight: (Int) -> Bool) -> Double { Double(chosen.count(where: isRight)) / Double(chosen.count) }
      return .init(
        category: name, nouns: chosen.count, sameCategory: share(isSameCategory),
        sameKind: share { i in meanings[nearest[i]]?.isAkin(to: asked[i].meaning) ?? false })
    }
    let places = Dictionary(grouping: asked.indices) { asked[$0].meaning.category }.sorted { $0.key < $1.key }
    var evaluation = UnseenNounEvaluation(
      all: part("all", Array(asked.indices)), categories: places.map { part($0.key, $0.value) })
    evaluation.drawings = places.map { category, places in
      .init(
        category: category,
        drawings: places.map { i in
          PromptDrawing(
            prompt: prompts[i], picture: pictures[i], isRight: isSameCategory(i),
            nearest: dataSet.entries[nearest[i]].captions[0])
        })
    }
    return evaluation
  }

  /// What a picture shows by its name, or by the last word of that; nil for a composition, and where that is no noun.
  private static func meaning(of entry: CaptionedPicture, _ wordNet: WordNet) -> WordNet.Meaning? {
    guard entry.relation == nil else { return nil }
    let name = entry.thingName
    let words = name.split(separator: " ").map(String.init)
    let keywords = entry.keywords.map { $0.lowercased() }
    if let meaning = wordNet.meaning(of: name, amid: keywords) { return meaning }
    guard words.count > 1 else { return nil }
    return wordNet.meaning(of: words[English.nounPlace(in: words)], amid: keywords + [name])
  }
}
