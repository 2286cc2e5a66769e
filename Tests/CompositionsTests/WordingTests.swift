import Captions
import Datasets
import Imaging
import Testing

@testable import Compositions

struct WordingTests {
  private func things(_ names: String..., language: String = "en") throws -> [Thing] {
    try things(names.map { [language: $0] })
  }

  private func things(_ names: [[String: String]]) throws -> [Thing] {
    let cutout = try #require(Cutout(Toy.wasp.picture(), atMost: 64))
    return names.enumerated().map { Thing(entry: $0.offset, names: $0.element, cutout: cutout) }
  }

  private func captions(
    _ relation: String, _ x: String, _ y: String? = nil, colors: [NamedColor] = [], count: Int? = nil,
    size: SizeWord? = nil, language: String = "en"
  ) throws -> [String] {
    let things = try self.things([x, y].compactMap(\.self).map { [language: $0] })
    let relation = try #require(Relation.all.first { $0.name == relation })
    return try #require(Wordings.all[language]).captions(
      of: .init(relation: relation, x: 0, y: y == nil ? nil : 1, colors: colors, count: count, size: size),
      things: things)
  }

  @Test func articles() throws {
    #expect(try captions("made-of", "owl", "pizza").starts(with: ["an owl made of pizza", "owl made of pizza"]))
    #expect(try captions("made-of", "owl", "strawberry").contains("an owl made of strawberries"))
    #expect(try captions("made-of", "teapot", "accordion").contains("a teapot with the texture of an accordion"))
    // What is several or not counted takes none.
    #expect(try captions("made-of", "grapes", "bread").starts(with: ["grapes made of bread"]))
    #expect(try captions("made-of", "grapes", "bread").contains("grapes with the texture of bread"))
    #expect(try captions("made-of", "rhinoceros", "rice").starts(with: ["a rhinoceros made of rice"]))
    #expect(try captions("colored", "teapot", colors: [.orange]).starts(with: ["an orange teapot", "orange teapot"]))
    #expect(try captions("colored", "owl", colors: [.blue])[0] == "a blue owl")
    #expect(try captions("sketch", "owl")[0] == "a sketch of an owl")
  }

  @Test(arguments: [
    "owl": "owls", "mouse": "mice", "cherry blossom": "cherry blossoms", "ox": "oxen", "pot of food": "pots of food",
    "sheaf of rice": "sheaves of rice", "fish": "fish", "wolf": "wolves", "rhinoceros": "rhinoceroses",
    "framed picture": "framed pictures", "maple leaf": "maple leaves",
  ])
  func plurals(_ name: String, _ plural: String) throws {
    #expect(try captions("counted", name, count: 2)[0] == "two \(plural)")
    #expect(try captions("counted-colored", name, colors: [.blue], count: 3)[0] == "three blue \(plural)")
  }

  @Test(arguments: ["grapes", "jeans", "skis", "bread", "cooked rice"])
  func whatIsNotCounted(_ name: String) throws {
    #expect(try things(name)[0].plural == nil)
    #expect(try captions("counted", name, count: 2).isEmpty)
  }

  @Test func leftAndRight() throws {
    let captions = try captions("next-to", "fox", "igloo")
    #expect(captions.contains("a fox to the left of an igloo") && captions.contains("an igloo to the right of a fox"))
    #expect(try self.captions("on-top-of", "fox", "igloo").contains("an igloo under a fox"))
    #expect(
      try self.captions("colored-next-to", "teapot", "owl", colors: [.red, .blue])[0]
        == "a red teapot next to a blue owl")
    #expect(
      try self.captions("sized-next-to", "owl", "teapot", size: .large)[0] == "a large owl next to a small teapot")
    #expect(
      try self.captions("sketch-below", "cat")[0] == "the exact same cat on the top as a sketch on the bottom")
  }

  @Test func everyRelationHasWordingsInEveryLanguage() throws {
    for (language, wordings) in Wordings.all {
      for relation in Relation.all + Relation.threeAtOnce {
        #expect(wordings.templates[relation.name]?.isEmpty == false, "\(relation.name) in \(language)")
        let captions = wordings.captions(
          of: .init(relation: relation, x: 0, y: 1, colors: [.red, .blue], count: 2, size: .small),
          things: try things([["en": "fox", "ko": "여우"], ["en": "igloo", "ko": "이글루"]]))
        #expect(captions.count == wordings.templates[relation.name]?.count)
        #expect(captions.allSatisfy { !$0.contains("{") && !$0.contains("}") && !$0.contains("  ") })
      }
    }
  }

  @Test func particles() throws {
    func korean(_ relation: String, _ x: String, _ y: String) throws -> [String] {
      try captions(relation, x, y, language: "ko")
    }
    #expect(try korean("made-of", "코뿔소", "아코디언")[0] == "아코디언으로 만든 코뿔소")
    #expect(try korean("made-of", "코뿔소", "벽돌")[0] == "벽돌로 만든 코뿔소")
    #expect(try korean("made-of", "코뿔소", "피자")[0] == "피자로 만든 코뿔소")
    #expect(try korean("next-to", "곰", "여우").contains("왼쪽의 곰과 오른쪽의 여우"))
    #expect(try korean("next-to", "여우", "곰").contains("왼쪽의 여우와 오른쪽의 곰"))
    #expect(
      try captions("colored", "찻주전자", colors: [.blue], language: "ko") == [
        "파란 찻주전자", "파란색 찻주전자", "파란색을 띤 찻주전자", "파란색으로 칠한 찻주전자", "색깔이 파란색인 찻주전자",
      ])
  }

  @Test(arguments: [
    "부엉이": "마리", "작은 새": "마리", "찻주전자": "개", "장미": "송이", "야자나무": "그루", "나무": "그루", "좀비": "명", "경주용 자동차": "대",
    "파란 책": "권", "배": "개",
  ])
  func counters(_ name: String, _ counter: String) throws {
    let captions = try captions("counted", name, count: 3, language: "ko")
    #expect(captions.starts(with: ["\(name) 세 \(counter)", "세 \(counter)의 \(name)", "\(name) 셋"]))
  }

  /// Without a name in a language there are no captions in it.
  @Test func namesByLanguage() throws {
    let relation = try #require(Relation.all.first { $0.name == "next-to" })
    let things = try things([["en": "fox", "ko": "여우"], ["en": "igloo"]])
    let parts = Relation.Parts(relation: relation, x: 0, y: 1)
    #expect(Wordings.korean.captions(of: parts, things: things).isEmpty)
    #expect(Wordings.english.captions(of: parts, things: things)[0] == "a fox next to an igloo")
    // Nor is the plural made of a name in another one.
    let counted = try #require(Relation.all.first { $0.name == "counted" })
    let cat = try self.things("고양이", language: "ko")
    let two = Relation.Parts(relation: counted, x: 0, count: 2)
    #expect(Wordings.english.captions(of: two, things: cat).isEmpty)
    #expect(Wordings.korean.captions(of: two, things: cat)[0] == "고양이 두 마리")
    for name in ["red-nosed reindeer", "colorful rooster", "violet vase"] {
      #expect(try self.things(name)[0].newColors.isEmpty, "\(name)")
    }
    #expect(try self.things("빨간 책", language: "ko")[0].newColors.isEmpty)
    func names(_ captions: String...) -> [String: String] {
      ThingName.names(of: CaptionedPicture(fileName: "", captions: captions, split: .train))
    }
    #expect(names("The owl.", "부엉이.") == ["en": "owl", "ko": "부엉이"])
    #expect(names("부엉이", "An owl") == ["en": "owl", "ko": "부엉이"])
    #expect(names("unicorn", "유니콘 얼굴") == ["en": "unicorn", "ko": "유니콘"])
    #expect(names("camera with flash", "플래시를 터트리고 있는 카메라") == ["en": "camera with flash"])
    #expect(names("owl") == ["en": "owl"] && names("부엉이") == ["ko": "부엉이"])
    #expect(names("owl", "부엉이: 갈색") == ["en": "owl"])
    #expect(names("grinning face", "웃는 얼굴").isEmpty && names("웃는 얼굴").isEmpty && names("깃발: 일본").isEmpty)
    #expect(names("красный чайник").isEmpty && names("ネコ", "cat") == ["en": "cat"])
    #expect(names("접시") == ["ko": "접시"] && names("눈 덮인 아주 높은 산").isEmpty)
  }

  @Test(arguments: [
    "Teapot": "teapot", "An owl.": "owl", "The cherry blossom": "cherry blossom", "T-Rex": "t-rex",
    "sewing needle": "sewing needle", "pot of food": "pot of food", "man’s shoe": "man's shoe",
  ])
  func captionsThatNameThings(_ caption: String, _ name: String) { #expect(ThingName.name(in: caption) == name) }

  @Test(arguments: [
    "flag: Japan", "keycap: 5", "three o’clock", "two-thirty", "A button (blood type)", "left arrow",
    "person: dark skin tone",
    "woman astronaut", "stop sign", "the cat sits on the red mat", "grinning cat", "smiling", "two hearts", "1st place",
    "a",
    "a b", "my house", "another tombstone", "Enter the cave.",
    "Less than.", "Divided by.", "Bats are mammals.", "mug - large", "Twelve eggs", "fork and knife", "",
  ])
  func captionsThatNameNone(_ caption: String) { #expect(ThingName.name(in: caption) == nil) }
}
