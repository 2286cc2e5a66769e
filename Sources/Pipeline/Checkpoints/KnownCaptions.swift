import Basics
import Captions
import Datasets
import Foundation
import TextTokenizer

/// The captions that a prior was trained on, to tell how much of a prompt they say and which of them are nearest to it.
///
/// In a checkpoint it is the file `captions.txt`, a line a picture: its first caption, a tab, and the content words of all
/// its captions and keywords.
package struct KnownCaptions {
  struct Caption: Equatable {
    package var text: String
    var words: Set<String>
  }

  let captions: [Caption]
  /// Which captions have each word, in their order.
  private let places: [String: [Int]]

  /// Of more pictures, so many are kept, evenly spread.
  private static let maximumCount = 20_000
  /// Of compositions, which say the same words over and over.
  private static let maximumCompositions = 4000
  /// Of a longer caption, so many characters.
  private static let maximumLength = 500
  private static let maximumFileSize = 256 << 20

  private init(_ captions: [Caption]) {
    self.captions = captions
    places = captions.enumerated().reduce(into: [:]) { places, caption in
      for word in caption.element.words { places[word, default: []].append(caption.offset) }
    }
  }

  /// Those of a data set's train split: of what is composed no more than there is room for beside the rest.
  /// - Parameter compositions: further captions, several a picture.
  package init(of dataSet: PictureDataSet, compositions: [[String]] = []) {
    func captions(of index: Int) -> [String] { dataSet.entries[index].allCaptions }
    let train = dataSet.indices(of: .train)
    let plain = dataSet.uncomposed(train).spread(over: Self.maximumCount).map(captions)
    let own = dataSet.composed(train)
    let composed = (0..<own.count + compositions.count)
      .spread(over: min(Self.maximumCompositions, Self.maximumCount - plain.count))
      .map { $0 < own.count ? captions(of: own[$0]) : compositions[$0 - own.count] }
    self.init(
      (plain + composed).map { captions in
        let text = captions[0].prefix(Self.maximumLength).split(whereSeparator: \.isWhitespace)
        return Caption(text: text.joined(separator: " "), words: ContentWords(of: captions).words)
      })
  }

  /// - Throws: `PipelineError` of kind `.badData` or `.inputOutput` where the file cannot be read.
  package init(contentsOf file: URL) throws(PipelineError) {
    let content = String(
      decoding: try InputFile.contents(of: file, maximumByteCount: Self.maximumFileSize), as: UTF8.self)
    self.init(
      content.split(separator: "\n").map { line in
        let parts = line.split(separator: "\t", maxSplits: 1)
        let words = parts.count > 1 ? parts[1].split(separator: " ") : []
        return Caption(text: String(parts.first ?? ""), words: Set(words.map(String.init)))
      })
  }

  package func write(to file: URL) throws(PipelineError) {
    let lines = captions.map { "\($0.text)\t\($0.words.sorted().joined(separator: " "))\n" }
    try AtomicFile.write(Data(lines.joined().utf8), to: file)
  }

  /// Those of some signs that no caption has.
  package func missing(_ signs: [String]) -> [String] {
    var missing = Set(signs)
    for caption in captions where !missing.isEmpty { missing.subtract(BytePairEncoding.signs(in: caption.text)) }
    return signs.filter(missing.contains)
  }

  /// What is known of a prompt; see ``PromptFamiliarity``.
  /// - Parameter neutral: words that do not count.
  /// - Returns: nil where it has no words that count, or there are no captions.
  package func familiarity(of prompt: String, neutral: Set<String>) -> PromptFamiliarity? {
    let words = ContentWords(of: [prompt]).words.subtracting(neutral)
    // The inverse document frequency (Spärck Jones 1972); a word that was never seen weighs most.
    let weights = Dictionary(
      uniqueKeysWithValues: words.map { ($0, log(1 + Double(captions.count) / Double(max(1, places[$0]?.count ?? 0)))) }
    )
    // In one order, for sums in several orders differ in their last bits.
    func weight(_ some: Set<String>) -> Double { some.sorted().reduce(0) { $0 + (weights[$1] ?? 0) } }
    let total = weight(words)
    guard total > 0, !captions.isEmpty else { return nil }
    var nearest: [String] = []
    var share = 0.0
    var left = words
    // The caption that says most, then the ones that say most of what is still missing; of equal ones that with the fewest
    // words beside.
    while nearest.count < 3 {
      let saying = Set(left.flatMap { places[$0] ?? [] }).sorted().map { captions[$0] }
      let best = saying.map { (caption: $0, weight: weight($0.words.intersection(left))) }
        .max { ($0.weight, $1.caption.words.count) < ($1.weight, $0.caption.words.count) }
      guard let best else { break }
      if nearest.isEmpty { share = best.weight / total }
      nearest.append(best.caption.text)
      left.subtract(best.caption.words)
    }
    return PromptFamiliarity(share: share, nearest: nearest)
  }
}

/// How much of a prompt the training captions say.
public struct PromptFamiliarity: Sendable, Equatable {
  /// The largest share of the prompt's content words that one training caption with its keywords has, in 0 ... 1; words
  /// weigh the more the fewer captions have them.
  public var share: Double
  /// The training captions that say most of the prompt, at most three: the nearest one, then those that say what it leaves
  /// out.
  public var nearest: [String]

  /// Whether some training caption says most of the prompt. Where none does, what is drawn is a guess.
  public var isFamiliar: Bool { share >= 2 / 3 }
}
