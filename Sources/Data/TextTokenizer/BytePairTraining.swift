import Basics
import HeapModule

extension BytePairEncoding {
  /// Learns a vocabulary: from single bytes on, or from the pieces of an earlier one, the most frequent pair of neighbouring
  /// pieces becomes a piece, until there are enough. Sennrich et al. 2016, algorithm 1.
  ///
  /// The result depends on how often each word occurs and not on the order of the captions: of equally frequent
  /// pairs the one with the smaller ids is taken, and ids are given in the order of learning.
  /// - Parameters:
  ///   - captions: the texts to learn from.
  ///   - vocabularySize: the number of ids wanted, the 256 bytes and the earlier pieces included. There are fewer when no pair
  ///     is left that is frequent enough.
  ///   - minimumFrequency: how often a pair must occur to be merged; at least 1.
  ///   - addsPrefixSpace: whether a text is read as if a space stood before it, so that a word at its beginning is the
  ///     same as elsewhere.
  ///   - earlier: the vocabulary to go on from. Its pieces keep their ids, and its merges come first, so that what it has as one
  ///     piece stays one: a model that was trained with it keeps the words that it knows. It decides on `addsPrefixSpace`, too.
  ///   - stem: a word without an ending such as a particle. Where what is left is a word of the captions, too, the two are
  ///     learnt apart, so that "사과를" and "사과" share a piece.
  /// - Throws: `PipelineError` of kind `.usage` where one of the two numbers is too small.
  public static func train(
    on captions: some Sequence<String>, vocabularySize: Int, minimumFrequency: Int = 1,
    addsPrefixSpace: Bool = true, extending earlier: BytePairEncoding? = nil,
    stem: ((String) -> String)? = nil
  ) throws(PipelineError) -> BytePairEncoding {
    let bytesOnly = BytePairEncoding(
      pieces: ByteAlphabet.bytesInOrder.map { [$0] }, merges: [], addsPrefixSpace: addsPrefixSpace)
    let start = earlier ?? bytesOnly
    guard vocabularySize >= start.vocabularySize else {
      let held = earlier == nil ? "the 256 bytes" : "the \(start.vocabularySize) pieces that it extends"
      throw PipelineError(
        .usage, "a vocabulary of \(vocabularySize) ids cannot hold \(held): ask for at least \(start.vocabularySize)")
    }
    guard minimumFrequency >= 1 else {
      throw PipelineError(.usage, "the minimum frequency of a pair is \(minimumFrequency): it must be at least 1")
    }
    var counts: [[UInt8]: Int] = [:]
    for caption in captions {
      let bytes = NormalizedText.bytes(of: caption, addingPrefixSpace: start.addsPrefixSpace)
      var words = WordScanner(bytes)
      while let word = words.next() { counts[Array(bytes[word]), default: 0] += 1 }
    }
    if let stem { separateEndings(in: &counts, stem: stem) }
    var training = Training(counts, from: start)
    training.learn(vocabularySize: vocabularySize, minimumFrequency: minimumFrequency)
    return BytePairEncoding(
      pieces: training.pieces, merges: training.merges, addsPrefixSpace: start.addsPrefixSpace)
  }

  /// Counts words whose stem is one, too, as their stem and their ending.
  private static func separateEndings(in counts: inout [[UInt8]: Int], stem: (String) -> String) {
    let words = counts
    // A stem may have a stem of its own, and is shorter than what it is the stem of.
    for word in words.keys.sorted(by: { $0.count > $1.count }) {
      guard let count = counts[word] else { continue }
      let space = Array(word.prefix { $0 == 0x20 })
      let text = String(decoding: word[space.count...], as: UTF8.self)
      let stem = stem(text)
      guard stem != text, text.hasPrefix(stem), words[space + Array(stem.utf8)] != nil else { continue }
      counts[word] = nil
      counts[space + Array(stem.utf8), default: 0] += count
      counts[Array(text.utf8.dropFirst(stem.utf8.count)), default: 0] += count
    }
  }
}

/// The state of learning: every distinct word in its present pieces, and how often each pair of them occurs.
private struct Training {
  private(set) var pieces: [[UInt8]]
  private(set) var merges: [PairMerger.Merge]
  private var idOfPiece: [[UInt8]: Int32] = [:]
  private var learnedPairs: Set<Pair> = []

