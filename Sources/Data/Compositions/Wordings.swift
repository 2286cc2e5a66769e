import Captions
import Datasets

/// The sentences for each relation in one language: a table, so that a further language is data.
///
/// In a template, `{…}` holds parts that are put in: `x` and `y` the things, `xs` and `ys` the same in the plural, `color`,
/// `color2`, `count`, `size` and `size2` their names in the language. `a` or `the` before others in the same braces becomes the article that
/// fits what follows, or none where the thing takes none: `{a color x}` is "an orange owl", and "orange grapes". In Korean there
/// are `hue`, a color's own name, `number`, a count that stands alone, `counter`, by what X is counted, and particles, each behind
/// what it belongs to.
struct Wordings: Sendable {
  /// Its code.
  let language: String
  /// By the relation's name; each has at least one. The first is the plainest.
  let templates: [String: [String]]
  /// Several where a color has several spellings; the last one is a noun.
  let colors: [NamedColor: [String]]
  let counts: [Int: String]
  /// As they stand alone.
  let numbers: [Int: String]
  let sizes: [SizeWord: [String]]

  /// The languages that there are.
  static let all: [String: Wordings] = ["en": english, "ko": korean]

  static let english = Wordings(
    language: "en",
    templates: [
      "made-of": [
        "{a x} made of {y}", "{x} made of {y}", "{a x} made out of {y}", "{a x} made from {y}",
        "{a x} with the texture of {a y}", "{a x} in the texture of {a y}", "{a x} made of {ys}", "{the x} made of {y}",
      ],
      "colored": ["{a color x}", "{color x}", "{the color x}", "{a x} that is {color}", "{a x} in {color}"],
      "counted": ["{count xs}", "{count xs} together", "a group of {count xs}", "a picture of {count xs}"],
      "next-to": [
        "{a x} next to {a y}", "{x} next to {y}", "{a x} beside {a y}", "{a x} to the left of {a y}",
        "{a y} to the right of {a x}", "{a x} on the left and {a y} on the right", "{the x} next to {the y}",
      ],
      "on-top-of": [
        "{a x} on top of {a y}", "{x} on top of {y}", "{a x} standing on {a y}", "{a x} on {a y}", "{a y} under {a x}",
        "{a x} above {a y}",
      ],
      "inside-circle": [
        "{a x} inside a circle", "{x} in a circle", "{a x} in a circle", "{a x} within a ring", "a circle around {a x}",
      ],
      "sketch": [
        "a sketch of {a x}", "sketch of {x}", "a line drawing of {a x}", "a pencil sketch of {a x}",
        "{a x} as a sketch",
        "a drawing of {a x} in lines",
      ],
      "sized": ["{a size x}", "{size x}", "{the size x}", "a picture of {a size x}"],
      "counted-colored": ["{count color xs}", "a group of {count color xs}", "a picture of {count color xs}"],
      "counted-made-of": [
        "{count xs} made of {y}", "{count xs} made out of {y}", "{count xs} with the texture of {a y}",
      ],
      "colored-next-to": [
        "{a color x} next to {a color2 y}", "{color x} next to {color2 y}", "{a color x} beside {a color2 y}",
        "{a color x} to the left of {a color2 y}", "{a color2 y} to the right of {a color x}",
      ],
      "colored-on-top-of": [
        "{a color x} on top of {a color2 y}", "{color x} on top of {color2 y}", "{a color x} standing on {a color2 y}",
        "{a color2 y} under {a color x}",
      ],
      "sized-next-to": [
        "{a size x} next to {a size2 y}", "{size x} next to {size2 y}", "{a size x} beside {a size2 y}",
        "{a size x} to the left of {a size2 y}",
      ],
      "colored-inside-circle": ["{a color x} inside a circle", "{color x} in a circle", "{a color x} within a ring"],
      "made-of-inside-circle": [
        "{a x} made of {y} inside a circle", "{x} made of {y} in a circle", "{a x} made out of {y} within a ring",
      ],
      "sketch-made-of": [
        "a sketch of {a x} made of {y}", "sketch of {x} made of {y}", "a line drawing of {a x} made of {y}",
      ],
      "sketch-below": [
        "the exact same {x} on the top as a sketch on the bottom",
        "the exact same {x} on the top as a sketch below", "{a x} on the top and its sketch on the bottom",
        "{a x} above, and the same {x} as a sketch below",
      ],
      "colored-sketch-below": [
        "the exact same {color x} on the top as a sketch on the bottom",
        "{a color x} on the top and its sketch on the bottom",
      ],
      "made-of-sketch-below": [
        "the exact same {x} made of {y} on the top as a sketch on the bottom",
        "{a x} made of {y} on the top and its sketch on the bottom",
      ],
      "sized-colored-next-to": [
        "{a size color x} next to {a size2 color2 y}", "{a size color x} beside {a size2 color2 y}",
      ],
      "sketch-counted-made-of": [
        "a sketch of {count xs} made of {y}", "a line drawing of {count xs} made of {y}",
      ],
      "made-of-sized-next-to": [
        "{a size x} made of {y} next to {a size2 y}", "{a size x} made of {y} beside {a size2 y}",
      ],
    ],
    colors: Dictionary(
      uniqueKeysWithValues: NamedColor.allCases.map { ($0, $0 == .grey ? ["grey", "gray"] : [$0.rawValue]) }),
    counts: [2: "two", 3: "three", 4: "four"], numbers: [2: "two", 3: "three", 4: "four"],
    sizes: [.small: ["small", "tiny", "little"], .large: ["large", "big", "huge"]])

