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
  /// Of what pictures are called, lower-cased, the position of the first one.
  private var named: [String: Int] = [:]

  /// How often a name becomes another one.
  private static let synonymShare: Float = 0.1
  private static let hypernymShare: Float = 0.06
  private static let mostSteps = 3
  /// The longest name that is looked for within a caption.
  private static let mostWordsOfName = 3

  /// - Parameters:
  ///   - names: what pictures are called, by their positions in `entries`.
  ///   - entries: a data set's.
  ///   - taken: the names of all pictures, lower-cased.
  ///   - wordNet: where the words come from.
  init(for names: [Int: String], of entries: CaptionedPictures, taken: Set<String>, from wordNet: WordNet) {
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
      named[name.lowercased()] = min(index, named[name.lowercased()] ?? index)
    }
  }

  /// All of them, in a fixed order.
  var all: [String] { words.keys.sorted().flatMap { words[$0].map { $0.synonyms + $0.hypernyms } ?? [] } }

  /// What is said of a picture, with other names for what it shows now and then.
  /// - Parameters:
  ///   - text: its name, or a caption of a composition.
  ///   - index: its position in the data set's `entries`; nil for a composition.
  ///   - random: draws the names; not asked where there is none.
  func renamed(_ text: String, of index: Int?, using random: inout Philox) -> String {
    guard let index else { return renamed(text, using: &random) }
    return name(of: index, using: &random) ?? text
  }

  /// What a picture is called in place of its name; nil where it keeps that.
  private func name(of index: Int, using random: inout Philox) -> String? {
    guard let words = words[index] else { return nil }
    let share = random.uniform()
    let chosen =
      share < Self.synonymShare
      ? words.synonyms : share < Self.synonymShare + Self.hypernymShare ? words.hypernyms : []
    return chosen.isEmpty ? nil : chosen[random.index(below: chosen.count)]
  }

  /// What is said of several things, with other names for some of them now and then: "a rodent made of pizza" for "a hamster made
  /// of pizza", and "two rodents". What is named twice is called the same.
  private func renamed(_ caption: String, using random: inout Philox) -> String {
    let said = caption.split(separator: " ").map(String.init)
    var result: [String] = []
    var chosen: [Int: String?] = [:]
    var place = 0
    while place < said.count {
      guard let (count, index, isPlural) = thing(in: said[place...]) else {
        result.append(said[place])
        place += 1
        continue
      }
      let other = chosen[index] ?? name(of: index, using: &random)
      chosen[index] = .some(other)
      if let other {
        let noun = isPlural ? English.pluralPhrase(other) : other
        if let article = result.last, ["a", "an"].contains(article.lowercased()) {
          result.removeLast()
          if !English.isSeveralOrMass(noun) { result.append(English.indefiniteArticle(for: noun)) }
        }
        result.append(noun)
      } else {
        result += said[place..<place + count]
      }
      place += count
    }
    return result.joined(separator: " ")
  }

  /// What some words begin with the name of: the longest one, so that a polar bear is no bear.
  private func thing(in said: ArraySlice<String>) -> (count: Int, index: Int, isPlural: Bool)? {
    for count in stride(from: min(Self.mostWordsOfName, said.count), to: 0, by: -1) {
      let words = said.prefix(count).map { $0.lowercased() }
      if let index = named[words.joined(separator: " ")] { return (count, index, false) }
      let singular = English.singular(words[count - 1])
      if singular != words[count - 1], let index = named[(words.dropLast() + [singular]).joined(separator: " ")] {
        return (count, index, true)
      }
    }
    return nil
  }
}
