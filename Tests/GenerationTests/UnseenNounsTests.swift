import Foundation
import Lexicon
import TestSupport
import Testing

@testable import Checkpoints
@testable import Generation

@Suite struct UnseenNounsTests {
  private static func nouns(_ lines: [String]) throws -> UnseenNouns {
    try withTemporaryFolder { folder in
      let file = folder.appending(path: "nouns.txt")
      try Data("# of tests\n\(lines.sorted().joined(separator: "\n"))\n".utf8).write(to: file)
      return UnseenNouns(
        words: KnownWords("a polar bear hot dog rhinoceros bird gloves made of on ice"),
        map: try NounMap(contentsOf: file))
    }
  }

  private static let lines = [
    "tapir\trhinoceros\tungulate", "rhino\trhinoceros\t", "ostrich\tbird\tbird", "mitten\tgloves\tglove",
    "ice bear\tpolar bear\t", "giant panda\tpolar bear\tbear", "panda\tbird\tanimal", "bear\tbird\tanimal",
    "snowman\trhinoceros\tfigure", "bus\tbear\tvehicle", "an\tbird\tletter",
  ]

  @Test(arguments: [
    ("a tapir", "a rhinoceros"), ("two tapirs!", "two rhinoceroses!"), ("TAPIRS", "rhinoceroses"),
    ("An ostrich on ice", "A bird on ice"), ("an ostrich", "a bird"), ("the ostrich", "the bird"),
    ("tapir's, (Tapir)", "rhinoceros's, (rhinoceros)"), ("a mitten", "gloves"), ("A mitten.", "gloves."),
    ("mittens", "gloves"), ("a  red tapir made of\nrhinos 🪗", "a  red rhinoceros made of\nrhinoceroses 🪗"),
    // What is known stays, alone and as a part of a collocation.
    ("a polar bear", "a polar bear"), ("hot dog stand", "hot dog stand"), ("bears", "bears"),
    ("giant pandas", "polar bears"), ("a giant panda", "a polar bear"), ("giant, panda", "giant, bird"),
    ("snowmen", "rhinoceroses"), ("buses", "bears"), ("tapirlike", "tapirlike"), ("an", "an"), ("", ""),
    (" \n ", " \n "),
  ])
  func prompts(_ prompt: String, _ expected: String) throws {
    let replaced = try Self.nouns(Self.lines).replaced(prompt)
    #expect(replaced.text == expected)
    #expect(replaced.replacements.isEmpty == (prompt == expected))
  }

  @Test func whatWasReplacedIsSaid() throws {
    let nouns = try Self.nouns(Self.lines)
    func said(_ prompt: String) throws -> [String] { try nouns.replaced(prompt).replacements.map(\.description) }
    #expect(
      try said("a Tapir and two rhinos") == [
        "\"Tapir\" was never seen; drawn as \"rhinoceros\" (ungulate)",
        "\"rhinos\" was never seen; drawn as \"rhinoceroses\"",
      ])
    // What says nothing is not said.
    #expect(try said("an ostrich") == ["\"ostrich\" was never seen; drawn as \"bird\""])
  }

  @Test func collocationsThatAreKnownStay() throws {
    #expect(try Self.nouns(["ice bear\tbird\t"]).replaced("an ice bear").replacements.isEmpty)
  }
}
