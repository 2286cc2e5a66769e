/// Which of some nouns is nearest to another one, by what they are kinds of.
package struct NearestNouns {
  /// A noun that is near.
  package struct Match: Equatable {
    package var noun: String
    /// The most usual word for what both are; nil where they mean the same.
    package var ancestor: String?
  }

  /// How far a noun is; the least one is taken.
  private struct Rank: Comparable {
    var distance: Double
    /// Of nouns that are as far, one of few meanings is taken, then the most frequent one.
    var meanings: Int
    var rareness: Int
    var noun: String

    static func < (a: Rank, b: Rank) -> Bool {
      (a.distance, a.meanings, a.rareness, a.noun) < (b.distance, b.meanings, b.rareness, b.noun)
    }

    func adding(_ distance: Double) -> Rank {
      var rank = self
      rank.distance += distance
      return rank
    }
  }

  private let wordNet: WordNet
  /// Of each synset the noun that means it, and the nearest one of what is below it or means it.
  private var own: [WordNet.Synset: Rank] = [:]
  private var below: [WordNet.Synset: Rank] = [:]
  private var isGeneral: [WordNet.Synset: Bool] = [:]

  // Distances. Steps up weigh more than steps down: a kind of what was asked for is nearer than what is like it.
  private static let stepUp = 1.5
  private static let stepDown = 1.0
  private static let mostStepsUp = 6
  private static let mostDistant = 6.0
  /// For each more frequent sense of the noun that is asked for, and of one that is near.
  private static let laterSense = 1.0
  private static let laterSenseOfKnown = 1.5
  /// "oak" is rather the tree than the wood.
  private static let lessLikely: [WordNet.Category: Double] = [.person: 1.5, .substance: 2]

  package init(_ wordNet: WordNet) { self.wordNet = wordNet }

  /// Adds a noun that may be the nearest; nothing is added where WordNet has no such noun.
  /// - Parameters:
  ///   - noun: in singular or plural.
  ///   - penalty: added to its distances.
  ///   - words: what else is said of the same; see ``WordNet/senses(of:amid:)``.
  package mutating func add(_ noun: String, penalty: Double, amid words: [String]) {
    guard noun.count > 1, let lemma = wordNet.lemma(of: noun), wordNet.isChieflyNoun(lemma) else { return }
    let (meanings, frequency) = (wordNet.senses(of: lemma).count, wordNet.frequency(ofLemma: lemma).noun)
    for (place, sense) in wordNet.senses(of: noun, amid: words).enumerated() {
      let rank = Rank(
        distance: penalty + Self.laterSenseOfKnown * Double(place), meanings: meanings, rareness: -frequency, noun: noun
      )
      if own[sense].map({ rank < $0 }) ?? true { own[sense] = rank }
      for (ancestor, steps) in wordNet.graph.ancestors(of: sense.number, atMost: .max) {
        let ancestor = WordNet.Synset(number: ancestor)
        let rank = rank.adding(Self.stepDown * Double(steps))
        if below[ancestor].map({ rank < $0 }) ?? true { below[ancestor] = rank }
      }
    }
  }

  /// Finds out which synsets are too general to be what two nouns have in common. Said once after all nouns were added.
  package mutating func prepare() {
    for synset in below.keys where isGeneral[synset] == nil { isGeneral[synset] = wordNet.isGeneral(synset) }
  }

  /// - Parameter noun: in singular or plural.
  /// - Returns: the nearest noun; nil where none is near, or it is no noun or chiefly a verb or an adjective.
  package func nearest(to noun: String) -> Match? {
    guard let lemma = wordNet.lemma(of: noun), wordNet.isChieflyNoun(lemma) else { return nil }
    var best: (rank: Rank, ancestor: WordNet.Synset, isSame: Bool)?
    for (place, sense) in likelySenses(of: lemma).enumerated() {
      let category = wordNet.category(of: sense)
      let start = Self.laterSense * Double(place) + (category.flatMap { Self.lessLikely[$0] } ?? 0)
      for (number, steps) in wordNet.graph.ancestors(of: sense.number, atMost: Self.mostStepsUp) {
        let ancestor = WordNet.Synset(number: number)
        // A bird may be drawn as any bird where "bird" is known, but not as what is food like it.
        guard let found = isGeneral[ancestor] == false ? below[ancestor] : own[ancestor] else { continue }
        let rank = found.adding(start + Self.stepUp * Double(steps))
        if rank.distance <= Self.mostDistant, best.map({ rank < $0.rank }) ?? true {
          best = (rank, ancestor, steps == 0 && own[ancestor]?.noun == found.noun)
        }
      }
    }
    return best.map { best in
      Match(noun: best.rank.noun, ancestor: best.isSame ? nil : wordNet.lemmas(of: best.ancestor).first)
    }
  }

  /// Senses that can be seen, the likeliest first: a "rake" is rather the tool than the libertine, however often each was met,
  /// and a "cod", which was not met at all, rather the fish than the pod.
  private func likelySenses(of lemma: String) -> [WordNet.Synset] {
    let wasMet = wordNet.frequency(ofLemma: lemma).noun > 0
    let senses = wordNet.visibleSenses(of: lemma).map { (sense: $0, category: wordNet.category(of: $0)) }
    let animals = senses.filter { $0.category == .animal && !wasMet }
    let persons = senses.filter { $0.category == .person }
    let others = senses.filter { $0.category != .person && ($0.category != .animal || wasMet) }
    return (animals + others + persons).map(\.sense)
  }

  /// The nearest noun for each noun of WordNet, words and collocations of at most three words.
  /// - Parameter isAskedFor: whether one is needed for this noun, which has spaces.
  package func all(where isAskedFor: (String) -> Bool) -> [(noun: String, nearest: Match)] {
    wordNet.nouns.map(WordNet.spaced).filter {
      WordNet.isPlain($0) && $0.utf8.count(where: { $0 == UInt8(ascii: " ") }) < 3 && isAskedFor($0)
    }.compactMap { noun in nearest(to: noun).map { (noun, $0) } }
  }
}
