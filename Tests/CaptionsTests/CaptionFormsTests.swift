import Basics
@testable import Captions
import Lexicon
import TestSupport
import Testing

@Suite struct CaptionFormsTests {
  private static let entries = [
    entry("dog", ["pet"]), entry("dog: brown", ["pet", "fur"]), entry("hot beverage", ["coffee", "tea cup", "drink"]),
    entry("cup", ["drink"]), entry("red apple"), entry("small airplane", ["airplane", "wing"]),
    entry("airplane", ["wing"]),
    entry("A button", ["letter"]), entry("grapes", ["fruit"]), entry("곰 얼굴", ["동물"]),
  ]

  private static func entry(_ caption: String, _ keywords: [String] = []) -> CaptionedPicture {
    CaptionedPicture(fileName: "\(caption).png", captions: [caption], keywords: keywords, split: .train)
  }

  private static func forms(_ kinds: Set<CaptionForms.Kind>, of entries: [CaptionedPicture] = entries) -> CaptionForms {
    CaptionForms(of: CaptionedPictures(entries), indices: Array(entries.indices), kinds: kinds)
  }

  /// What many draws give for one caption.
  private static func captions(
    _ index: Int, _ kinds: Set<CaptionForms.Kind> = Set(CaptionForms.Kind.allCases),
    of entries: [CaptionedPicture] = entries, draws: Int = 2000
  ) -> [String] {
    let forms = forms(kinds, of: entries)
    var random = Philox(seed: 5, stream: 1)
    return (0..<draws).map { _ in forms.caption(of: index, using: &random) }
  }

  @Test func withoutKindsACaptionStaysAsItIs() {
    for index in Self.entries.indices {
      #expect(Set(Self.captions(index, [], draws: 50)) == [Self.entries[index].captions[0]])
    }
  }

  /// "pizza" is no caption for an owl made of it, nor "two owl" one for two owls.
  @Test func aCompositionIsSaidAsAWhole() {
    func composed(_ captions: [String]) -> CaptionedPicture {
      CaptionedPicture(fileName: captions[0], captions: captions, split: .train, relation: "made-of")
    }
    let entries = Self.entries + [composed(["an owl made of pizza", "owl with the texture of a pizza"])]
    let index = entries.count - 1
    let said = Set(Self.captions(index, of: entries))
    #expect(said.isSuperset(of: ["owl made of pizza", "the owl made of pizza.", "a picture of an owl made of pizza"]))
    #expect(said.allSatisfy { $0.contains("owl made of pizza") || $0.contains("owl with the texture of a pizza") })
    let forms = Self.forms(Set(CaptionForms.Kind.allCases), of: entries)
    #expect(forms.keywordPair(of: index, seed: 1) == nil)
    #expect(forms.epoch.count { $0 == index } == 1)
    // Beside pictures that show sizes and places, neither is said of one that does not.
    let asides = Set(Self.captions(4, [.asides], of: entries))
    #expect(asides.contains("cute red apple") && asides.contains("slice of red apple"))
    #expect(!asides.contains("small red apple") && !asides.contains { $0.contains(" the ") })
    #expect(Self.captions(4, [.articles, .keywords], of: entries) == Self.captions(4, [.articles, .keywords]))
  }

  @Test func theSameNumbersGiveTheSameCaptions() {
    #expect(Self.captions(2, draws: 100) == Self.captions(2, draws: 100))
  }