  private var words: [Word] = []
  private var counts: [Pair: Int] = [:]
  /// The words in which a pair occurs or did when it was noted.
  private var occurrences: [Pair: [Int]] = [:]
  /// A pair's count may have changed since it was queued; the right one is in `counts`.
  private var queue = Heap<Candidate>()

  private struct Word {
    var symbols: [Int32]
    var count: Int
  }

  private struct Pair: Hashable {
    var left: Int32
    var right: Int32
  }

  private struct Candidate: Comparable {
    var count: Int
    var pair: Pair

    /// The more frequent pair is greater, and of equally frequent ones that with the smaller ids.
    static func < (a: Candidate, b: Candidate) -> Bool {
      if a.count != b.count { return a.count < b.count }
      return (a.pair.left, a.pair.right) > (b.pair.left, b.pair.right)
    }
  }

  init(_ wordCounts: [[UInt8]: Int], from start: BytePairEncoding) {
    (pieces, merges) = (start.pieces, start.merges)
    for (id, piece) in pieces.enumerated() { idOfPiece[piece] = Int32(id) }
    for merge in merges { learnedPairs.insert(Pair(left: merge.left, right: merge.right)) }
    for (bytes, count) in wordCounts {
      let symbols = start.ids(ofWord: bytes[...])
      for (left, right) in zip(symbols, symbols.dropFirst()) {
        change(Pair(left: left, right: right), by: count, inWord: words.count)
      }
      words.append(Word(symbols: symbols, count: count))
    }
    queue = Heap(counts.map { Candidate(count: $0.value, pair: $0.key) })
  }

  mutating func learn(vocabularySize: Int, minimumFrequency: Int) {
    while pieces.count < vocabularySize, let candidate = queue.popMax() {
      let pair = candidate.pair
      let count = counts[pair, default: 0]
      if count < minimumFrequency { continue }
      if count < candidate.count {
        queue.insert(Candidate(count: count, pair: pair))
        continue
      }
      merge(pair)
    }
  }

  /// Makes a pair one piece in all words.
  private mutating func merge(_ pair: Pair) {
    let piece = pieces[Int(pair.left)] + pieces[Int(pair.right)]
    // Two pairs can give the same piece, such as "a" + "bc" and "ab" + "c".
    let product = idOfPiece[piece] ?? Int32(pieces.count)
    if product == pieces.count {
      pieces.append(piece)
      idOfPiece[piece] = product
    }
    // For the same reason a pair can come up again after it was merged everywhere; its rank stays the first.
    if learnedPairs.insert(pair).inserted {
      merges.append(PairMerger.Merge(left: pair.left, right: pair.right, product: product))
    }
    var grown: Set<Pair> = []
    for word in occurrences.removeValue(forKey: pair) ?? [] {
      merge(pair, into: product, inWord: word, grown: &grown)
    }
    counts[pair] = nil
    for pair in grown {
      if let count = counts[pair] { queue.insert(Candidate(count: count, pair: pair)) }
    }
  }

  /// Replaces a pair from left to right in one word and corrects the counts of the pairs beside it.
  private mutating func merge(_ pair: Pair, into product: Int32, inWord word: Int, grown: inout Set<Pair>) {
    // Taken out of the table while it changes, so that the array is not copied.
    var symbols: [Int32] = []
    swap(&symbols, &words[word].symbols)
    let count = words[word].count
    var kept = 0
    var position = 0
    while position < symbols.count {
      guard position + 1 < symbols.count, symbols[position] == pair.left, symbols[position + 1] == pair.right else {
        symbols[kept] = symbols[position]
        kept += 1
        position += 1
        continue
      }
      change(pair, by: -count, inWord: word)
      if kept > 0 {
        let before = symbols[kept - 1]
        change(Pair(left: before, right: pair.left), by: -count, inWord: word)
        change(Pair(left: before, right: product), by: count, inWord: word)
        grown.insert(Pair(left: before, right: product))
      }
      if position + 2 < symbols.count {
        let after = symbols[position + 2]
        change(Pair(left: pair.right, right: after), by: -count, inWord: word)
        change(Pair(left: product, right: after), by: count, inWord: word)
        grown.insert(Pair(left: product, right: after))
      }
      symbols[kept] = product
      kept += 1
      position += 2
    }
    symbols.removeSubrange(kept...)
    swap(&symbols, &words[word].symbols)
  }

  private mutating func change(_ pair: Pair, by difference: Int, inWord word: Int) {
    counts[pair, default: 0] += difference
    if difference > 0 && occurrences[pair]?.last != word { occurrences[pair, default: []].append(word) }
  }
}
