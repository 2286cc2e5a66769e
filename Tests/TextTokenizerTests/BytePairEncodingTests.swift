import Basics
import Testing

@testable import TextTokenizer

@Suite struct BytePairEncodingTests {
  @Test func idsAreThoseOfThePythonLibrary() throws {
    let vocabulary = try Fixture.vocabulary()
    let cases = try Fixture.cases()
    #expect(cases.count > 600)
    for example in cases {
      #expect(vocabulary.encode(example.text) == example.ids, "\(scalars(example.text).prefix(60))")
    }
    let spaced = try Fixture.vocabulary(addingPrefixSpace: true)
    for example in cases {
      #expect(spaced.encode(example.text) == example.spacedIds, "\(scalars(example.text).prefix(60))")
    }
  }

  @Test func aWordHasTheSameIdsAtTheBeginningAndElsewhere() throws {
    let captions = ["dog", "a dog", "the dog", "Dogs"]
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: 400)
    #expect(vocabulary.pieces(vocabulary.encode("dog")) == [" dog"])
    #expect(vocabulary.encode("a dog").last == vocabulary.encode("dog").first)
    #expect(vocabulary.encode(" dog") == vocabulary.encode("dog"))
    #expect(vocabulary.decode(vocabulary.encode("Dog.")) == "dog.")
    #expect(vocabulary.encode("").isEmpty)
    let apart = try BytePairEncoding.train(on: captions, vocabularySize: 400, addsPrefixSpace: false)
    #expect(apart.encode("a dog").last != apart.encode("dog").last)
  }

  /// In another vocabulary's ids a piece has the same bytes.
  @Test func piecesAreSaidInAnotherVocabulary() throws {
    let captions = ["a grinning cat", "a cat", "grinning", "grinning cats"]
    let large = try BytePairEncoding.train(on: captions, vocabularySize: 400)
    let small = try BytePairEncoding.train(on: ["cat", "a cat"], vocabularySize: 400)
    let said = large.pieces(inTermsOf: small)
    #expect(said.count == large.vocabularySize)
    let grinning = try #require(large.encode("grinning").first)
    #expect(said[Int(grinning)] == small.encode("grinning") && said[Int(grinning)].count > 1)
    #expect(large.pieces(inTermsOf: large) == (0..<Int32(large.vocabularySize)).map { [$0] })
  }

  @Test func decodingGivesTheNormalisedText() throws {
    let vocabulary = try Fixture.vocabulary()
    for example in try Fixture.cases() {
      let normalised = String(decoding: NormalizedText.bytes(of: example.text), as: UTF8.self)
      #expect(scalars(vocabulary.decode(vocabulary.encode(example.text))) == scalars(normalised))
    }
    #expect(vocabulary.decode(vocabulary.encode("A Red HEART")) == "a red heart")
  }

  @Test func theEmptyTextHasNoIds() throws {
    let vocabulary = try Fixture.vocabulary()
    #expect(vocabulary.encode("") == [])
    #expect(vocabulary.decode([]) == "")
  }

  @Test(arguments: [
    ("É\u{301}\u{323}", [0x1EB9, 0x301, 0x301]), ("\u{B2E4}\u{11BC}", [0xB2F9]),
    ("\u{1113}\u{1161}", [0x1113, 0x1161]),
    ("\u{AC00}\u{11A7}", [0xAC00, 0x11A7]), ("\u{344}\u{F81}", [0xF71, 0xF80, 0x308, 0x301]),
    ("\u{CC6}\u{CC2}\u{CD5}", [0xCCB]), ("\u{10418}\u{308}", [0x10440, 0x308]), ("İΣ", [0x69, 0x307, 0x3C3]),
    // Later than Unicode 9: a combining mark that does not reorder, a pair that does not compose.
    ("q\u{345}\u{7FD}", [0x71, 0x345, 0x7FD]), ("\u{11935}\u{11930}", [0x11935, 0x11930]),
  ])
  func textIsComposedThenLowerCased(text: String, expected: [UInt32]) {
    #expect(scalars(String(decoding: NormalizedText.bytes(of: text), as: UTF8.self)) == expected)
  }

  @Test func invalidIdsAndBytesAreTolerated() throws {
    let vocabulary = try Fixture.vocabulary()
    let heart = vocabulary.encode("❤")
    #expect(vocabulary.decode([-1, Int32(vocabulary.vocabularySize), .max]) == "")
    let bytes = try BytePairEncoding.train(on: [], vocabularySize: 256)
    #expect(bytes.decode(bytes.encode("❤").dropLast()) == "\u{FFFD}")
    #expect(vocabulary.decode(heart) == "❤")
  }

  @Test func piecesReadAsText() throws {
    let vocabulary = try Fixture.vocabulary()
    #expect(vocabulary.pieces(vocabulary.encode("a red heart")) == ["a", " red", " heart"])
    let bytes = try BytePairEncoding.train(on: [], vocabularySize: 256)
    #expect(bytes.pieces(bytes.encode("a❤")) == [" ", "a", "<0xE2>", "<0x9D>", "<0xA4>"])
    #expect(bytes.pieces([256]) == ["<unknown 256>"])
  }

  @Test func theQueueMergesAsScanningDoes() throws {
    let vocabulary = try Fixture.vocabulary()
    // The vocabulary's single bytes have the same ids, because both number them in the alphabet's order.
    let bytesOnly = try BytePairEncoding.train(on: [], vocabularySize: 256)
    var generator = Philox(seed: 3, stream: 0)
    for example in try Fixture.cases() where example.text.utf8.count < 2_000 {
      let bytes = NormalizedText.bytes(of: example.text)
      guard !bytes.isEmpty else { continue }
      let ids = bytesOnly.encode(String(decoding: bytes, as: UTF8.self))
      var scanned = ids
      var queued = ids
      vocabulary.merger.mergeByScanning(&scanned, from: 0, dropout: 0, using: &generator)
      vocabulary.merger.mergeByQueue(&queued, from: 0, dropout: 0, using: &generator)
      #expect(scanned == queued)
    }
  }

  /// Finishes at once when merging is n log n, and not within hours when it is quadratic or worse.
  @Test(.timeLimit(.minutes(30))) func aWordOfAHundredThousandCharactersIsEncoded() throws {
    let vocabulary = try Fixture.vocabulary()
    var generator = Philox(seed: 1, stream: 0)
    for word in ["heart", "aaaaa", "한국어심장"] {
      let text = String(repeating: word, count: 20_000)
      #expect(vocabulary.decode(vocabulary.encode(text)) == text)
      #expect(vocabulary.decode(vocabulary.encode(text, dropout: 0.1, using: &generator)) == text)
    }
  }

  @Test func wordsAreNormalisedRuns() {
    #expect(
      BytePairEncoding.words(in: "A woman's RED-hot heart, 2nd’s  e\u{301}tude: 하트 हिन्दी ❤️")
        == ["a", "woman", "red", "hot", "heart", "2nd", "étude", "하트", "हिन्दी"])
    #expect(BytePairEncoding.words(in: "they'll 's o'clock's d") == ["they", "s", "o", "clock", "d"])
    #expect(BytePairEncoding.words(in: " ❤️ !?\u{301}") == [])
  }

  @Test func signsAreWhatPeopleSee() {
    #expect(BytePairEncoding.signs(in: "A ❤️ + 5 € → ❤, (x) \"y\"! ^_`") == ["❤", "+", "€", "→", "❤"])
    #expect(BytePairEncoding.signs(in: "👍🏽👍 👩‍🚀🇩🇪") == ["👍🏽", "👍", "👩‍🚀", "🇩🇪"])
    #expect(BytePairEncoding.signs(in: "größer 猫 하트").isEmpty)
  }
}

