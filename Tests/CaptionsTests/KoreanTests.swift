import Basics
@testable import Captions
import Foundation
import Testing

@Suite struct KoreanTests {
  @Test(arguments: [
    ("벽돌", "벽돌로 벽돌과 벽돌이 벽돌을 벽돌은"), ("유리잔", "유리잔으로 유리잔과 유리잔이 유리잔을 유리잔은"),
    ("피자", "피자로 피자와 피자가 피자를 피자는"), ("빨간 책", "빨간 책으로 빨간 책과 빨간 책이 빨간 책을 빨간 책은"),
    // What ends in no syllable is read aloud.
    ("DNA", "DNA로 DNA와 DNA가 DNA를 DNA는"), ("PM", "PM으로 PM과 PM이 PM을 PM은"), ("URL", "URL로 URL과 URL이 URL을 URL은"),
    ("robot", "robot으로 robot과 robot이 robot을 robot은"), ("티셔츠 3", "티셔츠 3으로 티셔츠 3과 티셔츠 3이 티셔츠 3을 티셔츠 3은"),
    ("8", "8로 8과 8이 8을 8은"), ("책 (3권)", "책 (3권)으로 책 (3권)과 책 (3권)이 책 (3권)을 책 (3권)은"),
    ("!", "!로 !와 !가 !를 !는"),
  ])
  func particlesAgreeWithTheSoundBefore(_ text: String, _ expected: String) {
    #expect(Korean.Particle.allCases.map { Korean.with($0, text) }.joined(separator: " ") == expected)
    // A file system may have taken the syllables apart.
    let apart = text.decomposedStringWithCanonicalMapping
    #expect(
      Korean.with(.instrumental, apart).dropFirst(apart.count) == Korean.with(.instrumental, text).dropFirst(text.count)
    )
  }

  @Test(arguments: [
    "아코디언으로": "아코디언", "코뿔소를": "코뿔소", "곰을": "곰", "부엉이와": "부엉이", "부엉이가": "부엉이", "파인애플과": "파인애플", "벽돌로": "벽돌",
    "찻주전자의": "찻주전자",
    // Words that only end like that.
    "사과": "사과", "가을": "가을", "고양이": "고양이", "도로": "도로", "기와": "기와", "의자": "의자", "작은": "작은", "으로": "으로", "owl": "owl",
    "": "",
  ])
  func particlesAreTakenOff(_ word: String, _ expected: String) {
    #expect(Korean.withoutParticle(word) == expected)
  }

  @Test func whatCaptionsSayIsFoundWithAnyParticle() {
    let words = ContentWords(of: ["아코디언으로 만든 코뿔소", "accordion"])
    #expect(words.words == ["아코디언", "만든", "코뿔소", "accordion"])
    #expect(words.contain("코뿔소를 그려 줘") && words.contain("아코디언의 그림") && !words.contain("피자로 만든 코뿔소"))
  }

  @Test(arguments: [
    "a red teapot": Script.latin, "18": .latin, "café": .latin, "코뿔소": .hangul, "T셔츠": .hangul, "ㄱ": .hangul,
    "象": .other, "слон": .other,
  ])
  func scripts(_ text: String, _ expected: Script) { #expect(Script(of: text) == expected) }
}
