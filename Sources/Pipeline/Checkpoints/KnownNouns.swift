import Captions
import Datasets
import Foundation
import Lexicon
import TextTokenizer

/// The words of a prior's training captions.
package struct KnownWords: Sendable {
  private let words: Set<String>

  /// - Parameter list: divided by spaces, as `config.json` has them.
  package init(_ list: String) { words = Set(list.split(separator: " ").map(String.init)) }

  /// Whether a word occurs, in singular or plural.
  package func contains(_ word: String) -> Bool {
    [word, English.singular(word), English.plural(word), Korean.withoutParticle(word)].contains(where: words.contains)
  }

  /// The words of a text that do not occur.
  package func missing(in text: String) -> [String] { BytePairEncoding.words(in: text).filter { !contains($0) } }

  /// The signs of a text that do not occur.
  package func missingSigns(in text: String) -> [String] {
    BytePairEncoding.signs(in: text).filter { !words.contains($0) }
  }
}

/// The nouns that a data set's training pictures are called by, and which of them is nearest to each noun that never occurs.
package struct KnownNouns {
  private var nouns: NearestNouns
  private let wordNet: WordNet

  /// Beside the name of the one thing that a picture shows, what it is a kind of by its last word ("tower" of "tokyo tower"),
  /// and keywords.
  private static let headPenalty = 1.25
  private static let keywordPenalty = 0.75
  /// A keyword that more pictures share names none of them.
  private static let mostSharers = 3
  /// Of more pictures, the names of so many are taken, evenly spread.
  private static let maximumPictures = 100_000

  package init(of dataSet: PictureDataSet, _ wordNet: WordNet) {
    self.wordNet = wordNet
    nouns = NearestNouns(wordNet)
    // What a composition is called is no thing's name.
    let entries = dataSet.uncomposed(dataSet.indices(of: .train)).spread(over: Self.maximumPictures)
      .map { dataSet.entries[$0] }
    let sharers = entries.flatMap { Set($0.keywords.map { $0.lowercased() }) }
      .reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
    let named = entries.map { (name: $0.thingName, keywords: $0.keywords.map { $0.lowercased() }) }
    let names = Set(named.map(\.name))
    for (name, keywords) in named {
      nouns.add(name, penalty: 0, amid: keywords)
      for keyword in keywords where sharers[keyword, default: 0] <= Self.mostSharers && !names.contains(keyword) {
        nouns.add(keyword, penalty: Self.keywordPenalty, amid: keywords + [name])
      }
      let words = name.split(separator: " ").map(String.init)
      if (2...3).contains(words.count), !name.contains(":"), English.nounPlace(in: words) == words.count - 1 {
        nouns.add(words[words.count - 1], penalty: Self.headPenalty, amid: keywords + [name])
      }
    }
    nouns.prepare()
  }

  /// The content of the file `nouns.txt`; see `NounMap`.
  package func map(beside words: KnownWords) -> Data {
    NounMap.content(nouns.all { !words.missing(in: $0).isEmpty }, notice: wordNet.notice)
  }
}
