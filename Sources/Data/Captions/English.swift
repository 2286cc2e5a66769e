import TextTokenizer

/// The little of English grammar that captions need: articles, singular and plural, and which words say what is in a
/// picture. By rules with the commonest exceptions, so that an odd word comes out oddly and nothing fails.
public enum English {
  /// The words of a text that say what is in a picture: lower-cased, in the singular, in their order, without articles,
  /// prepositions and what speaks of the picture itself ("a drawing of").
  public static func contentWords(in text: String) -> [String] {
    BytePairEncoding.words(in: text).filter { !functionWords.contains($0) }.map(singular)
  }

  /// Words that a caption does not become another one by.
  static let functionWords: Set<String> = joiningWords.union([
    "a", "an", "the", "some", "one", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our",
    "their", "be", "being", "it", "me", "picture", "photo", "photograph", "image", "drawing", "painting",
    "illustration",
    "icon", "emoji", "draw", "show",
  ])

  /// Those that stand between a noun and what is said of it.
  private static let joiningWords: Set<String> = [
    "of", "in", "on", "at", "by", "with", "without", "and", "or", "to", "for", "from", "as", "into", "onto", "over",
    "under", "near", "is", "are",
  ]

  /// Whether a text begins as one that takes no further article does: with an article, a possessive or a number.
  package static func isDetermined(_ text: String) -> Bool {
    guard let first = text.split(separator: " ").first?.lowercased() else { return false }
    return determiners.contains(first) || first.allSatisfy(\.isNumber)
  }

  private static let determiners: Set<String> = [
    "a", "an", "the", "some", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their",
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "many", "several", "no", "any",
    "another", "each", "every", "both", "few", "eleven", "twelve", "dozen",
  ]

  /// "a" or "an", by the first letter, and by how words sound that are commonly met.
  package static func indefiniteArticle(for text: String) -> String {
    let lower = text.lowercased()
    guard let first = lower.first else { return "a" }
    if soundingLikeAConsonant.contains(where: lower.hasPrefix) { return "a" }
    return "aeiou".contains(first) || soundingLikeAVowel.contains(where: lower.hasPrefix) ? "an" : "a"
  }

  /// As "you" in "unicorn" and "euro", and "won" in "one-piece".
  private static let soundingLikeAConsonant = [
    "unicorn", "unicycle", "unif", "union", "uniq", "unison", "unit", "univers", "usb", "used", "useful", "user",
    "utensil", "utopia",
    "u-turn", "ufo", "ukulele", "eucalypt", "euro", "ewe", "one",
  ]
  private static let soundingLikeAVowel = ["hour", "honest", "honor", "honour", "heir"]

  /// Whether a word looks like a plural.
  package static func isPlural(_ word: String) -> Bool { singular(word) != word }

  /// Where in the words of a phrase its noun stands: the last word before a preposition and the like, "pot" in "pot of food".
  package static func nounPlace(in words: [String]) -> Int {
    (words.indices.first { $0 > 0 && joiningWords.contains(words[$0].lowercased()) } ?? words.count) - 1
  }

  /// Whether a noun is one of those that are not counted: "bread", "rice".
  package static func isUncountable(_ word: String) -> Bool { uncountables.contains(word.lowercased()) }

  private static let uncountables: Set<String> = [
    "bacon", "bread", "broccoli", "butter", "cheese", "clothing", "coral", "corn", "cotton", "custard", "dna", "fire",
    "fog",
    "food", "fruit", "furniture", "garlic", "ginger", "gold", "grass", "honey", "ice", "leather", "meat",
    "milk", "money", "popcorn", "rice", "sake", "salt", "sand", "snow", "soap", "spaghetti", "sugar",
    "sushi", "thread", "water", "wool", "wood", "yarn",
  ]

  /// Whether the noun of a phrase is several things already or is not counted, so that no "a" stands before it.
  package static func isSeveralOrMass(_ phrase: String) -> Bool {
    let words = phrase.split(separator: " ").map(String.init)
    guard !words.isEmpty else { return false }
    let noun = words[nounPlace(in: words)]
    return isPlural(noun) || isUncountable(noun)
  }

  /// A phrase with its noun in the plural; as it is where that is several things already or is not counted.
  package static func pluralPhrase(_ phrase: String) -> String {
    guard !isSeveralOrMass(phrase) else { return phrase }
    var words = phrase.split(separator: " ").map(String.init)
    guard !words.isEmpty else { return phrase }
    let place = nounPlace(in: words)
    words[place] = plural(words[place])
    return words.joined(separator: " ")
  }

