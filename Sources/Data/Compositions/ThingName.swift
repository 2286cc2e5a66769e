import Captions
import Datasets
import Foundation

/// What a thing is called, where a caption is the name of one.
enum ThingName {
  /// What the thing that a picture shows is called, by the codes of languages; empty where it shows none. The first caption in
  /// Latin letters says in English whether there is a thing, and the first Korean one what it is called in Korean; alone, it says both.
  static func names(of picture: CaptionedPicture) -> [String: String] {
    let korean = picture.captions.first { Script(of: $0) == .hangul }
    if let english = picture.captions.first(where: { Script(of: $0) == .latin }) {
      guard let name = name(in: english) else { return [:] }
      var names = ["en": name]
      names["ko"] = korean.flatMap { koreanName(in: $0) }.map { name in
        // Of some animals, CLDR speaks in Korean as of faces that are whole things in English.
        name.hasSuffix(" 얼굴") ? String(name.dropLast(3)) : name
      }
      return names
    }
    guard let name = korean.flatMap({ koreanName(in: $0) }), let noun = name.split(separator: " ").last,
      !koreanNotThings.contains(String(noun))
    else { return [:] }
    return ["ko": name]
  }

  /// - Returns: the caption without its full stop; nil where it is longer than three words, has signs in it, or tells of its noun
  /// by a verb ("카메라" of "플래시를 터트리는 카메라"), so that what stands before would belong to something else.
  static func koreanName(in caption: String) -> String? {
    var text = Substring(caption)
    while let last = text.last, last == "." || last.isWhitespace { text.removeLast() }
    let words = text.split(whereSeparator: \.isWhitespace)
    guard (1...3).contains(words.count), words.joined().allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" }),
      !words.dropLast().contains(where: { $0.hasSuffix("는") })
    else { return nil }
    return words.joined(separator: " ")
  }

  /// What speaks in Korean of a sign, a person or a place rather than of a thing.
  private static let koreanNotThings: Set<String> = [
    "얼굴", "사람", "남자", "여자", "남성", "여성", "아이", "아기", "소년", "소녀", "가족", "커플", "부부", "손", "손가락", "주먹", "손바닥",
    "깃발", "버튼", "화살표", "기호", "표시", "표지판", "마크", "아이콘", "글자", "숫자", "시", "반", "자리", "하트", "달", "피부", "중", "금지",
    "선수", "직원", "과학자", "예술가", "요리사", "농부", "교사", "학생", "판사", "가수", "우주비행사", "소방관", "경찰관", "탐정", "경비원",
  ]

  /// - Returns: the caption in lower case without its leading article and its full stop; nil where it does not read like the
  ///   name of a thing: more than three words, signs and digits, a word that says that something is done, counted or pointed
  ///   at, an article in the middle, or a word of `notThings`.
  static func name(in caption: String) -> String? {
    var text = Substring(caption.lowercased().replacing("’", with: "'"))
    while let last = text.last, last == "." || last.isWhitespace { text.removeLast() }
    var words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    if let first = words.first, articles.contains(first), words.count > 1 { words.removeFirst() }
    guard (1...3).contains(words.count), let noun = words.last, noun.count > 1 else { return nil }
    for (i, word) in words.enumerated() {
      guard word.first?.isLetter == true, word.allSatisfy({ $0.isLetter || $0 == "-" || $0 == "'" }),
        !notThings.contains(word),
        !word.split(separator: "-").contains(where: { notThings.contains(String($0)) }),
        !isDoing(word, isLast: i == words.count - 1), !(i > 0 ? articles.contains(word) : English.isDetermined(word))
      else { return nil }
    }
    // "worn", "locked": what something is like, and not a thing.
    if words.count == 1 && noun.hasSuffix("ed") && !["bed", "seed", "sled", "shed", "weed", "reed"].contains(noun) {
      return nil
    }
    return words.joined(separator: " ")
  }

  /// One in the middle belongs to a sentence: "enter the cave".
  private static let articles: Set<String> = ["a", "an", "the"]

  private static func isDoing(_ word: String, isLast: Bool) -> Bool {
    word.count > 5 && word.hasSuffix("ing") && !nounsInING.contains(word) && (isLast || !purposes.contains(word))
  }

  private static let nounsInING: Set<String> = [
    "ceiling", "clothing", "dumpling", "duckling", "earring", "gosling", "icing", "painting", "pudding", "sapling",
    "seedling", "starling", "stocking", "string",
  ]

  /// What a thing is for, where a noun follows: a "sewing needle".
  private static let purposes: Set<String> = [
    "boxing", "cooking", "cutting", "curling", "diving", "drinking", "fishing", "hiking", "knitting", "nesting",
    "racing",
    "riding", "running", "sewing", "shopping", "swimming", "washing", "watering", "writing",
  ]

