import Imaging
import Testing

@testable import Compositions

struct WordingTests {
  private func things(_ names: String...) throws -> [Thing] {
    let cutout = try #require(Cutout(Toy.wasp.picture(), atMost: 64))
    return names.enumerated().map { Thing(entry: $0.offset, name: $0.element, cutout: cutout) }
  }

  private func captions(
    _ relation: String, _ x: String, _ y: String? = nil, colors: [NamedColor] = [], count: Int? = nil,
    size: SizeWord? = nil
  ) throws -> [String] {
    let things = try y.map { try self.things(x, $0) } ?? self.things(x)
    let relation = try #require(Relation.all.first { $0.name == relation })
    return Wordings.english.captions(
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
      for relation in Relation.all {
        #expect(wordings.templates[relation.name]?.isEmpty == false, "\(relation.name) in \(language)")
        let captions = wordings.captions(
          of: .init(relation: relation, x: 0, y: 1, colors: [.red, .blue], count: 2, size: .small),
          things: try things("fox", "igloo"))
        #expect(captions.count == wordings.templates[relation.name]?.count)
        #expect(captions.allSatisfy { !$0.contains("{") && !$0.contains("}") && !$0.contains("  ") })
      }
    }
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
    "a b", "my house", "fork and knife", "",
  ])
  func captionsThatNameNone(_ caption: String) { #expect(ThingName.name(in: caption) == nil) }
}
