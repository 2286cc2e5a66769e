import Basics
import Foundation
import Testing

@testable import TextTokenizer

@Suite struct BytePairTrainingTests {
  /// By hand: "ab" 5 times; then "abc" in "abc" 3 times; then " " + "x" has gone under the minimum.
  @Test func theMostFrequentPairIsMergedFirst() throws {
    let vocabulary = try BytePairEncoding.train(
      on: ["abc", "abc", "abc", "ab", "ab", "xy"], vocabularySize: 1_000, minimumFrequency: 2, addsPrefixSpace: false)
    #expect(vocabulary.vocabularySize == 258)
    #expect(vocabulary.pieces([256, 257]) == ["ab", "abc"])
    #expect(vocabulary.encode("abc ab xy").suffix(2) == BytePairEncoding.bytesOnly("xy"))
  }

  @Test func tiesGoToTheSmallerIds() throws {
    let vocabulary = try BytePairEncoding.train(
      on: ["yz", "wx", "yz", "wx"], vocabularySize: 257, addsPrefixSpace: false)
    #expect(vocabulary.pieces([256]) == ["wx"])
  }

  @Test func theOrderOfTheCaptionsDoesNotMatter() throws {
    let captions = try Fixture.cases().map(\.text).filter { $0.utf8.count < 500 }
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: 700)
    #expect(vocabulary.vocabularySize == 700)
    var generator = Philox(seed: 2, stream: 0)
    for _ in 0..<3 {
      let shuffled = generator.permutation(captions.count).map { captions[$0] }
      #expect(try BytePairEncoding.train(on: shuffled, vocabularySize: 700) == vocabulary)
    }
  }

  @Test func trainedTextTakesFewIds() throws {
    let captions = Array(repeating: "A grinning cat", count: 2)
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: 400)
    #expect(vocabulary.pieces(vocabulary.encode("a grinning cat")) == [" a", " grinning", " cat"])
  }

  /// A Korean word with its particle is a word like any other, and syllables are merged to it from their bytes.
  @Test func koreanWordsBecomePieces() throws {
    let caption = "아코디언으로 만든 코뿔소"
    let vocabulary = try BytePairEncoding.train(on: [caption, caption], vocabularySize: 400)
    #expect(vocabulary.pieces(vocabulary.encode(caption)) == [" 아코디언으로", " 만든", " 코뿔소"])
    #expect(vocabulary.encode(caption.decomposedStringWithCanonicalMapping) == vocabulary.encode(caption))
    #expect(BytePairEncoding.words(in: "빨간 찻주전자, 2개!") == ["빨간", "찻주전자", "2개"])
  }

  /// What a model has learnt of its words holds with the longer vocabulary: the ids of all that the earlier one has as one piece
  /// are the same, and each further merge is one of new text.
  @Test func anExtendedVocabularyKeepsItsPieces() throws {
    let english = ["a grinning cat", "a red car", "two cats", "a red cat"]
    let earlier = try BytePairEncoding.train(on: english, vocabularySize: 400)
    let korean = ["고양이 두 마리", "빨간 고양이", "빨간 자동차", "grinning"]
    let extended = try BytePairEncoding.train(on: korean, vocabularySize: 500, extending: earlier)
    #expect(extended.pieces.starts(with: earlier.pieces))
    #expect(extended.merges.starts(with: earlier.merges) && extended.merges.count > earlier.merges.count)
    for text in english { #expect(extended.encode(text) == earlier.encode(text)) }
    #expect(extended.pieces(extended.encode("빨간 고양이")) == [" 빨간", " 고양이"])
    // Going on with the same text is training in one go.
    let half = try BytePairEncoding.train(on: english, vocabularySize: 270)
    #expect(try BytePairEncoding.train(on: english, vocabularySize: 400, extending: half) == earlier)
    #expect {
      try BytePairEncoding.train(on: korean, vocabularySize: 256, extending: earlier)
    } throws: {
      ($0 as? PipelineError)?.message.contains("\(earlier.vocabularySize) pieces that it extends") == true
    }
  }

  /// An ending is learnt apart where the rest is a word of the captions: 이 of 고양이, a cat, is none.
  @Test func endingsAreLearntApart() throws {
    let captions = ["사과로 만든 고양이", "사과 두 개", "사과로 만든 곰"]
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: 500) { word in
      ["로", "이"].first(where: word.hasSuffix).map { String(word.dropLast($0.count)) } ?? word
    }
    #expect(vocabulary.pieces(vocabulary.encode("사과로 만든 고양이")) == [" 사과", "로", " 만든", " 고양이"])
    #expect(vocabulary.encode("사과").count == 1)
  }

  /// Every merge is what a recount of the words finds most frequent: the counts kept up to date are right.
  @Test func eachMergeIsTheMostFrequentOfARecount() throws {
    let captions = ["aaaa aaab", "aaaaa baab", "abababab", "banana bandana", "aabaab", "banana"]
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: 300, minimumFrequency: 2)
    var words = captions.flatMap { caption in
      let bytes = NormalizedText.bytes(of: caption, addingPrefixSpace: true)
      return Array(AnyIterator(WordScanner(bytes))).map { BytePairEncoding.bytesOnly(bytes[$0]) }
    }
    #expect(vocabulary.merges.count > 8)
    for merge in vocabulary.merges {
      var counts: [[Int32]: Int] = [:]
      for word in words { for pair in zip(word, word.dropFirst()) { counts[[pair.0, pair.1], default: 0] += 1 } }
      let best = counts.max { a, b in a.value != b.value ? a.value < b.value : b.key.lexicographicallyPrecedes(a.key) }
      #expect(best?.key == [merge.left, merge.right])
      words = words.map { word in
        var joined: [Int32] = []
        var position = 0
        while position < word.count {
          let isPair =
            position + 1 < word.count && word[position] == merge.left && word[position + 1] == merge.right
          joined.append(isPair ? merge.product : word[position])
          position += isPair ? 2 : 1
        }
        return joined
      }
    }
  }

  @Test(arguments: [(255, 2), (-1, 2), (300, 0)]) func sizesThatMakeNoSenseAreRefused(size: Int, frequency: Int) {
    #expect {
      try BytePairEncoding.train(on: ["a"], vocabularySize: size, minimumFrequency: frequency)
    } throws: {
      ($0 as? PipelineError)?.kind == .usage
    }
  }
}

extension BytePairEncoding {
  /// The ids of single bytes, which are the same in each trained vocabulary.
  static func bytesOnly(_ bytes: some Sequence<UInt8>) -> [Int32] {
    bytes.map { byte in Int32(ByteAlphabet.bytesInOrder.firstIndex(of: byte) ?? -1) }
  }

  static func bytesOnly(_ text: String) -> [Int32] { bytesOnly(text.utf8) }
}
