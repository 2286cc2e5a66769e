import Basics
import Foundation
import Lexicon
import TextTokenizer

/// Captions as people write them: what a data set says of a picture, said in other words.
///
/// A model that reads each caption in one form only answers that form only: trained on "dog", it draws something else for
/// "a dog". So training reads a caption in a form that is drawn anew each time. The forms are English but for punctuation,
/// order and keywords; a caption in letters of another script gets those alone, and one in Hangul Korean phrases besides.
/// Where a picture has captions in several scripts, ``firstScriptShare`` of the time it is said in that of the first one, and
/// each time in one script alone.
///
/// What a caption becomes is a function of the random numbers given, and of the pictures that the forms were made for.
public struct CaptionForms: Sendable {
  /// What may change. Capitals are not among them, because text is lower-cased before it is encoded.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// "a dog", "an apple", "the dog", "some grapes".
    case articles
    /// "a picture of a dog".
    case phrases
    /// "dog.", "dog!".
    case punctuation
    /// "dogs" of "dog" and the reverse.
    case number
    /// "Japan flag" and "flag of Japan" of "flag: Japan", and keywords in any order.
    case order
    /// One, two or three of the keywords, or of the words that the caption itself consists of.
    case keywords
    /// "a cute dog in the garden": what the picture does not show and people write all the same.
    case asides
    /// "sofa" for a couch and "rodent" for a hamster, by WordNet, in compositions, too; nothing where there is none.
    case synonyms
  }

  public let kinds: Set<Kind>
  /// How often a picture that has captions in several scripts is said in the first one's; the others are equally likely.
  public static let firstScriptShare: Float = 0.65

  /// More pictures, and more compositions, are not compared with each other: what is said of so many is judged by that of some,
  /// evenly spread.
  private static let maximumCompared = 100_000
  /// Of more pictures that are not composed, none is looked for that says a part of what another one does.
  private static let maximumSimpler = 20_000

  private let entries: CaptionedPictures
  /// Ascending.
  private let indices: [Int]
  /// Whether an article at the beginning of a caption is one.
  private let dropsArticle: Bool
  /// The names of the pictures that are compared, lower-cased.
  private let names: Set<String>
  /// How many of them have a word.
  private let sharers: [String: Int]
  /// A word that more of them have means none of them.
  private let mostSharers: Int
  /// Those that say a part of what another picture does, by script.
  private let simpler: [Script: SimplerPictures]
  /// Whether any picture has keywords.
  let hasKeywords: Bool
  /// What an aside speaks of: names of one or two words. None, and no sizes, where there are pictures that show such things.
  private let places: [String]
  private let adjectives: [String]
  private let synonyms: CaptionSynonyms?

  /// What can be said of a picture in one script.
  struct Subject {
    var script: Script
    /// Its captions without article and full stop.
    var cores: [String]
    /// The same, lower-cased.
    var names: Set<String>
    /// Keywords and the caption's own words.
    var words: [Word]
    /// Of several things, or of one in a way that its caption says: in parts or in another number it is not what is shown.
    var isComposed: Bool
    /// Whether English words may be put beside it.
    var isLatin: Bool { script == .latin }
  }

  struct Word {
    package var text: String
    var isKeyword = false
    /// Whether it is a keyword or a noun, which can stand alone.
    var isNoun: Bool
    /// Whether it tells the picture from those that say nothing but what it says, too: of "dog: brown" and "dog", only
    /// "brown" tells the first.
    var isTelling = true
    /// How many pictures have it.
    var sharers = 1

    var isKorean: Bool { Script(of: text) == .hangul }
  }

  /// - Parameters:
  ///   - entries: a data set's.
  ///   - indices: those whose captions may be used, the training split's.
  ///   - kinds: what may change.
  ///   - wordNet: where synonyms come from; without it, there are none.
  public init(
    of entries: CaptionedPictures, indices: [Int], kinds: Set<Kind> = Set(Kind.allCases), wordNet: WordNet? = nil
  ) {
    (self.kinds, self.entries, self.indices) = (kinds, entries, indices.sorted())
    let named = self.indices.filter { !entries.isComposed(at: $0) }.spread(over: Self.maximumCompared)
    let composed = self.indices.filter { entries.isComposed(at: $0) }.spread(over: Self.maximumCompared)
    let compared = named + composed
    // A letter can be a name ("A button"): an article is one where the data set is written with articles.
    let articles = named.count { index in
      let english = entries[index].captions.first { Script(of: $0) == .latin }?.lowercased()
      return english.map { english in Self.articles.contains { english.hasPrefix($0) } } ?? false
    }
    let dropsArticle = 5 * articles > named.count
    var (sharers, names): ([String: Int], Set<String>) = ([:], [])
    var said: [Script: [Int: [String]]] = [:]
    var (places, things): ([String], [Int: String]) = ([], [:])
    var hasKeywords = false
    for index in compared {
      let entry = entries[index]
      let subjects = Self.subjects(of: entry, dropsArticle: dropsArticle)
      for subject in subjects {
        names.formUnion(subject.names)
        for word in subject.words { sharers[word.text, default: 0] += 1 }
      }
      hasKeywords = hasKeywords || !entry.keywords.isEmpty
      if entry.relation != nil { continue }
      if named.count <= Self.maximumSimpler {
        for (script, picture) in entry.inEachScript { said[script, default: [:]][index] = picture.allCaptions }
      }
      guard let name = subjects.first(where: \.isLatin)?.cores[0] else { continue }
      things[index] = name
      if name.split(separator: " ").count <= 2 && !name.contains(":") { places.append(name.lowercased()) }
    }
    self.dropsArticle = dropsArticle
    self.names = names
    self.sharers = sharers
    mostSharers = max(8, compared.count / 40)
    simpler = said.mapValues { SimplerPictures($0) }
    self.hasKeywords = hasKeywords
    let showsWhatAsidesSay = named.count < compared.count
    self.places = showsWhatAsidesSay ? [] : places
    adjectives = showsWhatAsidesSay ? Self.adjectives : Self.adjectives + Self.sizes
    synonyms = wordNet.flatMap { wordNet in
      kinds.contains(.synonyms) ? CaptionSynonyms(for: things, of: entries, taken: names, from: wordNet) : nil
    }
  }

  /// What can be said of the picture at a position of `entries`, one for each script of its captions, that of the first one
  /// first.
  func subjects(of index: Int) -> [Subject] {
    let entry = entries[index]
    let subjects = Self.subjects(of: entry, dropsArticle: dropsArticle)
    if entry.relation != nil { return subjects }
    return subjects.map { subject in
      var subject = subject
      let simpler = simpler[subject.script]
      for i in subject.words.indices {
        let word = subject.words[i].text
        subject.words[i].sharers = sharers[word] ?? 1
        // Alone, the name of another picture means that picture, and what very many share means none.
        if names.contains(word) && !subject.names.contains(word) || subject.words[i].sharers > mostSharers {
          subject.words[i].isNoun = false
        }
        subject.words[i].isTelling = !(simpler?.say(word, insteadOf: index) ?? false)
      }
      return subject
    }
  }

  // MARK: What a picture is called

  /// What can be said of a picture in each script, as long as it is not compared with others.
  private static func subjects(of entry: CaptionedPicture, dropsArticle: Bool) -> [Subject] {
    let isComposed = entry.relation != nil
    return entry.inEachScript.map { script, picture in
      let cores = picture.captions.map {
        core($0, dropsArticle: (dropsArticle || isComposed) && script != .hangul)
      }
      return Subject(
        script: script, cores: cores, names: Set(cores.map { $0.lowercased() }),
        words: isComposed ? [] : words(of: picture, core: cores[0]), isComposed: isComposed)
    }
  }

  /// A caption without the article and the full stop that some data sets write everywhere.
  package static func core(_ caption: String, dropsArticle: Bool) -> String {
    var text = Substring(caption)
    while let last = text.last, last == "." || last.isWhitespace { text.removeLast() }
    if dropsArticle, let article = articles.first(where: text.lowercased().hasPrefix) {
      text = text.dropFirst(article.count)
    }
    return text.isEmpty ? caption : String(text)
  }

  private static let articles = ["a ", "an ", "the "]

  /// Keywords, what stands on both sides of a colon, and the words that say something, lower-cased and each once.
  private static func words(of entry: CaptionedPicture, core: String) -> [Word] {
    func isWord(_ text: String) -> Bool { !English.functionWords.contains(text) }
    let core = core.lowercased()
    let sides = core.split(whereSeparator: { ":,".contains($0) }).map { $0.trimmingCharacters(in: .whitespaces) }
    var words = entry.keywords.map { Word(text: $0.lowercased(), isKeyword: true, isNoun: true) }
    if core.contains(":") { words += sides.map { Word(text: $0, isNoun: true) } }
    for side in sides {
      let parts = BytePairEncoding.words(in: side)
      for (i, part) in parts.enumerated() where isWord(part) {
        // In English a noun stands last in what belongs to it: "red apple" on "a table".
        words.append(Word(text: part, isNoun: i == parts.count - 1 || !isWord(parts[i + 1])))
      }
    }
    // "tone" says nothing where there is "dark skin tone".
    var known = Set(words.map { BytePairEncoding.words(in: $0.text) }.filter { $0.count > 1 }.joined())
    return words.filter { !$0.text.isEmpty && known.insert($0.text).inserted }
  }

  // MARK: What is said of it

  /// A caption of the picture at a position of the data set's `entries`.
  public func caption(of index: Int, using random: inout Philox) -> String {
    caption(of: subjects(of: index), at: index, using: &random)
  }

  /// A caption of a composition that is made for a batch, and is no picture of the data set.
  /// - Parameters:
  ///   - captions: all that is said of it, at least one.
  ///   - random: draws the form.
  public func caption(composed captions: [String], using random: inout Philox) -> String {
    // What the file is called and how it is composed plays no part.
    let entry = CaptionedPicture(fileName: "", captions: captions, split: .train, relation: "")
    return caption(of: Self.subjects(of: entry, dropsArticle: true), at: nil, using: &random)
  }

  /// - Parameters:
  ///   - all: what can be said of one picture, a script each.
  ///   - index: its position in the data set's `entries`; nil where it is not of the data set.
  private func caption(of all: [Subject], at index: Int?, using random: inout Philox) -> String {
    var subject = all[0]
    if all.count > 1 && random.uniform() >= Self.firstScriptShare {
      subject = all[1 + random.index(below: all.count - 1)]
    }
    var text = named(subject, using: &random)
    if let synonyms, subject.isComposed ? subject.isLatin : text == subject.cores[0] {
      text = synonyms.renamed(text, of: subject.isComposed ? nil : index, using: &random)
    }
    // Korean keywords may be all that is Korean.
    if Script(of: text) == .hangul { subject.script = .hangul }
    if subject.isLatin && !subject.isComposed {
      if kinds.contains(.number) && random.uniform() < 0.06 { text = English.withOtherNumber(text) }
      if kinds.contains(.asides) { text = withAside(text, using: &random) }
    }
    // "small" beside "airplane" or two keywords may be what another picture is called.
    let name = text.lowercased()
    if names.contains(name) && !subject.names.contains(name) { text = subject.cores[0] }
    if subject.isLatin { text = withBeginning(text, using: &random) }
    if subject.script == .hangul && kinds.contains(.phrases) {
      // Several keywords may end in no noun.
      let isName = subject.cores.contains(text) || !text.contains(" ")
      text = Korean.withPhrase(text, takesParticle: isName, using: &random)
    }
    if kinds.contains(.punctuation) {
      let share = random.uniform()
      if share < 0.15 { text += "." } else if share < 0.22 { text += "!" }
    }
    return text
  }

  /// All that pictures are called besides what the data set says.
  package var otherNames: [String] { synonyms?.all ?? [] }

  /// The pictures of an epoch: those that the forms were made for, the ones twice of which no other picture says a part. What
  /// such a picture is called stands nowhere else, while "dog: brown" is learnt from "dog" and "cat: brown", too.
  public var epoch: [Int] {
    guard !simpler.isEmpty else { return indices }
    let alone = indices.filter { index in
      let entry = entries[index]
      guard entry.relation == nil, let first = entry.inEachScript.first else { return false }
      return !(simpler[first.script]?.exist(for: index) ?? false)
    }
    return alone.count == indices.count ? indices : indices + alone
  }

  /// A caption, or some keywords.
  private func named(_ subject: Subject, using random: inout Philox) -> String {
    let share = random.uniform()
    // Where there are no keywords, the caption's own words: a part of what it says.
    let keywordShare: Float = subject.words.contains(where: \.isKeyword) ? 0.4 : 0.2
    if kinds.contains(.keywords) && share < keywordShare && subject.words.count > 1 {
      return keywords(subject, using: &random)
    }
    // Captions beyond the first are often longer, and as good.
    let core = subject.cores[random.uniform() < 0.6 ? 0 : random.index(below: subject.cores.count)]
    return kinds.contains(.order) && random.uniform() < 0.3
      ? Self.reordered(core, in: subject.script, using: &random) : core
  }

  /// One to three keywords, a telling one first. One that few pictures share is taken more often: alone, "woman" says
  /// little of an astronaut.
  private func keywords(_ subject: Subject, using random: inout Philox) -> String {
    let share = random.uniform()
    let telling = subject.words.filter(\.isTelling)
    let nouns = telling.filter(\.isNoun)
    if share < 0.3 && !nouns.isEmpty {
      return Self.drawn(from: nouns, using: &random) { 1 / Double($0.sharers).squareRoot() }.text
    }
    var left = subject.words
    var chosen: [String] = []
    let count = share < 0.8 ? 2 : 3
    while chosen.count < count && !left.isEmpty {
      let all = chosen.isEmpty && !telling.isEmpty ? telling : left
      let word = Self.drawn(from: all, using: &random) { 1 / (1 + log(Double($0.sharers))) }
      chosen.append(word.text)
      left.removeAll { $0.text == word.text || $0.isKorean != word.isKorean }
    }
    if !kinds.contains(.order) {
      chosen = subject.words.map(\.text).filter(chosen.contains)
    } else if random.uniform() < 0.5 {
      chosen.reverse()
    }
    let isEnglish = subject.isLatin && !chosen.contains { Script(of: $0) == .hangul }
    return chosen.joined(separator: joint(isEnglish: isEnglish, using: &random))
  }

  /// What stands between keywords: mostly a space, and of English ones now and then "of" or "with", as in "cup of tea".
  private func joint(isEnglish: Bool, using random: inout Philox) -> String {
    let share = random.uniform()
    if share < 0.6 { return " " }
    if share < 0.75 || !isEnglish { return ", " }
    return Self.any(of: [" of ", " with ", " and ", " in a "], using: &random)
  }

  private static func drawn(
    from all: [Word], using random: inout Philox, weight: (Word) -> Double
  ) -> Word {
    var left = Double(random.uniform()) * all.reduce(0) { $0 + weight($1) }
    for word in all {
      left -= weight(word)
      if left < 0 { return word }
    }
    return all[all.count - 1]
  }

  /// "Y X", "X of Y" and the like of "X: Y"; any other caption as it is.
  private static func reordered(_ core: String, in script: Script, using random: inout Philox) -> String {
    let sides = core.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    guard sides.count == 2 else { return core }
    let (head, tail) = (sides[0], sides[1])
    return switch random.index(below: 6) {
    case 0, 1: "\(tail) \(head)"
    case 2: script == .latin ? "\(head) of \(tail)" : "\(tail)\(script == .hangul ? "의" : "") \(head)"
    case 3: script == .latin ? "\(head) with \(tail)" : "\(head) \(tail)"
    case 4: "\(head), \(tail)"
    default: "\(head) \(tail)"
    }
  }

  private func withAside(_ text: String, using random: inout Philox) -> String {
    let share = random.uniform()
    if share < 0.03 && !English.isDetermined(text) { return "\(Self.any(of: adjectives, using: &random)) \(text)" }
    if share < 0.07 && !places.isEmpty {
      let preposition = Self.any(of: Self.prepositions, using: &random)
      let place = "\(preposition) \(Self.any(of: places, using: &random))"
      return random.uniform() < 0.4
        ? "\(text) \(Self.any(of: Self.doings, using: &random)) \(place)" : "\(text) \(place)"
    }
    if share < 0.08 { return "\(text) \(Self.any(of: Self.doings, using: &random))" }
    return share < 0.11 && !English.isDetermined(text)
      ? "\(Self.any(of: Self.measures, using: &random)) of \(text)" : text
  }

  /// What stands before: an article, a phrase, both or nothing.
  private func withBeginning(_ text: String, using random: inout Philox) -> String {
    let article = article(for: text, using: &random)
    let share = random.uniform()
    guard kinds.contains(.phrases), share < 0.22 else {
      return kinds.contains(.articles) && share < 0.65 && !article.isEmpty ? "\(article) \(text)" : text
    }
    let thing = kinds.contains(.articles) && share < 0.18 && !article.isEmpty ? "\(article) \(text)" : text
    if share < 0.02 { return "draw \(thing)" }
    let phrase = Self.any(of: Self.phrases, using: &random)
    return "\(share < 0.19 ? English.indefiniteArticle(for: phrase) + " " : "")\(phrase) of \(thing)"
  }

  /// Empty where there can be none.
  private func article(for text: String, using random: inout Philox) -> String {
    let share = random.uniform()
    if English.isDetermined(text) { return "" }
    let head =
      text.split(whereSeparator: { ":,".contains($0) }).first?.split(separator: " ").last.map(String.init) ?? text
    // People write "a grapes" more seldom than "some grapes", but they do.
    if English.isPlural(head) && share < 0.35 { return "some" }
    if share < 0.6 { return random.uniform() < 0.9 ? English.indefiniteArticle(for: text) : "a" }
    if share < 0.9 { return "the" }
    return Self.any(of: ["one", "my", "this", "some"], using: &random)
  }

  private static func any(of all: [String], using random: inout Philox) -> String {
    all[random.index(below: all.count)]
  }
}
