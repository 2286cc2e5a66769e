import Foundation

/// A small database in WordNet's format.
public struct WordNetFiles: Sendable {
  public struct Synset: Sendable {
    var lemmas: [String]
    var category: Int
    var hypernyms: [String]

    /// - Parameters:
    ///   - lemmas: with underscores in collocations; the first one names the synset.
    ///   - category: the number of the lexicographer file: 5 of an animal, 6 of an artifact, 13 of a food, 18 of a person.
    ///   - hypernyms: by their first lemmas; of several synsets with the same, the first one.
    public init(_ lemmas: String..., category: Int, kindOf hypernyms: String...) {
      (self.lemmas, self.category, self.hypernyms) = (lemmas, category, hypernyms)
    }
  }

  /// What stands at the head of both large files.
  public static let notice = "  1 This is a small database for tests.  "

  private var synsets: [Synset]
  private var exceptions: String
  private var counts: String

  /// - Parameters:
  ///   - synsets: a noun's senses are those it stands in, in this order.
  ///   - exceptions: lines of `noun.exc`.
  ///   - counts: lines of `cntlist.rev`.
  public init(_ synsets: [Synset], exceptions: [String] = [], counts: [String] = []) {
    self.synsets = synsets
    self.exceptions = exceptions.map { $0 + "\n" }.joined()
    self.counts = counts.sorted().map { $0 + "\n" }.joined()
  }

  /// The content of each file by its name.
  public var files: [String: String] {
    func eight(_ number: Int) -> String { String(repeating: "0", count: 8 - "\(number)".count) + "\(number)" }
    func line(_ synset: Synset, at offset: Int, _ offsets: [Int]) -> String {
      let words = synset.lemmas.map { "\($0) 0" }.joined(separator: " ")
      let pointers = synset.hypernyms.map { name in
        "@ \(eight(synsets.firstIndex { $0.lemmas[0] == name }.map { offsets[$0] } ?? 99_999_999)) n 0000 "
      }
      let category = synset.category < 10 ? "0\(synset.category)" : "\(synset.category)"
      let count = String(synset.lemmas.count, radix: 16)
      return "\(eight(offset)) \(category) n \(count.count < 2 ? "0" : "")\(count) \(words) 00\(pointers.count) "
        + pointers.joined() + "| a gloss; \"with @ 00000000 in it\"  \n"
    }
    // Offsets have eight digits, whatever they are: lines are as long as in the end.
    var offsets: [Int] = []
    var offset = Self.notice.utf8.count + 1
    for synset in synsets {
      offsets.append(offset)
      offset += line(synset, at: 0, synsets.map { _ in 0 }).utf8.count
    }
    let data = zip(synsets, offsets).map { line($0, at: $1, offsets) }
    let lemmas = Set(synsets.flatMap(\.lemmas).map { $0.lowercased() })
    let index = lemmas.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { lemma in
      let senses = synsets.indices.filter { synsets[$0].lemmas.contains { $0.lowercased() == lemma } }
      let places = senses.map { eight(offsets[$0]) }.joined(separator: " ")
      return "\(lemma) n \(senses.count) 1 @ \(senses.count) 0 \(places)  \n"
    }
    return [
      "data.noun": Self.notice + "\n" + data.joined(), "index.noun": Self.notice + "\n" + index.joined(),
      "noun.exc": exceptions, "cntlist.rev": counts,
    ]
  }

  /// Writes them into a folder, which is made.
  public func write(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
  }

  /// Some animals, clothes and dishes.
  public static let animals = WordNetFiles(
    [
      Synset("thing", category: 3), Synset("organism", category: 3, kindOf: "thing"),
      Synset("animal", "beast", category: 5, kindOf: "organism"),
      Synset("ungulate", "hoofed_mammal", category: 5, kindOf: "animal"),
      Synset("tapir", category: 5, kindOf: "ungulate"),
      Synset("rhinoceros", "rhino", category: 5, kindOf: "ungulate"),
      Synset("bear", category: 5, kindOf: "animal"),
      Synset("polar_bear", "ice_bear", "Ursus_Maritimus", category: 5, kindOf: "bear"),
      Synset("bird", category: 5, kindOf: "animal"), Synset("ostrich", category: 5, kindOf: "bird"),
      Synset("reptile", category: 5, kindOf: "animal"), Synset("tortoise", category: 5, kindOf: "turtle"),
      Synset("whole", category: 3, kindOf: "thing"), Synset("artifact", category: 3, kindOf: "whole"),
      Synset("garment", category: 6, kindOf: "artifact"), Synset("sweater", "jumper", category: 6, kindOf: "garment"),
      Synset("turtleneck", "turtle", category: 6, kindOf: "sweater"),
      Synset("turtle", category: 5, kindOf: "reptile"), Synset("Turkey", category: 15, kindOf: "thing"),
      Synset("turkey", category: 5, kindOf: "bird"), Synset("scarf", category: 6, kindOf: "garment"),
      Synset("mitten", category: 6, kindOf: "glove"), Synset("glove", category: 6, kindOf: "garment"),
      Synset("substance", category: 3, kindOf: "thing"), Synset("food", category: 3, kindOf: "substance"),
      Synset("sausage", category: 13, kindOf: "food"), Synset("hot_dog", category: 13, kindOf: "sausage"),
      Synset("frank", "hotdog", category: 13, kindOf: "sausage"), Synset("idea", category: 9, kindOf: "thing"),
      Synset("ox", category: 5, kindOf: "ungulate"), Synset("dash", category: 6, kindOf: "garment"),
    ],
    exceptions: ["oxen ox", "geese goose"],
    counts: [
      "bear%1:05:00:: 1 9", "dash%1:06:00:: 1 1", "dash%2:38:00:: 1 20", "ox%1:05:00:: 1 2", "turkey%1:05:00:: 2 5",
    ])
}