  /// The plural of a singular noun.
  public static func plural(_ word: String) -> String {
    let lower = word.lowercased()
    if let irregular = irregularPlurals[lower] { return irregular }
    // Snowmen and policewomen, but not humans.
    if lower.hasSuffix("man"), lower.count > 4, !regularInMan.contains(where: lower.hasSuffix) {
      return word.dropLast(2) + "en"
    }
    if lower.hasSuffix("child") { return word + "ren" }
    func ends(_ endings: String...) -> Bool { endings.contains { word.hasSuffix($0) } }
    if ends("s", "x", "z", "ch", "sh") { return word + "es" }
    if word.hasSuffix("y"), let before = word.dropLast().last, !"aeiou".contains(before) {
      return word.dropLast() + "ies"
    }
    return word + "s"
  }

  /// The singular of a plural noun; any other word as it is.
  public static func singular(_ word: String) -> String {
    let lower = word.lowercased()
    if let irregular = irregularSingulars[lower] { return irregular }
    if lower.hasSuffix("men"), lower.count > 4, !singularsInMen.contains(lower) { return word.dropLast(2) + "an" }
    if lower.hasSuffix("children") { return String(word.dropLast(3)) }
    // Of three letters or fewer, hardly one is a plural: bus, gas, yes.
    guard lower.count > 3, lower.hasSuffix("s"), !singularsInS.contains(lower),
      !["ss", "us", "is", "ous"].contains(where: lower.hasSuffix)
    else { return word }
    if lower.hasSuffix("ies"), lower.count > 4 { return word.dropLast(3) + "y" }
    if ["sses", "xes", "ches", "shes"].contains(where: lower.hasSuffix) { return String(word.dropLast(2)) }
    return String(word.dropLast())
  }

  /// A text with the noun that it is about in the other number: the last word before a colon, a comma or a preposition.
  static func withOtherNumber(_ text: String) -> String {
    var words = text.split(separator: " ").map(String.init)
    let last = nounPlace(in: words)
    let place = words.prefix(last + 1).firstIndex { $0.hasSuffix(":") || $0.hasSuffix(",") } ?? last
    guard words.indices.contains(place),
      let noun = words[place].split(separator: ":").first?.split(separator: ",").first,
      noun.allSatisfy(\.isLetter), noun.count > 2
    else { return text }
    let mark = words[place].dropFirst(noun.count)
    let word = String(noun)
    words[place] = (isPlural(word) ? singular(word) : plural(word)) + mark
    return words.joined(separator: " ")
  }

  private static let singularsInS: Set<String> = [
    "lens", "canvas", "christmas", "texas", "pancreas", "atlas", "rhinoceros",
  ]

  private static let regularInMan: Set<String> = [
    "human", "german", "roman", "norman", "talisman", "shaman", "caiman", "ottoman",
  ]

  private static let singularsInMen: Set<String> = [
    "ramen", "abdomen", "specimen", "stamen", "regimen", "lumen", "cyclamen", "yemen", "dolmen",
  ]

  private static let irregularPlurals = [
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "tooth": "teeth",
    "goose": "geese", "mouse": "mice", "leaf": "leaves", "wolf": "wolves", "knife": "knives", "calf": "calves",
    "half": "halves", "shelf": "shelves", "bookshelf": "bookshelves", "wife": "wives", "housewife": "housewives",
    "loaf": "loaves", "life": "lives", "potato": "potatoes",
    "tomato": "tomatoes", "hero": "heroes", "volcano": "volcanoes", "mango": "mangoes", "sheep": "sheep",
    "fish": "fish", "deer": "deer", "bison": "bison",
    "moose": "moose", "jellyfish": "jellyfish", "blowfish": "blowfish", "ox": "oxen", "die": "dice", "elf": "elves",
    "scarf": "scarves", "sheaf": "sheaves", "thief": "thieves",
  ]

  private static let irregularSingulars: [String: String] = {
    var singulars = Dictionary(
      irregularPlurals.filter { $0.key != $0.value }.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first }
    )
    for word in [
      "shoe", "toe", "canoe", "ski", "axe", "pickaxe", "pie", "magpie", "tie", "necktie", "bowtie", "cookie", "brownie",
      "smoothie",
      "zombie", "genie", "pixie", "movie", "selfie", "hoodie", "collie", "birdie",
    ] { singulars[word + "s"] = word }
    for word in [
      "bus", "minibus", "trolleybus", "octopus", "platypus", "walrus", "hippopotamus", "rhinoceros", "cactus", "crocus",
      "lotus",
      "hibiscus", "iris", "virus", "circus", "abacus", "lens", "canvas", "atlas", "gas",
    ] { singulars[word + "es"] = word }
    return singulars
  }()
}

/// What texts say: their content words as a set, Korean ones without their particles.
public struct ContentWords: Sendable, Equatable {
  public let words: Set<String>

  public init(of texts: [String]) { words = Set(texts.flatMap(Self.words)) }

  /// Whether all content words of a text are among them; of a text without any, it is true.
  public func contain(_ text: String) -> Bool { Self.words(in: text).allSatisfy(words.contains) }

  private static func words(in text: String) -> [String] {
    English.contentWords(in: text).map(Korean.withoutParticle).filter { !Korean.functionWords.contains($0) }
  }
}
