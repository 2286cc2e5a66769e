import Basics
import Captions
import Datasets
import Foundation

/// What CLDR says of emoji in one language.
struct EmojiLanguage {
  /// Such as "ko".
  let code: String
  /// By an emoji's code points, without presentation selectors.
  private var names: [[UInt32]: String] = [:]
  private var keywords: [[UInt32]: [String]] = [:]

  /// The language of `emoji-test.txt`, whose names are CLDR's.
  static let english = "en"

  /// - Parameters:
  ///   - code: such as "ko".
  ///   - folder: with `annotations` and `annotationsDerived`, which holds what follows of sequences.
  ///   - readsKeywords: whether there shall be keywords.
  ///   - report: receives one line for each file of English keywords that is missing.
  /// - Throws: `PipelineError` of kind `.badData` or `.inputOutput` for files that cannot be used.
  init(
    _ code: String, in folder: URL, readsKeywords: Bool, report: (String) -> Void
  ) throws(PipelineError) {
    self.code = code
    guard code != Self.english || readsKeywords else { return }
    for part in Self.parts {
      let file = folder.appendingPathComponent("\(part)/\(code).xml")
      guard FileManager.default.fileExists(atPath: file.path) else {
        // Some languages have nothing derived; which emoji have no name in them is said of all together.
        if code == Self.english {
          report("no keywords from \(file.path), which is missing (apt-get install \(Self.package))")
        }
        continue
      }
      let annotations = try EmojiAnnotations(
        try InputFile.contents(of: file, maximumByteCount: 256 << 20), path: file.path)
      names.merge(annotations.names) { $1 }
      if readsKeywords { keywords.merge(annotations.keywords) { $1 } }
    }
  }

  private static let parts = ["annotations", "annotationsDerived"]
  private static let package = "unicode-cldr-core"

  /// Reads several, the primary one first.
  /// - Throws: `PipelineError` of kind `.usage` where there is none, one that CLDR does not have, or one twice, `.noInput` where
  ///   CLDR is missing and needed, and `.badData` or `.inputOutput` for files that cannot be used.
  static func read(
    _ codes: [String], in folder: URL, readsKeywords: Bool, report: (String) -> Void
  ) throws(PipelineError) -> [EmojiLanguage] {
    let annotations = folder.appendingPathComponent(parts[0])
    let files = (try? FileManager.default.contentsOfDirectory(atPath: annotations.path)) ?? []
    let known = files.filter { $0.hasSuffix(".xml") && $0 != "root.xml" }.map { String($0.dropLast(4)) }
    if known.isEmpty && codes.contains(where: { $0 != english }) {
      throw PipelineError(
        .noInput, "no annotations in \(annotations.path); on Debian, install them by: apt-get install \(package)")
    }
    try CaptionLanguages.check(codes, known: Set(known + [english]).sorted())
    var languages: [EmojiLanguage] = []
    for code in codes {
      languages.append(try EmojiLanguage(code, in: folder, readsKeywords: readsKeywords, report: report))
    }
    return languages
  }

  /// What an emoji is called; nil where the language has no name for it.
  func name(of sequence: EmojiDataSet.Sequence) -> String? {
    code == Self.english ? sequence.caption : names[sequence.annotationKey]
  }

  /// For each emoji its keywords without the name: none where it has no name, or where another emoji has the same ones. "flag" alone
  /// is what CLDR has for each of 258 flags: a caption that fits so many pictures teaches none.
  func keywords(of sequences: [EmojiDataSet.Sequence]) -> [[String]] {
    let all = sequences.map { sequence in
      guard let name = name(of: sequence) else { return [String]() }
      return (keywords[sequence.annotationKey] ?? []).filter { $0 != name }
    }
    let uses = Dictionary(all.map { ($0, 1) }, uniquingKeysWith: +)
    return all.map { uses[$0] == 1 ? $0 : [] }
  }
}