  @Test func eachKindDoesItsOwn() {
    #expect(Set(Self.captions(4, [.articles])).isSuperset(of: ["red apple", "a red apple", "the red apple"]))
    #expect(Set(Self.captions(8, [.articles])).isSuperset(of: ["grapes", "some grapes", "the grapes"]))
    #expect(Set(Self.captions(4, [.punctuation])) == ["red apple", "red apple.", "red apple!"])
    #expect(Set(Self.captions(4, [.number])) == ["red apple", "red apples"])
    #expect(Set(Self.captions(8, [.number])) == ["grapes", "grape"])
    let phrases = Set(Self.captions(4, [.phrases]))
    #expect(phrases.isSuperset(of: ["red apple", "a picture of red apple", "an icon of red apple", "draw red apple"]))
    #expect(phrases.allSatisfy { $0.hasSuffix("red apple") })
    #expect(Set(Self.captions(1, [.order])).isSuperset(of: ["dog: brown", "brown dog", "dog of brown", "dog brown"]))
    let keywords = Set(Self.captions(2, [.keywords]))
    #expect(keywords.isSuperset(of: ["hot beverage", "coffee", "tea cup", "coffee tea cup"]))
    #expect(
      Set(Self.captions(2, [.keywords, .order])).isSuperset(of: [
        "tea cup coffee", "coffee, beverage", "tea cup of coffee",
      ]))
    let asides = Set(Self.captions(4, [.asides]))
    #expect(asides.contains("cute red apple") && asides.contains { $0.contains("red apple in the ") })
    #expect(asides.contains("slice of red apple") && asides.contains("bowl of red apple"))
  }

  @Test func articlesGoWithPhrases() {
    let captions = Set(Self.captions(4, [.articles, .phrases]))
    #expect(captions.isSuperset(of: ["a picture of a red apple", "a drawing of the red apple", "draw a red apple"]))
    #expect(!captions.contains { $0.contains("a a ") || $0.contains("the a ") })
  }

  @Test func aCaptionIsMostlyAllOfWhatItWas() {
    let captions = Self.captions(2)
    let whole = captions.count { $0.contains("hot beverage") }
    #expect((captions.count / 2..<captions.count * 9 / 10).contains(whole))
  }

  // MARK: Synonyms

  private static let things = [
    entry("polar bear", ["white"]), entry("bear", ["animal"]), entry("turtle", ["tortoise"]), entry("idea"),
    CaptionedPicture(fileName: "x", captions: ["a mitten made of ice"], split: .train, relation: "made-of"),
  ]

  private static func captions(_ index: Int, _ kinds: Set<CaptionForms.Kind>, _ wordNet: WordNet?) -> [String] {
    let forms = CaptionForms(
      of: CaptionedPictures(things), indices: Array(things.indices), kinds: kinds, wordNet: wordNet)
    var random = Philox(seed: 5, stream: 1)
    return (0..<4000).map { _ in forms.caption(of: index, using: &random) }
  }

  /// "bear" is the name of another picture and "animal" a keyword of it.
  @Test func synonymsAndWhatAThingIsAKindOf() throws {
    let wordNet = try withTemporaryFolder { folder in
      try WordNetFiles.animals.write(to: folder)
      return try WordNet(contentsOf: folder)
    }
    let bears = Self.captions(0, [.synonyms], wordNet)
    #expect(Set(bears) == ["polar bear", "ice bear", "organism"])
    #expect((320..<480).contains(bears.count { $0 == "ice bear" }))
    #expect((170..<310).contains(bears.count { $0 == "organism" }))
    // The reptile and not the garment, no noun that can be seen, and no thing by itself.
    #expect(Set(Self.captions(2, [.synonyms], wordNet)) == ["turtle", "reptile", "organism"])
    #expect(Set(Self.captions(3, [.synonyms], wordNet)) == ["idea"])
    #expect(Set(Self.captions(4, [.synonyms], wordNet)) == ["mitten made of ice"])
    let others = CaptionForms(
      of: CaptionedPictures(Self.things), indices: [0, 1], kinds: [.synonyms], wordNet: wordNet
    ).otherNames
    #expect(others == ["ice bear", "organism", "animal", "organism", "thing"])
  }

  /// Thing by thing, in one number, with a fitting article; a polar bear is no bear, and what is named twice is called the same.
  @Test func thingsOfACompositionAreCalledOtherwise() throws {
    let wordNet = try withTemporaryFolder { folder in
      try WordNetFiles.animals.write(to: folder)
      return try WordNet(contentsOf: folder)
    }
    let forms = CaptionForms(
      of: CaptionedPictures(Self.things), indices: Array(Self.things.indices), kinds: [.synonyms], wordNet: wordNet)
    func said(_ caption: String) -> Set<String> {
      var random = Philox(seed: 5, stream: 1)
      return Set((0..<2000).map { _ in forms.caption(composed: [caption], using: &random) })
    }
    #expect(
      said("a polar bear made of ice")
        == ["polar bear made of ice", "ice bear made of ice", "organism made of ice"])
    #expect(
      said("sketch of a polar bear") == ["sketch of a polar bear", "sketch of an ice bear", "sketch of an organism"])
    #expect(said("two turtles") == ["two turtles", "two reptiles", "two organisms"])
    #expect(
      said("the exact same turtle above, and the same turtle below")
        == Set(
          ["turtle", "reptile", "organism"].map { "exact same \($0) above, and the same \($0) below" }))
    #expect(
      said("turtle next to polar bear").isSuperset(of: ["reptile next to ice bear", "turtle next to organism"]))
    #expect(said("얼음으로 만든 거북") == ["얼음으로 만든 거북"])
  }

  @Test func withoutWordNetAndWithoutTheKindCaptionsAreAsBefore() throws {
    let wordNet = try withTemporaryFolder { folder in
      try WordNetFiles.animals.write(to: folder)
      return try WordNet(contentsOf: folder)
    }
    let all = Set(CaptionForms.Kind.allCases)
    for index in Self.things.indices {
      let before = Self.captions(index, all.subtracting([.synonyms]), nil)
      #expect(Self.captions(index, all, nil) == before)
      #expect(Self.captions(index, all.subtracting([.synonyms]), wordNet) == before)
      #expect((Self.captions(index, all, wordNet) == before) == (index > 2))
    }
  }

  /// What is the name of another picture stands for that one, alone and put together.
  @Test func aPictureIsNotCalledByTheNameOfAnother() {
    let entries = Self.entries + [Self.entry("rocket", ["cup", "space"]), Self.entry("space cup", ["tea"])]
    let captions = Self.captions(entries.count - 2, [.keywords, .order, .asides], of: entries)
    #expect(captions.contains("space") && captions.contains("cup rocket") && captions.contains("cup, space"))
    #expect(!captions.contains("cup") && !captions.contains("space cup"))
    // "small" is what people put beside anything, but not where that is something else.
    #expect(!Self.captions(6, [.asides]).contains("small airplane"))
    #expect(Self.captions(5, [.asides]).contains("small small airplane"))
  }

  /// "pet" belongs to the plain dog, and to the brown one only together with something that tells it.
  @Test func whatASimplerPictureSaysTooTellsNothing() {
    let captions = Self.captions(1, [.keywords, .order])
    #expect(captions.contains("brown") && captions.contains("fur") && captions.contains("pet brown"))
    #expect(!captions.contains("pet") && !captions.contains("dog pet") && !captions.contains("pet dog"))
    #expect(Self.captions(0, [.keywords, .order]).contains("pet"))
  }

  /// Many pictures of few captions, as of a class each: those of one caption are no simpler than each other.
  @Test func manyPicturesOfOneCaptionAreComparedOnce() {
    let entries = (0..<20_000).map { Self.entry(["dog", "brown dog", "brown dog in snow"][$0 % 3]) }
    let epoch = Self.forms([.keywords, .order], of: entries).epoch
    // Those that none is simpler than stand twice.
    for (index, times) in [(0, 2), (1, 1), (2, 1), (19_998, 2), (19_999, 1)] {
      #expect(epoch.count { $0 == index } == times, "\(index)")
    }
  }

  @Test func whatStandsAloneIsShownTwiceAnEpoch() {
    let epoch = Self.forms([]).epoch
    for index in Self.entries.indices { #expect(epoch.count { $0 == index } == ([1, 2, 5].contains(index) ? 1 : 2)) }
    #expect(Self.forms([], of: [Self.entry("dog"), Self.entry("cat")]).epoch == [0, 1])
    #expect(CaptionForms(of: CaptionedPictures(Self.entries), indices: [0, 1, 2]).epoch.sorted() == [0, 0, 1, 2, 2])
  }

  @Test func otherScriptsGetNoEnglish() {
    let captions = Set(Self.captions(9))
    #expect(captions.isSuperset(of: ["곰 얼굴", "곰 얼굴.", "동물"]))
    #expect(captions.allSatisfy { $0.unicodeScalars.allSatisfy { !("a"..."z").contains($0) } })
  }

  /// An article is one where many captions have it; elsewhere it may be a letter.
  @Test func articlesOfTheDataAreTakenOff() {
    let entries = ["A frog.", "A red apple.", "An owl.", "The moon.", "Two dogs."].map { Self.entry($0) }
    #expect(
      Set(Self.captions(1, [.articles], of: entries)).isSuperset(of: ["red apple", "a red apple", "the red apple"]))
    #expect(Set(Self.captions(4, of: entries)).allSatisfy { !$0.contains("a Two") && !$0.contains("the Two") })
    #expect(Set(Self.captions(7, [])) == ["A button"])
  }

  @Test func measuredForms() {
    func measured(_ index: Int, _ entries: [CaptionedPicture] = Self.entries) -> [String] {
      CaptionForms.Measured.allCases.map { Self.forms([], of: entries).caption(of: index, in: $0) }
    }
    #expect(
      measured(4) == [
        "red apple", "red apple.", "a red apple", "the red apple", "red apple!", "a picture of a red apple",
      ])
    #expect(measured(0, [Self.entry("An Owl.")]).prefix(4) == ["Owl", "owl.", "an Owl", "the Owl"])
    #expect(
      measured(0, [Self.entry("Two dogs")])[2...] == ["Two dogs", "Two dogs", "Two dogs!", "a picture of Two dogs"])
  }

  @Test func keywordPairs() {
    let forms = Self.forms([])
    #expect(forms.keywordPair(of: 0, seed: 1) == nil && forms.keywordPair(of: 4, seed: 1) == nil)
    let pairs = (0..<50).compactMap { forms.keywordPair(of: 2, seed: $0) }
    #expect(pairs.count == 50 && Set(pairs).count == 6)
    #expect(pairs.allSatisfy { Set($0).isSubset(of: ["coffee", "tea cup", "drink"]) && $0[0] != $0[1] })
    // Without keywords in the data, the captions' own words.
    #expect(Set(Self.forms([], of: [Self.entry("red apple")]).keywordPair(of: 0, seed: 1) ?? []) == ["red", "apple"])
  }
}