  /// All captions of a relation's parts in this language, the plainest first, each once.
  func captions(of parts: Relation.Parts, things: [Thing]) -> [String] {
    var captions: [String] = []
    for template in templates[parts.relation.name] ?? [] {
      // Other spellings take turns, so that each stands in some of the captions.
      if let caption = filled(template, parts, things: things, variant: captions.count), !captions.contains(caption) {
        captions.append(caption)
      }
    }
    return captions
  }

  /// - Returns: nil where a thing has no such form.
  private func filled(_ template: String, _ parts: Relation.Parts, things: [Thing], variant: Int) -> String? {
    var result = ""
    var rest = template[...]
    while let open = rest.firstIndex(of: "{"), let close = rest.firstIndex(of: "}") {
      result += rest[..<open]
      let words = rest[rest.index(after: open)..<close].split(separator: " ").map(String.init)
      guard let phrase = phrase(words, parts, things: things, variant: variant) else { return nil }
      result += phrase
      rest = rest[rest.index(after: close)...]
    }
    return result + rest
  }

  private func phrase(_ words: [String], _ parts: Relation.Parts, things: [Thing], variant: Int) -> String? {
    var takesArticle = true
    var article: String?
    var particle: Korean.Particle?
    var texts: [String] = []
    func spelled(_ all: [String]?) -> String? { all.map { $0[variant % $0.count] } }
    for word in words {
      let text: String?
      switch word {
      case "a", "the":
        article = word
        continue
      case "x", "y":
        let thing = word == "x" ? things[parts.x] : parts.y.map { things[$0] }
        takesArticle = thing?.isSeveralOrMass == false
        text = thing?.names[language]
      case "xs": text = plural(of: things[parts.x])
      case "ys": text = parts.y.flatMap { plural(of: things[$0]) }
      case "color": text = spelled(parts.colors.first.flatMap { colors[$0] })
      case "color2": text = spelled(parts.colors.last.flatMap { colors[$0] })
      case "hue": text = parts.colors.first.flatMap { colors[$0]?.last }
      case "number": text = parts.count.flatMap { numbers[$0] }
      case "counter": text = things[parts.x].names[language].map(Self.koreanCounter)
      case "count": text = parts.count.flatMap { counts[$0] }
      case "size": text = spelled(parts.size.flatMap { sizes[$0] })
      case "size2": text = spelled(parts.size.flatMap { sizes[$0.opposite] })
      default:
        particle = Korean.Particle(rawValue: word)
        guard particle != nil else { return nil }
        continue
      }
      guard let text else { return nil }
      texts.append(text)
    }
    let phrase = texts.joined(separator: " ")
    if let particle { return Korean.with(particle, phrase) }
    switch article {
    case "a": return takesArticle ? "\(English.indefiniteArticle(for: phrase)) \(phrase)" : phrase
    case "the": return "the \(phrase)"
    default: return phrase
    }
  }

  /// - Returns: nil of a thing without a name in this language, whose plural is made of its name in another one.
  private func plural(of thing: Thing) -> String? { thing.names[language] == nil ? nil : thing.plural }
}

/// How large a thing is shown.
public enum SizeWord: String, Sendable, Codable, CaseIterable {
  case small, large

  var opposite: SizeWord { self == .small ? .large : .small }
}
