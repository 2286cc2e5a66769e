import Basics
import Foundation
import Lexicon
import TextTokenizer

/// Captions as people write them: what a data set says of a picture, said in other words.
///
/// A model that reads each caption in one form only answers that form only: trained on "dog", it draws something else for
/// "a dog". So training reads a caption in a form that is drawn anew each time. The forms are English but for punctuation,
/// order and keywords; a caption in letters of another script gets those alone.
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
    /// "sofa" for a couch and "rodent" for a hamster, by WordNet; nothing where there is none.
    case synonyms
  }

  public let kinds: Set<Kind>
  /// By position in the data set's `entries`; nil for pictures that no forms were made for.
  private let subjects: [Subject?]
  /// The names of all pictures, lower-cased.
  private let names: Set<String>
  /// Whether any picture has keywords.
  private let hasKeywords: Bool
  /// What an aside speaks of: names of one or two words. None, and no sizes, where there are pictures that show such things.
  private let places: [String]
  private let adjectives: [String]
  private let synonyms: CaptionSynonyms?

  /// What can be said of a picture.
  private struct Subject {
    /// Its captions without article and full stop.
    var cores: [String]
    /// The same, lower-cased.
    var names: Set<String>
    /// Keywords and the caption's own words.
    var words: [Word]
    /// Whether another picture says a part of what this one does, and nothing else.
    var hasSimpler = false
    /// Whether English words may be put beside it.
    var isLatin: Bool
    /// Of several things, or of one in a way that its caption says: in parts or in another number it is not what is shown.
    var isComposed: Bool
  }

  private struct Word {
    package var text: String
    var isKeyword = false
    /// Whether it is a keyword or a noun, which can stand alone.
    var isNoun: Bool
    /// Whether it tells the picture from those that say nothing but what it says, too: of "dog: brown" and "dog", only
    /// "brown" tells the first.
    var isTelling = true
    /// How many pictures have it.
    var sharers = 1
  }

  /// - Parameters:
  ///   - entries: a data set's.
  ///   - indices: those whose captions may be used, the training split's.
  ///   - kinds: what may change.
  ///   - wordNet: where synonyms come from; without it, there are none.
  public init(
    of entries: [CaptionedPicture], indices: [Int], kinds: Set<Kind> = Set(Kind.allCases), wordNet: WordNet? = nil
  ) {
    self.kinds = kinds
    // A letter can be a name ("A button"): an article is one where the data set is written with articles.
    let named = indices.filter { entries[$0].relation == nil }
    let articles = named.count { index in
      Self.articles.contains { entries[index].captions[0].lowercased().hasPrefix($0) }
    }
    let dropsArticle = 5 * articles > named.count
    var subjects = [Subject?](repeating: nil, count: entries.count)
    var sharers: [String: Int] = [:]
    for index in indices {
      let isComposed = entries[index].relation != nil
      let cores = entries[index].captions.map { Self.core($0, dropsArticle: dropsArticle || isComposed) }
      let words = isComposed ? [] : Self.words(of: entries[index], core: cores[0])
      for word in words { sharers[word.text, default: 0] += 1 }
      subjects[index] = Subject(
        cores: cores, names: Set(cores.map { $0.lowercased() }), words: words,
        isLatin: cores.allSatisfy(Self.isLatin), isComposed: isComposed)
    }
    let names = indices.reduce(into: Set<String>()) { $0.formUnion(subjects[$1]?.names ?? []) }
    let simpler = SimplerPictures(entries, named)
    for index in named {
      guard var subject = subjects[index] else { continue }
      subject.hasSimpler = simpler.exist(for: index)
      for i in subject.words.indices {
        let word = subject.words[i].text
        subject.words[i].sharers = sharers[word] ?? 1
        // Alone, the name of another picture means that picture, and what very many share means none.
        let isShared = subject.words[i].sharers > max(8, indices.count / 40)
        if (names.contains(word) && !subject.names.contains(word)) || isShared { subject.words[i].isNoun = false }
        subject.words[i].isTelling = !simpler.say(word, insteadOf: index)
      }
      subjects[index] = subject
    }
    self.names = names
    hasKeywords = indices.contains { !entries[$0].keywords.isEmpty }
    self.subjects = subjects
    let showsWhatAsidesSay = named.count < indices.count
    places =
      showsWhatAsidesSay
      ? []
      : named.compactMap { subjects[$0]?.cores[0].lowercased() }
        .filter { $0.split(separator: " ").count <= 2 && !$0.contains(":") && Self.isLatin($0) }
    adjectives = showsWhatAsidesSay ? Self.adjectives : Self.adjectives + Self.sizes
    synonyms = wordNet.flatMap { wordNet in
      guard kinds.contains(.synonyms) else { return nil }
      let things = named.compactMap { index in
        subjects[index].flatMap { $0.isLatin ? (index, $0.cores[0]) : nil }
      }
      return CaptionSynonyms(
        for: Dictionary(uniqueKeysWithValues: things), of: entries, taken: names, from: wordNet)
    }
  }

  // MARK: What a picture is called

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

  /// Whether all letters are of the Latin script, by their Unicode blocks.
  private static func isLatin(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { !$0.properties.isAlphabetic || $0.value < 0x250 }
  }

  // MARK: What is said of it

  /// A caption of the picture at a position of the data set's `entries`.
  /// - Precondition: the forms were made for it.
  public func caption(of index: Int, using random: inout Philox) -> String {
    guard let subject = subjects[index] else { preconditionFailure("no forms were made for picture \(index)") }
    var text = named(subject, using: &random)
    if text == subject.cores[0], let other = synonyms?.name(of: index, using: &random) { text = other }
    if subject.isLatin && !subject.isComposed {
      if kinds.contains(.number) && random.uniform() < 0.06 { text = Self.withOtherNumber(text) }
      if kinds.contains(.asides) { text = withAside(text, using: &random) }
    }
    // "small" beside "airplane" or two keywords may be what another picture is called.
    let name = text.lowercased()
    if names.contains(name) && !subject.names.contains(name) { text = subject.cores[0] }
    if subject.isLatin { text = withBeginning(text, using: &random) }
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
    let shown = subjects.indices.filter { subjects[$0] != nil }
    let alone = shown.filter { subjects[$0]?.hasSimpler == false && subjects[$0]?.isComposed == false }
    return alone.count == shown.count ? shown : shown + alone
  }

  /// A caption in one of the forms that ``Measured`` has, the same each time.
  /// - Precondition: the forms were made for the picture.
  public func caption(of index: Int, in form: Measured) -> String {
    guard let core = subjects[index]?.cores[0] else { preconditionFailure("no forms were made for picture \(index)") }
    let article = English.isDetermined(core) ? "" : "\(English.indefiniteArticle(for: core)) "
    return switch form {
    case .plain: core
    case .sentence: core.lowercased() + "."
    case .indefinite: article + core
    case .definite: English.isDetermined(core) ? core : "the \(core)"
    case .exclamation: core + "!"
    case .picture: "a picture of \(article)\(core)"
    }
  }

  /// Forms in which it is measured whether a model knows a caption; X is the caption without article and full stop.
  public enum Measured: String, Sendable, CaseIterable {
    case plain = "X"
    case sentence = "x."
    case indefinite = "a X"
    case definite = "the X"
    case exclamation = "X!"
    case picture = "a picture of a X"
  }

  /// Two keywords of a picture, or where the data set gives none two words of its caption; nil where it has no two.
  /// - Parameters:
  ///   - index: the picture's position in the data set's `entries`.
  ///   - seed: names the random numbers.
  public func keywordPair(of index: Int, seed: UInt64) -> [String]? {
    guard let words = subjects[index]?.words.filter({ !hasKeywords || $0.isKeyword }), words.count > 1 else {
      return nil
    }
    var random = Philox(seed: seed, stream: RandomStream.keywordPairs(), counter: UInt64(index) << 8)
    return random.permutation(words.count).prefix(2).map { words[$0].text }
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
    return kinds.contains(.order) && random.uniform() < 0.3 ? Self.reordered(core, using: &random) : core
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
      let word = Self.drawn(from: all, using: &random) { 1 / (1 + log(Double($0.sharers))) }.text
      chosen.append(word)
      left.removeAll { $0.text == word }
    }
    if !kinds.contains(.order) {
      chosen = subject.words.map(\.text).filter(chosen.contains)
    } else if random.uniform() < 0.5 {
      chosen.reverse()
    }
    return chosen.joined(separator: joint(isEnglish: subject.isLatin, using: &random))
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
  private static func reordered(_ core: String, using random: inout Philox) -> String {
    let sides = core.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    guard sides.count == 2 else { return core }
    let (head, tail) = (sides[0], sides[1])
    return switch random.index(below: 6) {
    case 0, 1: "\(tail) \(head)"
    case 2: "\(head) of \(tail)"
    case 3: "\(head) with \(tail)"
    case 4: "\(head), \(tail)"
    default: "\(head) \(tail)"
    }
  }

  /// The noun that the text is about in the other number: the last word before a colon, a comma or a preposition.
  private static func withOtherNumber(_ text: String) -> String {
    var words = text.split(separator: " ").map(String.init)
    let last = English.nounPlace(in: words)
    let place = words.prefix(last + 1).firstIndex { $0.hasSuffix(":") || $0.hasSuffix(",") } ?? last
    guard words.indices.contains(place),
      let noun = words[place].split(separator: ":").first?.split(separator: ",").first,
      noun.allSatisfy(\.isLetter), noun.count > 2
    else { return text }
    let mark = words[place].dropFirst(noun.count)
    let word = String(noun)
    words[place] = (English.isPlural(word) ? English.singular(word) : English.plural(word)) + mark
    return words.joined(separator: " ")
  }

  /// The words that forms put beside what captions say, lower-cased: a prompt does not become another one by them.
  public static let ownWords: Set<String> = Set(adjectives + sizes + doings + phrases).union(English.functionWords)

  private static let adjectives = [
    "cute", "beautiful", "nice", "pretty", "simple", "old", "new", "great", "lovely", "single", "real", "fresh",
    "plain",
  ]
  private static let sizes = ["little", "small", "big", "large", "tiny", "huge"]
  private static let doings = [
    "sitting", "standing", "lying", "running", "walking", "flying", "sleeping", "waiting", "playing", "growing",
    "moving",
  ]
  private static let prepositions = [
    "in the", "in a", "on the", "on a", "at the", "near the", "by the", "under a", "over the",
  ]

  /// What there is of it, whether the picture shows that or not: "a bowl of noodles".
  private static let measures = [
    "cup", "glass", "bottle", "bowl", "plate", "piece", "slice", "jar", "bag", "box", "basket", "bunch", "pair",
    "group",
  ]

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

  private static let phrases = [
    "picture", "picture", "picture", "photo", "image", "drawing", "painting", "illustration", "icon", "emoji",
  ]

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
