import Basics
import Lexicon

/// Other words for what pictures are called: "sofa" for a couch, and "rodent", which a hamster is one of.
///
/// A word that names another picture, or is a keyword of one, is left to that picture.
struct CaptionSynonyms: Sendable {
  private struct Words: Sendable {
    var synonyms: [String]
    var hypernyms: [String]
  }

  /// By position in the data set's `entries`.
  private var words: [Int: Words] = [:]

  /// How often a name becomes another one.
  private static let synonymShare: Float = 0.1
  private static let hypernymShare: Float = 0.06
  private static let mostSteps = 3

  /// - Parameters:
  ///   - names: what pictures are called, by their positions in `entries`.
  ///   - entries: a data set's.
  ///   - taken: the names of all pictures, lower-cased.
  ///   - wordNet: where the words come from.
  init(for names: [Int: String], of entries: [CaptionedPicture], taken: Set<String>, from wordNet: WordNet) {
    let sharers = names.keys.flatMap { Set(entries[$0].keywords.map { $0.lowercased() }) }
      .reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
    for (index, name) in names {
      let keywords = entries[index].keywords.map { $0.lowercased() }
      func isFree(_ word: String) -> Bool {
        !taken.contains(word) && sharers[word, default: 0] == (keywords.contains(word) ? 1 : 0)
      }
      let others = Words(
        synonyms: wordNet.synonyms(of: name, amid: keywords).filter(isFree),
        hypernyms: wordNet.hypernyms(of: name, atMost: Self.mostSteps, amid: keywords).filter(isFree))
      if !others.synonyms.isEmpty || !others.hypernyms.isEmpty { words[index] = others }
    }
  }

  /// All of them, in a fixed order.
  var all: [String] { words.keys.sorted().flatMap { words[$0].map { $0.synonyms + $0.hypernyms } ?? [] } }

  /// What a picture is called now and then in place of its name. No random number is drawn where there is nothing.
  func name(of index: Int, using random: inout Philox) -> String? {
    guard let words = words[index] else { return nil }
    let share = random.uniform()
    let chosen =
      share < Self.synonymShare
      ? words.synonyms : share < Self.synonymShare + Self.hypernymShare ? words.hypernyms : []
    return chosen.isEmpty ? nil : chosen[random.index(below: chosen.count)]
  }
}
