import Foundation
import TestSupport
import Testing

@testable import Basics
@testable import Lexicon

@Suite struct NounMapTests {
  private static func nearest(_ known: [(String, [String])]) throws -> NearestNouns {
    var nouns = NearestNouns(try WordNetTests.wordNet())
    for (name, words) in known { nouns.add(name, penalty: 0, amid: words) }
    nouns.prepare()
    return nouns
  }

  @Test func theNearestIsFoundByWhatBothAre() throws {
    let nouns = try Self.nearest([("rhinoceros", []), ("polar bear", []), ("scarf", []), ("gloves", []), ("bird", [])])
    func near(_ noun: String) -> String? {
      nouns.nearest(to: noun).map { "\($0.noun) (\($0.ancestor ?? "the same"))" }
    }
    #expect(near("tapir") == "rhinoceros (ungulate)" && near("tapirs") == "rhinoceros (ungulate)")
    #expect(near("rhino") == "rhinoceros (the same)" && near("ice bear") == "polar bear (the same)")
    #expect(near("bear") == "polar bear (bear)" && near("ostrich") == "bird (bird)" && near("turkey") == "bird (bird)")
    #expect(near("mitten") == "gloves (glove)" && near("sweater") == "gloves (garment)")
    // Nothing is near, or it cannot be drawn, or is a verb above all.
    #expect(near("hot dog") == nil && near("idea") == nil && near("unicorn") == nil && near("dash") == nil)
  }

  /// A turtle that is a reptile is no garment, and without anything said of it is the more frequent one.
  @Test func whatIsKnownHasOneMeaning() throws {
    #expect(try Self.nearest([("turtle", ["tortoise"])]).nearest(to: "sweater") == nil)
    #expect(try Self.nearest([("turtle", [])]).nearest(to: "sweater")?.noun == "turtle")
  }

  @Test func ofSeveralTheOneOfFewMeaningsThenTheFrequentOne() throws {
    #expect(try Self.nearest([("ox", []), ("rhinoceros", [])]).nearest(to: "tapir")?.noun == "ox")
    #expect(try Self.nearest([("turkey", []), ("ostrich", [])]).nearest(to: "birds")?.noun == "ostrich")
  }

  /// What is near in the names of the bundled model's pictures, as people would say.
  @Test(.enabled(if: WordNet.isInstalled())) func nounsThatNoEmojiIsNamed() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../checkpoints/emoji/captions.txt")
    let known = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
      .map { $0.split(separator: "\t").map(String.init) }
    var nouns = NearestNouns(try WordNet())
    for line in known { nouns.add(line[0], penalty: 0, amid: line[1].split(separator: " ").map(String.init)) }
    nouns.prepare()
    for (noun, expected) in [
      ("tapir", "rhinoceros"), ("capybara", "hamster"), ("lemur", "monkey"), ("cottage", "house"), ("kettle", "teapot"),
      ("trout", "fish"), ("daisy", "sunflower"), ("truck", "articulated lorry"),
    ] {
      #expect(nouns.nearest(to: noun)?.noun == expected, "\(noun)")
    }
    #expect(nouns.nearest(to: "tapir")?.ancestor == "odd-toed ungulate")
    #expect(nouns.nearest(to: "sweater")?.noun != "turtle" && nouns.nearest(to: "genius")?.noun != "star")
  }

  @Test func aFileHoldsThem() throws {
    let folder = try TemporaryFolder()
    let all = try Self.nearest([("rhinoceros", []), ("scarf", [])]).all { $0 != "rhinoceros" && $0 != "scarf" }
    #expect(all.count > 5 && !all.contains { ["rhinoceros", "idea", "dash"].contains($0.noun) }, "\(all)")
    let content = NounMap.content(all.reversed(), notice: ["of tests", "no rights"])
    try folder.write(content, to: "nouns.txt")
    let text = String(decoding: content, as: UTF8.self)
    #expect(text.hasPrefix("# of tests\n# no rights\n") && text.contains("\ntapir\trhinoceros\tungulate\n"))
    #expect(text.contains("\nrhino\trhinoceros\t\n"))
    let map = try NounMap(contentsOf: folder.path("nouns.txt"))
    for (noun, nearest) in all { #expect(try map.nearest(to: noun) == nearest) }
    for noun in ["", "a", "tapi", "tapirs", "zzz", "#", "rhinoceros", "# of tests"] {
      #expect(try map.nearest(to: noun) == nil, "\(noun)")
    }
  }

  @Test(arguments: ["", "x\n", "# of tests", "tapir\trhinoceros\tungulate\n"])
  func whatIsNoListOfNouns(_ text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write(text, to: "nouns.txt")
    let error = #expect(throws: PipelineError.self) { try NounMap(contentsOf: folder.path("nouns.txt")) }
    #expect(error?.kind == .badData && error?.message.contains("nouns.txt is damaged") ?? false)
  }

  @Test(arguments: ["tapir", "tapir\t\tungulate", "tapir\trhinoceros", "tapir\ta\tb\tc"])
  func aLineThatIsDamaged(_ line: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("# of tests\nox\trhinoceros\tungulate\n\(line)\n", to: "nouns.txt")
    let map = try NounMap(contentsOf: folder.path("nouns.txt"))
    #expect(try map.nearest(to: "ox")?.noun == "rhinoceros")
    let error = #expect(throws: PipelineError.self) { try map.nearest(to: "tapir") }
    #expect(error?.kind == .badData && error?.message.contains("damaged at \"tapir\"") ?? false)
  }
}