@Suite struct MergeDropoutTests {
  @Test func withoutDropoutTheIdsAreTheSameAndNothingIsDrawn() throws {
    let vocabulary = try Fixture.vocabulary()
    var generator = Philox(seed: 5, stream: 1)
    var untouched = generator
    #expect(vocabulary.encode("a red heart", dropout: 0, using: &generator) == vocabulary.encode("a red heart"))
    #expect(generator.next() == untouched.next())
  }

  @Test func fullDropoutGivesBytes() throws {
    let vocabulary = try Fixture.vocabulary()
    var generator = Philox(seed: 5, stream: 1)
    for text in ["a red heart", String(repeating: "heart", count: 50)] {
      let ids = vocabulary.encode(text, dropout: 1, using: &generator)
      #expect(ids.count == text.utf8.count)
      #expect(vocabulary.decode(ids) == text)
    }
  }

  @Test func dropoutVariesTheSegmentationAndKeepsTheText() throws {
    let vocabulary = try Fixture.vocabulary()
    let text = "a grinning cat with smiling eyes"
    var generator = Philox(seed: 5, stream: 1)
    let drawn = (0..<200).map { _ in vocabulary.encode(text, dropout: 0.3, using: &generator) }
    #expect(Set(drawn).count > 20)
    #expect(drawn.allSatisfy { vocabulary.decode($0) == text })
    var again = Philox(seed: 5, stream: 1)
    #expect(vocabulary.encode(text, dropout: 0.3, using: &again) == drawn[0])
  }

  /// One possible merge is left out with exactly the probability p, in a short word and in a long one.
  @Test(arguments: [2, 200]) func aMergeIsLeftOutWithItsProbability(repetitions: Int) throws {
    let vocabulary = try BytePairEncoding.train(on: ["ab", "ab"], vocabularySize: 257, addsPrefixSpace: false)
    let text = String(repeating: "ab", count: repetitions)
    var generator = Philox(seed: 9, stream: 1)
    // With one pair in the word the first step is the last, so the share of drops is p. With more, a pair that was
    // passed over is drawn for again at each later step.
    let single = (0..<20_000).count { _ in vocabulary.encode("ab", dropout: 0.25, using: &generator).count == 2 }
    #expect(abs(Double(single) / 20_000 - 0.25) < 0.015)
    let lengths = (0..<50).map { _ in vocabulary.encode(text, dropout: 0.25, using: &generator).count }
    #expect(lengths.allSatisfy { $0 >= repetitions && $0 <= 2 * repetitions })
  }

  @Test func theQueueDropsAsOftenAsScanning() throws {
    let vocabulary = try BytePairEncoding.train(on: ["abcab", "abcab", "cab"], vocabularySize: 260)
    let bytes = try BytePairEncoding.train(on: [], vocabularySize: 256).encode("abcabcab")
    var generator = Philox(seed: 11, stream: 1)
    var scanned = 0
    var queued = 0
    for _ in 0..<20_000 {
      var ids = bytes
      vocabulary.merger.mergeByScanning(&ids, from: 0, dropout: 0.4, using: &generator)
      scanned += ids.count
      ids = bytes
      vocabulary.merger.mergeByQueue(&ids, from: 0, dropout: 0.4, using: &generator)
      queued += ids.count
    }
    // The mean length is near 4; its standard error over 20,000 words is below 0.02.
    #expect(abs(Double(scanned - queued)) / 20_000 < 0.08)
  }
}