  /// Words by which a caption speaks of a sign, a person that does something, a place or an hour, rather than of a thing.
  private static let notThings: Set<String> = [
    "flag", "keycap", "clock", "o'clock", "thirty", "button", "arrow", "arrows", "sign", "symbol", "mark", "emblem",
    "badge",
    "square", "circle", "diamond", "triangle", "asterisk", "loop", "dash", "suit", "bubble", "droplets", "exclamation",
    "zodiac", "aries", "taurus", "gemini", "cancer", "leo", "virgo", "libra", "scorpio", "sagittarius", "capricorn",
    "aquarius", "pisces", "ophiuchus", "om", "khanda", "hamsa", "yin", "cinema", "wireless", "multiply", "plus",
    "minus", "divide",
    "infinity", "place", "worship", "without", "fuji", "tokyo", "liberty", "dharma", "david", "pointed", "struck",
    "cross", "merperson",
    "potable", "mate", "badminton",
    "lacrosse", "identification", "springs", "wilted", "weary", "x-ray", "footprints", "prints", "exchange",
    "fleur-de-lis", "copyright", "registered", "input", "information", "symbols", "mode",
    "bars",
    "prohibited", "no", "not", "non-potable", "warning", "biohazard", "radioactive", "customs", "claim", "control",
    "restroom", "room", "closet", "crossing", "entry", "sparkles", "sparkle", "dizzy", "collision", "zzz",
    "points",
    "man", "woman", "men", "women", "person", "people", "boy", "girl", "baby", "child", "children", "adult", "family",
    "couple",
    "worker", "kiss", "student", "teacher", "judge", "farmer", "cook", "mechanic", "scientist", "technologist",
    "singer", "artist",
    "pilot", "firefighter", "officer", "detective", "guard", "skier", "snowboarder", "wrestling", "claus", "mx",
    "face", "hand", "hands", "fist", "finger", "fingers", "thumbs", "gesture", "palm", "palms", "salute", "biceps",
    "footprints",
    "silhouette", "pointing", "handshake", "selfie", "monkey-face", "evil", "no-evil", "head", "lip",
    "speaker", "volume", "low", "medium", "high", "level", "moon", "crescent", "and", "or", "off", "on", "in", "over",
    "behind", "up",
    "down", "left", "right", "oncoming", "departure", "arrival", "away", "incoming", "outbox", "inbox", "open",
    "closed",
    "locked", "unlocked", "empty", "hourglass", "foggy", "fog", "sunrise", "sunset", "cityscape", "night", "dusk",
    "way", "wave",
    "cyclone", "showing", "map", "uppercase", "lowercase", "numbers", "letters", "heart", "hearts", "playing",
    "voltage", "current",
    "chart", "increasing", "decreasing", "playground", "arts", "game", "hockey", "pong", "medal", "ceremony",
    "cut", "banknote", "link", "drop", "hole", "love-you", "slash", "two-hump", "post", "part", "knobs",
    "slider",
    "construction", "motorway", "track", "stop", "park", "building", "suspension", "aerial", "front-facing", "tear-off",
    "is", "are", "was", "were", "has", "have", "can", "than", "by", "to", "equals", "it", "he", "she", "they", "we",
    "you",
  ]
}

/// A thing that compositions are made of, without its pixels.
struct Thing: Sendable {
  /// The picture's position in the data set's `entries`.
  let entry: Int
  /// By the codes of languages.
  let names: [String: String]
  /// Under which it is asked for and held out whatever the language: the English one where it has one.
  let name: String
  /// Where it shows what it is made of; nil where there is nothing to recognise.
  let texture: Texture?
  /// The colors that it does not have already; none where its name says a color.
  let newColors: [NamedColor]

  /// What says a color beside those that things are given.
  private static let otherColors: Set<String> = [
    "gray", "golden", "gold", "silver", "violet", "beige", "cyan", "magenta", "navy", "maroon", "teal", "crimson",
    "scarlet",
    "lilac", "bronze", "colorful", "colourful", "colored", "coloured", "multicolored",
  ]
  /// The side at which things are looked at, so that what can be made of them does not depend on the size of pictures.
  private static let analysisSide = 64

  /// - Precondition: `names` is not empty.
  init(entry: Int, names: [String: String], cutout: Cutout) {
    guard let name = names["en"] ?? names.values.min() else { preconditionFailure("a thing without a name") }
    self.entry = entry
    self.names = names
    self.name = name
    let layer = cutout.layer(fitting: Self.analysisSide)
    texture = Texture(of: layer)
    let colorNames = Set(NamedColor.allCases.map(\.rawValue)).union(Self.otherColors)
      .union(Wordings.korean.colors.values.joined())
    guard !name.split(whereSeparator: { " -".contains($0) }).contains(where: { colorNames.contains(String($0)) }) else {
      newColors = []
      return
    }
    var shares = [NamedColor: Float]()
    var covered: Float = 0
    for i in layer.pixels.indices where layer.pixels[i].w > 0.5 {
      shares[NamedColor(naming: layer.color(at: i)), default: 0] += 1
      covered += 1
    }
    // Of brown, orange and red, as of grey and white, one passes for the other where it is much of the thing.
    newColors = NamedColor.allCases.filter { shares[$0, default: 0] < 0.3 * covered }
  }

  /// The English name for several of it; nil where it is not counted, or several already.
  var plural: String? { isSeveralOrMass ? nil : English.pluralPhrase(name) }

  /// Whether no "a" stands before the name.
  var isSeveralOrMass: Bool { English.isSeveralOrMass(name) }
}
