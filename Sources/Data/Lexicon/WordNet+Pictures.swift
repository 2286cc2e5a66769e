/// What nouns mean that pictures are called by.
extension WordNet {
  /// The lexicographer files of what can be seen; see `lexnames(5WN)`.
  enum Category: UInt8 {
    case animal = 5
    case artifact = 6
    case body = 8
    case food = 13
    case object = 17
    case person = 18
    case phenomenon = 19
    case plant = 20
    case shape = 25
    case substance = 27
  }

  /// What has more hyponyms is too general for two things to be alike by it: "artifact", "food", "placental".
  static let mostHyponyms = 700
  /// What has more of them is too general to call a thing by: "vehicle", "conveyance", "equipment".
  static let mostHyponymsOfName = 350

  func category(of synset: Synset) -> Category? { Category(rawValue: graph.category(of: synset.number)) }

  func isGeneral(_ synset: Synset, limit: Int = mostHyponyms) -> Bool {
    graph.hasMore(than: limit, below: synset.number)
  }

  /// The senses of a noun that can be seen, the most frequent first; none that are written with a capital, like the Turkey
  /// that is no bird.
  func visibleSenses(of noun: String) -> [Synset] {
    guard let lemma = lemma(of: noun) else { return [] }
    return senses(of: lemma).filter { category(of: $0) != nil && graph.lemmas(of: $0.number).contains(lemma) }
  }

  /// What a noun means where the words beside it are known.
  /// - Parameters:
  ///   - name: a noun.
  ///   - words: what else is said of the same, such as a picture's keywords.
  /// - Returns: the sense most of whose neighbourhood is said, alone (Lesk 1986, with the graph in place of the definitions);
  ///   where nothing tells one from the others, all that can be seen, the most frequent first.
  func senses(of name: String, amid words: [String]) -> [Synset] {
    let senses = visibleSenses(of: name)
    guard senses.count > 1, let lemma = lemma(of: name) else { return senses }
    let others = Set(words.map { $0.lowercased() }).subtracting([name.lowercased(), Self.spaced(lemma)])
    guard !others.isEmpty else { return senses }
    let scores = senses.map { others.intersection(neighbourhood(of: $0)).count }
    guard let most = scores.max(), most > 0, let best = scores.firstIndex(of: most) else { return senses }
    return [senses[best]]
  }

  /// The words of a synset, of the hypernyms up to three steps above it and of the hyponyms up to two below.
  private func neighbourhood(of synset: Synset) -> Set<String> {
    let children = graph.hyponyms(of: synset.number)
    let numbers =
      graph.ancestors(of: synset.number, atMost: 3).map(\.number) + children + children.flatMap(graph.hyponyms)
    return Set(numbers.flatMap(graph.lemmas).map { Self.spaced($0).lowercased() })
  }

  /// Other words for what a name means.
  /// - Parameters:
  ///   - name: a noun.
  ///   - words: what else is said of the same, which tells its meaning; the most frequent one unless given.
  /// - Returns: in lower case, proper names and Latin ones left out; none where it is no noun of WordNet.
  public func synonyms(of name: String, amid words: [String] = []) -> [String] {
    guard let sense = senses(of: name, amid: words).first, let base = baseForm(of: name) else { return [] }
    return lemmas(of: sense).filter { Self.isPlain($0) && $0 != base && $0 != name.lowercased() }
  }

  /// What a name is a kind of, but nothing as general as a vehicle or a food.
  /// - Parameters:
  ///   - name: a noun.
  ///   - steps: how far up.
  ///   - words: as for ``synonyms(of:amid:)``.
  /// - Returns: the most usual word of each hypernym, the nearest first.
  public func hypernyms(of name: String, atMost steps: Int, amid words: [String] = []) -> [String] {
    guard let sense = senses(of: name, amid: words).first else { return [] }
    return graph.ancestors(of: sense.number, atMost: steps).dropFirst()
      .filter { !isGeneral(Synset(number: $0.number), limit: Self.mostHyponymsOfName) }
      .compactMap { lemmas(of: Synset(number: $0.number)).first }.filter(Self.isPlain)
  }

  /// What a name means, to tell how near two of them are.
  package struct Meaning: Sendable {
    /// The class that the lexicographers have put it in: "animal", "food", "artifact".
    package var category: String
    /// It and what it is a kind of, but nothing that is too general for two things to be alike by it.
    var kinds: Set<Int32>

    /// Whether two things are of one kind: a tapir and a horse are, a tapir and a cat are animals and no more.
    package func isAkin(to other: Meaning) -> Bool { !kinds.isDisjoint(with: other.kinds) }
  }

  /// - Parameters:
  ///   - name: a noun.
  ///   - words: as for ``synonyms(of:amid:)``.
  /// - Returns: nil for what is no noun, or cannot be seen.
  package func meaning(of name: String, amid words: [String] = []) -> Meaning? {
    guard let sense = senses(of: name, amid: words).first, let category = category(of: sense) else { return nil }
    let kinds = graph.ancestors(of: sense.number, atMost: .max).map(\.number)
      .filter { $0 == sense.number || !isGeneral(Synset(number: $0)) }
    return Meaning(category: "\(category)", kinds: Set(kinds))
  }

  /// The nouns of one word that can be seen and are met in texts: those that people may type. In the order of the alphabet.
  package var familiarNouns: [String] {
    nouns.filter {
      Self.isPlain($0) && $0.utf8.allSatisfy { $0 != UInt8(ascii: "_") } && frequency(ofLemma: $0).noun > 0
        && isChieflyNoun($0) && !visibleSenses(of: $0).isEmpty
    }
  }

  /// Words that are met as verbs, adjectives or adverbs far more often than as nouns are none here.
  func isChieflyNoun(_ lemma: String) -> Bool {
    let frequency = frequency(ofLemma: lemma)
    return frequency.other < 4 * (frequency.noun + 1)
  }

  /// Whether it is written in small letters alone.
  static func isPlain(_ lemma: String) -> Bool {
    lemma.utf8.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || " -'".utf8.contains($0) }
  }
}