@Suite struct EnglishTests {
  @Test(arguments: [
    ("dog", "dogs"), ("box", "boxes"), ("church", "churches"), ("baby", "babies"), ("key", "keys"), ("man", "men"),
    ("leaf", "leaves"), ("glass", "glasses"), ("potato", "potatoes"), ("shoe", "shoes"), ("horse", "horses"),
    ("snowman", "snowmen"), ("policewoman", "policewomen"), ("human", "humans"), ("superhuman", "superhumans"),
    ("grandchild", "grandchildren"),
    ("wife", "wives"), ("cookie", "cookies"), ("movie", "movies"), ("cherry", "cherries"), ("bus", "buses"),
    ("octopus", "octopuses"), ("rhinoceros", "rhinoceroses"), ("lens", "lenses"), ("axe", "axes"), ("ramen", "ramens"),
  ])
  func singularAndPlural(singular: String, plural: String) {
    #expect(English.plural(singular) == plural && English.singular(plural) == singular)
    #expect(English.singular(singular) == singular)
  }

  @Test(arguments: [
    ("dog", "a"), ("apple", "an"), ("Orange cat", "an"), ("unicorn", "a"), ("umbrella", "an"), ("euro banknote", "a"),
    ("eye", "an"), ("ewe", "a"), ("one-piece swimsuit", "a"), ("onion", "an"), ("hourglass", "an"), ("house", "a"),
    ("uniform", "a"), ("unhappy face", "an"), ("", "a"),
  ])
  func articles(text: String, article: String) { #expect(English.indefiniteArticle(for: text) == article) }

  @Test func contentWords() {
    #expect(English.contentWords(in: "A Picture of the two Dogs, in a box!") == ["two", "dog", "box"])
    #expect(English.contentWords(in: "a drawing of").isEmpty)
    let words = ContentWords(of: ["hot beverage", "coffee, Tea Cups"])
    #expect(words.contain("a cup of tea") && words.contain("the") && !words.contain("cold coffee"))
  }
}
