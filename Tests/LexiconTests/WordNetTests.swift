import Foundation
import TestSupport
import Testing

@testable import Basics
@testable import Lexicon

@Suite struct WordNetTests {
  /// A database in a folder of its own.
  static func wordNet(_ files: WordNetFiles = .animals) throws -> WordNet {
    try withTemporaryFolder { folder in
      try files.write(to: folder)
      return try WordNet(contentsOf: folder)
    }
  }

  @Test func sensesWordsAndKinds() throws {
    let wordNet = try Self.wordNet()
    let turtle = wordNet.senses(of: "turtle")
    #expect(turtle.map { wordNet.lemmas(of: $0) } == [["turtleneck", "turtle"], ["turtle"]])
    #expect(wordNet.hypernyms(of: turtle[0]).map { wordNet.lemmas(of: $0) } == [["sweater", "jumper"]])
    #expect(wordNet.hyponyms(of: turtle[1]).map { wordNet.lemmas(of: $0) } == [["tortoise"]])
    #expect(wordNet.senses(of: "unicorn").isEmpty && wordNet.senses(of: "").isEmpty)
    #expect(wordNet.senses(of: "1 This").isEmpty && wordNet.notice == ["1 This is a small database for tests."])
    for noun in wordNet.nouns { #expect(!wordNet.senses(of: noun).isEmpty, "\(noun)") }
  }

  @Test(arguments: [
    ("Tapir", "tapir"), ("tapirs", "tapir"), ("rhinoceros", "rhinoceros"), ("oxen", "ox"), ("dashes", "dash"),
    ("polar bears", "polar bear"), ("Polar Bear", "polar bear"), ("hot dogs", "hot dog"), ("POLAR_BEAR", "polar bear"),
    ("geese", nil), ("s", nil), ("stapir", nil), ("", nil), (" ", nil), ("tapir s", nil),
  ])
  func baseForms(_ noun: String, _ base: String?) throws {
    #expect(try Self.wordNet().baseForm(of: noun) == base)
  }

  @Test func whatANameMeansIsToldByTheWordsBesideIt() throws {
    let wordNet = try Self.wordNet()
    func senses(_ name: String, _ words: String...) -> [String] {
      wordNet.senses(of: name, amid: words).map { wordNet.lemmas(of: $0)[0] }
    }
    #expect(senses("turtle") == ["turtleneck", "turtle"])
    #expect(senses("turtle", "tortoise") == ["turtle"] && senses("turtles", "Reptile", "green") == ["turtle"])
    #expect(senses("turtle", "jumper") == ["turtleneck"] && senses("turtle", "green").count == 2)
    // No country, and nothing that cannot be seen.
    #expect(senses("turkey") == ["turkey"] && senses("idea").isEmpty)
  }

  @Test func otherWords() throws {
    let wordNet = try Self.wordNet()
    #expect(wordNet.synonyms(of: "rhinos") == ["rhinoceros"] && wordNet.synonyms(of: "tapir").isEmpty)
    // Latin names are left out.
    #expect(wordNet.synonyms(of: "polar bear") == ["ice bear"])
    #expect(wordNet.synonyms(of: "turtle") == ["turtleneck"])
    #expect(wordNet.synonyms(of: "turtle", amid: ["tortoise"]).isEmpty)
    #expect(wordNet.hypernyms(of: "tapir", atMost: 1) == ["ungulate"])
    #expect(wordNet.hypernyms(of: "tapir", atMost: 2) == ["ungulate", "animal"])
    #expect(wordNet.hypernyms(of: "unicorn", atMost: 3).isEmpty && wordNet.synonyms(of: "idea").isEmpty)
    #expect(wordNet.frequency(ofLemma: "dash") == (1, 20) && wordNet.frequency(ofLemma: "tapir") == (0, 0))
  }

  /// What has very many kinds says too little.
  @Test func generalWordsAreLeftOut() throws {
    // Words are of letters.
    let names = (0..<WordNet.mostHyponymsOfName).map {
      "kind " + "\($0)".map { "abcdefghij".map(String.init)[$0.wholeNumberValue ?? 0] }.joined()
    }
    .map { $0.replacing(" ", with: "_") }
    let many = names.map { WordNetFiles.Synset($0, category: 5, kindOf: $0 == names[0] ? "beast" : names[0]) }
    let wordNet = try Self.wordNet(WordNetFiles([.init("beast", category: 5)] + many))
    #expect(wordNet.hypernyms(of: "kind b", atMost: 3) == ["kind a"])
    #expect(wordNet.hypernyms(of: "kind a", atMost: 3) == [])
    let fewer = try Self.wordNet(WordNetFiles([.init("beast", category: 5)] + many.dropLast()))
    #expect(fewer.hypernyms(of: "kind a", atMost: 3) == ["beast"])
  }

  @Test func filesThatAreMissing() throws {
    for name in WordNetFiles.animals.files.keys {
      let folder = try TemporaryFolder()
      try WordNetFiles.animals.write(to: folder.url)
      #expect(WordNet.isInstalled(in: folder.url))
      try FileManager.default.removeItem(at: folder.path(name))
      let error = #expect(throws: PipelineError.self) { try WordNet(contentsOf: folder.url) }
      #expect(error?.kind == .noInput && error?.message.contains(name) ?? false)
    }
    #expect(!WordNet.isInstalled(in: URL(filePath: "/nowhere")))
  }

  private typealias Damage = @Sendable (String) -> String

  private static func after(_ line: String) -> Damage { { $0 + line + "\n" } }

  private static func replacing(_ old: String, _ new: String) -> Damage { { $0.replacing(old, with: new) } }

  private static let damages: [(file: String, damage: Damage, words: String)] = {
    var all: [(file: String, damage: Damage, words: String)] = []
    all.append(("index.noun", { "ant n 1 1 @ 1 0 00000001\n" + $0 }, "line 1 is no noun"))
    for line in [
      "zoo n 1 1 @ 1 0 00000001", "aaa n 1 1 @ 1 0 00000042", "zoo n 1", "zoo n 999999999 0",
      "zoo v 1 1 @ 1 0 00000042", "zoo n 1 1 @ 2 0 00000042", "\0\u{FF}",
    ] {
      all.append(("index.noun", after(line), "is no noun"))
    }
    all.append(("index.noun", { _ in "" }, "holds no nouns"))
    all.append(("data.noun", replacing("n 01 tapir", "n 01 tapirs"), "line 7 is no synset"))
    all.append(("data.noun", { String($0.dropLast(70)) }, "is no synset"))
    all.append(("data.noun", { _ in "x\n" }, "line 1 is no synset"))
    all.append(("data.noun", replacing("@ 00000042", "@ 00000043"), "has a hypernym at 43"))
    all.append(("data.noun", replacing(" 001 @", " 999 @"), "is no synset"))
    all.append(("data.noun", { _ in "" }, "is no noun"))
    return all
  }()

  @Test(arguments: damages.indices) func filesThatAreDamaged(_ number: Int) throws {
    let (name, damage, words) = Self.damages[number]
    let folder = try TemporaryFolder()
    var files = WordNetFiles.animals.files
    #expect(files["data.noun"]?.contains("\n00000042 03 n 01 thing 0 000 |") ?? false)
    files[name] = damage(files[name] ?? "")
    for (name, text) in files { try folder.write(text, to: name) }
    let error = #expect(throws: PipelineError.self) { try WordNet(contentsOf: folder.url) }
    #expect(error?.kind == .badData && error?.message.contains(words) ?? false, "\(String(describing: error))")
    #expect(error?.message.contains("\n") == false)
  }

  /// Hypernyms of a damaged file may go round in a circle.
  @Test func circles() throws {
    let wordNet = try Self.wordNet(
      WordNetFiles([.init("hen", category: 5, kindOf: "egg"), .init("egg", category: 13, kindOf: "hen")]))
    #expect(wordNet.hypernyms(of: "hen", atMost: 9) == ["egg"])
    #expect(!wordNet.isGeneral(wordNet.senses(of: "hen")[0]))
  }

  @Test(.enabled(if: WordNet.isInstalled())) func theInstalledOne() throws {
    let wordNet = try WordNet()
    #expect(wordNet.nouns.count == 117_798)
    #expect(wordNet.synonyms(of: "sofa") == ["couch", "lounge"])
    #expect(wordNet.hypernyms(of: "hamsters", atMost: 3) == ["rodent"])
    #expect(wordNet.baseForm(of: "Hot Dogs") == "hot dog" && wordNet.baseForm(of: "wolves") == "wolf")
    #expect(wordNet.synonyms(of: "turtle", amid: ["terrapin", "tortoise"]).isEmpty)
    #expect(wordNet.notice.contains { $0.contains("Princeton") })
    // A tapir is of a kind with a horse, while it and a cat are both animals.
    let (tapir, horse, cat) = (wordNet.meaning(of: "tapirs"), wordNet.meaning(of: "horse"), wordNet.meaning(of: "cat"))
    #expect(try [#require(tapir), #require(horse), #require(cat)].allSatisfy { $0.category == "animal" })
    #expect(try #require(tapir).isAkin(to: #require(horse)) && !#require(tapir).isAkin(to: #require(cat)))
    #expect(wordNet.meaning(of: "idea") == nil && wordNet.meaning(of: "quickly") == nil)
    let familiar = Set(wordNet.familiarNouns)
    // Not what was never met, cannot be seen, is a verb in nearly all texts, or has several words.
    #expect(familiar.isSuperset(of: ["horse", "kettle", "cottage"]))
    #expect(familiar.isDisjoint(with: ["aardwolf", "idea", "go", "hot_dog", "hot dog"]))
  }
}
