import Basics
import Foundation

/// The nouns of WordNet 3.0 (Miller 1995; Fellbaum 1998): which words mean the same, and what is a kind of what.
///
/// It reads the database as Princeton University distributes it and Debian's `wordnet-base` installs it: `index.noun`,
/// `data.noun`, `noun.exc` and `cntlist.rev`; see `wndb(5WN)`.
///
/// ```swift
/// let wordNet = try WordNet()
/// wordNet.synonyms(of: "sofa")                 // ["couch", "lounge"]
/// wordNet.hypernyms(of: "hamster", atMost: 3)  // ["rodent", …]
/// ```
///
/// Nouns are words or collocations ("hot dog"), in singular or plural and in any case.
public struct WordNet: Sendable {
  /// A set of words with one meaning.
  public struct Synset: Hashable, Sendable {
    let number: Int32
  }

  /// Where Debian's `wordnet-base` puts it.
  public static let standardFolder = URL(filePath: "/usr/share/wordnet")

  let graph: SynsetGraph
  private let index: SortedLines
  private let counts: SortedLines
  /// Irregular plurals, and the singular forms of each.
  private let exceptions: [String: [String]]
  /// All nouns, with underscores in collocations.
  let nouns: [String]
  /// The licence, as it stands at the head of the files, a line each.
  package let notice: [String]

  /// Whether there is a WordNet in a folder.
  public static func isInstalled(in folder: URL = standardFolder) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: "index.noun").path)
  }

  /// Reads the nouns of a database.
  /// - Parameter folder: where its files lie.
  /// - Throws: `PipelineError` of kind `.noInput` where a file is missing or cannot be read, `.badData` where one is damaged.
  public init(contentsOf folder: URL = standardFolder) throws(PipelineError) {
    graph = try SynsetGraph(contentsOf: folder.appending(path: "data.noun"))
    let indexFile = folder.appending(path: "index.noun")
    let indexBytes = try InputFile.mapped(indexFile)
    (nouns, notice) = try Self.check(indexBytes, graph, path: indexFile.path)
    index = SortedLines(indexBytes, separator: " ")
    counts = SortedLines(try InputFile.mapped(folder.appending(path: "cntlist.rev")), separator: "%")
    let text = String(decoding: try InputFile.mapped(folder.appending(path: "noun.exc")), as: UTF8.self)
    let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    exceptions = Dictionary(lines.compactMap { line in line.first.map { ($0, Array(line.dropFirst())) } }) { $0 + $1 }
  }

  /// - Throws: `PipelineError` of kind `.badData` naming the first line that is no noun, stands in the wrong place, or has a
  ///   sense that is no synset.
  private static func check(
    _ index: Data, _ graph: SynsetGraph, path: String
  ) throws(PipelineError) -> (nouns: [String], notice: [String]) {
    var (nouns, notice): ([String], [String]) = ([], [])
    let firstBad: Int? = index.withUnsafeBytes { bytes in
      var (start, line, last) = (0, 0, bytes[0..<0])
      while start < bytes.count {
        line += 1
        let end = SortedLines.end(of: start, in: bytes)
        if bytes[start] == UInt8(ascii: " ") {
          notice.append(String(decoding: bytes[start..<end], as: UTF8.self).trimmingCharacters(in: .whitespaces))
        } else {
          var fields = DatabaseFields(bytes, start..<end)
          let lemma = fields.next()
          guard last.lexicographicallyPrecedes(lemma), fields.next().elementsEqual("n".utf8),
            let senses = readSenses(&fields), senses.allSatisfy({ graph.number(at: $0) != nil })
          else { return line }
          nouns.append(String(decoding: lemma, as: UTF8.self))
          last = lemma
        }
        start = end + 1
      }
      return nil
    }
    if let firstBad { throw PipelineError(.badData, "\(path) line \(firstBad) is no noun of WordNet 3.0") }
    guard !nouns.isEmpty else { throw PipelineError(.badData, "\(path) holds no nouns") }
    return (nouns, notice)
  }

  /// What stands behind the part of speech: `synset_cnt p_cnt [symbol...] sense_cnt tagsense_cnt offset...`.
  private static func readSenses(_ fields: inout DatabaseFields) -> [Int]? {
    guard let count = fields.number(), count > 0, let pointers = fields.number() else { return nil }
    fields.skip(pointers)
    guard fields.number() == count, fields.number() != nil else { return nil }
    var offsets: [Int] = []
    for _ in 0..<count {
      guard let offset = fields.number() else { return nil }
      offsets.append(offset)
    }
    return offsets
  }

  // MARK: - Nouns and their senses

  /// The form under which a noun is listed: the singular of a plural.
  /// - Returns: with spaces, in lower case; nil where it is no noun of WordNet.
  public func baseForm(of noun: String) -> String? { lemma(of: noun).map(Self.spaced) }

  /// The same with underscores.
  func lemma(of noun: String) -> String? {
    let noun = noun.lowercased().replacing(" ", with: "_")
    // The lines of the licence have an empty first field.
    func isListed(_ lemma: String) -> Bool { !lemma.isEmpty && !index.lines(of: lemma).isEmpty }
    if isListed(noun) { return noun }
    // Of a collocation, the last word is the one in the plural.
    let place = noun.lastIndex(of: "_").map(noun.index(after:)) ?? noun.startIndex
    let (before, word) = (String(noun[..<place]), String(noun[place...]))
    if let known = (exceptions[word] ?? []).map({ before + $0 }).first(where: isListed) { return known }
    for (ending, singular) in Self.detachments where word.hasSuffix(ending) && word.count > ending.count + 1 {
      let lemma = String(before + word.dropLast(ending.count) + singular)
      if isListed(lemma) { return lemma }
    }
    return nil
  }

  /// The rules of detachment for nouns: `morphy(7WN)`.
  private static let detachments = [
    ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"), ("s", ""),
  ]

  /// What a noun may mean, the most frequent meaning first; none where it is no noun of WordNet.
  public func senses(of noun: String) -> [Synset] {
    guard let lemma = lemma(of: noun), let line = index.lines(of: lemma).first else { return [] }
    let offsets: [Int] = Array(line.utf8).withUnsafeBytes { bytes in
      var fields = DatabaseFields(bytes, 0..<bytes.count)
      fields.skip(2)
      return Self.readSenses(&fields) ?? []
    }
    return offsets.compactMap { graph.number(at: $0).map(Synset.init) }
  }

  /// The words of a synset, the first one the most usual, with spaces in collocations.
  public func lemmas(of synset: Synset) -> [String] { graph.lemmas(of: synset.number).map(Self.spaced) }

  /// What it is a kind or an instance of.
  public func hypernyms(of synset: Synset) -> [Synset] { graph.hypernyms(of: synset.number).map(Synset.init) }

  /// The kinds and instances of it.
  public func hyponyms(of synset: Synset) -> [Synset] { graph.hyponyms(of: synset.number).map(Synset.init) }

  static func spaced(_ lemma: String) -> String { lemma.replacing("_", with: " ") }

  /// How often a noun was met in texts as a noun, and as another part of speech.
  func frequency(ofLemma lemma: String) -> (noun: Int, other: Int) {
    var frequency = (noun: 0, other: 0)
    // lemma%part:file:id:: sense count
    for line in counts.lines(of: lemma) {
      let count = line.split(separator: " ").last.flatMap { Int($0) } ?? 0
      if line.dropFirst(lemma.count + 1).first == "1" { frequency.noun += count } else { frequency.other += count }
    }
    return frequency
  }
}
