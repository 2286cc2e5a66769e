import Basics
import Foundation
@testable import Captions
import Testing

/// Captions of a picture in several scripts.
@Suite struct CaptionScriptTests {
  private static let entries = [
    entry(["dog", "개"], ["pet", "동물"]),
    entry(["dog: brown", "개: 갈색"], ["pet", "fur", "동물", "털"]),
    entry(["red apple", "빨간 사과"], ["fruit", "과일"]), entry(["grapes", "포도"]), entry(["flag: Korea", "깃발: 대한민국"]),
    entry(["곰 인형", "teddy bear"], ["toy", "장난감"]),
  ]

  private static func entry(_ captions: [String], _ keywords: [String] = [], relation: String? = nil)
    -> CaptionedPicture
  {
    CaptionedPicture(
      fileName: captions[0], captions: captions, keywords: keywords, split: .train, relation: relation)
  }

  private static func captions(
    _ index: Int, _ kinds: Set<CaptionForms.Kind> = Set(CaptionForms.Kind.allCases),
    of entries: [CaptionedPicture] = entries, draws: Int = 3000
  ) -> [String] {
    let forms = CaptionForms(of: CaptionedPictures(entries), indices: Array(entries.indices), kinds: kinds)
    var random = Philox(seed: 5, stream: 1)
    return (0..<draws).map { _ in forms.caption(of: index, using: &random) }
  }

