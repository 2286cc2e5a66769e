import Basics
import Foundation
import TextTokenizer

extension BytePairEncoding {
  /// Learns a vocabulary of captions, Korean particles apart from what they stand behind.
  /// - Parameters:
  ///   - captions: the texts to learn from.
  ///   - vocabularySize: the number of ids wanted.
  ///   - earlier: the vocabulary to go on from.
  /// - Throws: `PipelineError` of kind `.usage` for a size that cannot be.
  public static func train(
    onCaptions captions: [String], vocabularySize: Int, extending earlier: BytePairEncoding? = nil
  ) throws(PipelineError) -> BytePairEncoding {
    try train(
      on: captions, vocabularySize: vocabularySize, extending: earlier, stem: Korean.withoutParticle)
  }
}

/// The little of Korean grammar that captions need: particles, which agree with the sound before them, and what people write
/// around the name of what they want to see.
package enum Korean {
  /// A particle, by its form after a consonant.
  package enum Particle: String, Sendable, CaseIterable {
    case instrumental = "으로"
    case comitative = "과"
    case nominative = "이"
    case accusative = "을"
    case topic = "은"

    fileprivate func form(after sound: Sound) -> String {
      switch self {
      case .instrumental: sound == .consonant ? "으로" : "로"
      case .comitative: sound == .vowel ? "와" : "과"
      case .nominative: sound == .vowel ? "가" : "이"
      case .accusative: sound == .vowel ? "를" : "을"
      case .topic: sound == .vowel ? "는" : "은"
      }
    }
  }

  /// What a word ends in, as particles tell it; ㄹ is a consonant to all but one.
  fileprivate enum Sound { case vowel, rieul, consonant }

  /// The text with the particle in the form that goes with its end: "벽돌로", "유리잔으로", "피자로".
  ///
  /// What ends in no syllable of Hangul is read as a Korean reads it: digits by their names ("3으로" as 삼으로), capitals by the
  /// letters' ("DNA로"), other Latin words by their last letter, which is a consonant where it stays one in Hangul ("robot" as
  /// 로봇). Signs are passed over.
  package static func with(_ particle: Particle, _ text: String) -> String {
    text + particle.form(after: sound(of: text))
  }

  private static func sound(of text: String) -> Sound {
    // Jamo of decomposed text make syllables.
    let scalars = text.precomposedStringWithCanonicalMapping.unicodeScalars
    guard let last = scalars.last(where: { $0.properties.isAlphabetic || $0.properties.numericType != nil }) else {
      return .vowel
    }
    if isSyllable(last) {
      // Syllables stand in the order of their final consonants, the first having none and the ninth ㄹ.
      return [0: .vowel, 8: .rieul][(last.value - 0xAC00) % 28] ?? .consonant
    }
    return switch Character(last) {
    case "1", "7", "8", "L", "R", "l": .rieul
    case "0", "3", "6", "M", "N", "b", "c", "k", "m", "n", "p", "t": .consonant
    default: .vowel
    }
  }

  private static func isSyllable(_ scalar: Unicode.Scalar) -> Bool { (0xAC00...0xD7A3).contains(scalar.value) }

  // MARK: Words

  /// A word without the particle at its end, so that "코뿔소를" is known where "코뿔소" is. 이 stays, in which very many nouns end,
  /// and so do particles of one syllable behind one, such as the 과 of 사과, which is an apple.
  package static func withoutParticle(_ word: String) -> String {
    guard word.unicodeScalars.allSatisfy(isSyllable) else { return word }
    for particle in particles where word.hasSuffix(particle.text) {
      let stem = String(word.dropLast(particle.text.count))
      if stem.count >= particle.leastSyllables && particle.sounds.contains(sound(of: stem)) { return stem }
    }
    return word
  }

  private static let particles: [(text: String, leastSyllables: Int, sounds: Set<Sound>)] = [
    ("으로", 1, [.consonant]), ("을", 1, [.consonant, .rieul]), ("를", 1, [.vowel]),
    ("의", 2, [.vowel, .consonant, .rieul]), ("과", 2, [.consonant, .rieul]), ("와", 2, [.vowel]),
    ("은", 2, [.consonant, .rieul]), ("는", 2, [.vowel]), ("가", 2, [.vowel]), ("로", 2, [.vowel, .rieul]),
  ]

  /// Words that a caption does not become another one by.
  static let functionWords: Set<String> = Set(pictures).union(["그려", "그려줘", "줘", "하나"])

  // MARK: Phrases

  private static let pictures = ["그림", "사진", "이미지", "이모지", "아이콘", "일러스트"]

  /// Mostly the text itself; else "곰 그림", "곰의 사진", "곰 그려 줘" or "곰을 그려 줘".
  static func withPhrase(_ text: String, takesParticle: Bool, using random: inout Philox) -> String {
    let share = random.uniform()
    guard share < 0.22 else { return text }
    if share < 0.02 && takesParticle { return with(.accusative, text) + " 그려 줘" }
    if share < 0.05 { return "\(text) 그려 줘" }
    // 그림 is what people write most.
    let picture = random.uniform() < 0.4 ? pictures[0] : pictures[random.index(below: pictures.count)]
    return "\(text)\(share < 0.1 && takesParticle ? "의" : "") \(picture)"
  }
}