  @Test func eachScriptHasItsOwnForms() {
    let said = Set(Self.captions(2))
    #expect(
      said.isSuperset(of: [
        "a red apple", "the red apple.", "red apples", "a picture of a red apple", "fruit", "빨간 사과",
        "빨간 사과.",
        "빨간 사과 그림", "빨간 사과의 사진", "빨간 사과 그려 줘", "빨간 사과를 그려 줘", "과일",
      ]))
    #expect(said.contains("빨간 과일 그림") && said.contains { $0.hasPrefix("과일 빨간") })
    #expect(!said.contains { $0.contains("빨간의") || $0.contains("빨간을") })
    for text in said where Script(of: text) == .hangul {
      #expect(!text.contains { ("a"..."z").contains($0) }, "\(text)")
    }
  }

  @Test func keywordsAreOfOneScript() {
    let said = Set(Self.captions(1, [.keywords, .order]))
    #expect(said.isSuperset(of: ["fur", "pet fur", "fur of brown", "털", "동물 털", "털, 갈색"]))
    #expect(said.allSatisfy { text in Set(text.split(separator: " ").map { Script(of: String($0)) }).count == 1 })
    // Not even where the captions are of one.
    let mixed = Set(Self.captions(0, of: [Self.entry(["bear"], ["곰", "동물", "animal", "zoo"])]))
    #expect(mixed.isSuperset(of: ["곰 동물", "animal zoo", "곰의 그림"]))
    for text in mixed where Script(of: text) == .hangul {
      #expect(!text.contains { ("a"..."z").contains($0) }, "\(text)")
    }
  }

  @Test func theFirstScriptIsTakenMostly() {
    let korean = Self.captions(2).count { Script(of: $0) == .hangul }
    #expect((900..<1200).contains(korean))
    #expect((1800..<2100).contains(Self.captions(5).count { Script(of: $0) == .hangul }))
    // Within a script, the first caption as in a data set of one.
    let several = [Self.entry(["owl", "night bird", "bird", "부엉이"])]
    let english = Self.captions(0, [], of: several).filter { $0 != "부엉이" }
    let share = Double(english.count { $0 == "owl" }) / Double(english.count)
    #expect((0.68..<0.78).contains(share))
  }

  @Test func sidesChangePlacesWithoutEnglish() {
    let said = Set(Self.captions(4, [.order]))
    #expect(
      said.isSuperset(of: ["flag of Korea", "Korea flag", "대한민국 깃발", "대한민국의 깃발", "깃발 대한민국", "깃발, 대한민국"]))
    #expect(!said.contains { $0.contains("깃발 of") || $0.contains("깃발 with") })
  }

  /// "개: 갈색" says all that "개" does, whatever the English captions say.
  @Test func whatASimplerPictureSaysTooTellsNothing() {
    let said = Set(Self.captions(1, [.keywords, .order]))
    #expect(said.isSuperset(of: ["fur", "털", "갈색", "동물 털"]))
    #expect(!said.contains("동물") && !said.contains("pet") && !said.contains("개 동물"))
    let epoch = CaptionForms(of: CaptionedPictures(Self.entries), indices: Array(Self.entries.indices)).epoch
    #expect(epoch.count { $0 == 0 } == 2 && epoch.count { $0 == 1 } == 1)
  }

  /// English captions have the articles of their data set taken off, wherever they stand.
  @Test func articlesOfTheDataAreTakenOff() {
    let entries = [Self.entry(["개구리", "A frog."]), Self.entry(["A 버튼", "An owl."])]
    #expect(Set(Self.captions(0, [], of: entries)) == ["개구리", "frog"])
    #expect(Set(Self.captions(1, [], of: entries)) == ["A 버튼", "owl"])
  }

  @Test func aCompositionIsSaidAsAWhole() {
    let captions = ["an owl made of pizza", "owl made of pizza", "피자로 만든 부엉이", "피자 질감의 부엉이"]
    let said = Set(Self.captions(0, of: [Self.entry(captions, relation: "made-of")]))
    #expect(said.isSuperset(of: ["the owl made of pizza", "피자로 만든 부엉이 그림", "피자로 만든 부엉이를 그려 줘"]))
    let whole = ["owl made of pizza", "owls made of pizza"] + captions.suffix(2)
    #expect(said.allSatisfy { text in whole.contains { text.contains($0) } })
  }

  @Test func whatIsMeasuredIsOfTheFirstScript() {
    let forms = CaptionForms(of: CaptionedPictures(Self.entries), indices: Array(Self.entries.indices))
    func measured(_ index: Int) -> [String] { CaptionForms.Measured.allCases.map { forms.caption(of: index, in: $0) } }
    #expect(measured(0) == ["dog", "dog.", "a dog", "the dog", "dog!", "a picture of a dog"])
    #expect(measured(5) == ["곰 인형", "곰 인형.", "곰 인형", "곰 인형", "곰 인형!", "곰 인형 그림"])
    let pairs = (0..<30).compactMap { forms.keywordPair(of: 1, seed: $0) }
    #expect(pairs.count == 30 && pairs.allSatisfy { Set($0) == ["pet", "fur"] })
    #expect(forms.keywordPair(of: 5, seed: 1) == nil)
    #expect(CaptionForms.ownWords.isSuperset(of: ["그림", "그려", "picture"]))
  }

  /// What a data set of one script is said in, to the bit: a run that goes on must not read other captions.
  @Test func oneScriptIsReadAsEver() {
    let entries = Self.entries.dropLast().map {
      Self.entry([$0.captions[0]], $0.keywords.filter { Script(of: $0) == .latin })
    }
    let more = [
      Self.entry(["a small dog", "puppy", "a young dog"], ["pet"]), Self.entry(["слон", "большой слон"], ["зверь"]),
    ]
    var hash = FNV1a()
    for index in 0..<(entries + more).count {
      for text in Self.captions(index, of: entries + more, draws: 300) { hash.combine(Array(text.utf8)) }
    }
    #expect(hash.value == 18_100_985_183_034_479_311)
  }

  /// Vietnamese is written in Latin letters, with accents of their own or apart.
  @Test func scripts() {
    let vietnamese = "m\u{1ED9}t con ch\u{F3}"
    #expect(Script(of: vietnamese) == .latin && Script(of: vietnamese.decomposedStringWithCanonicalMapping) == .latin)
    #expect(Script(of: "собака") == .other && Script(of: "개") == .hangul && Script(of: "12 !") == .latin)
  }
}
