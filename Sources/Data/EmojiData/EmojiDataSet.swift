import Basics
import Captions
import Datasets
import Foundation
import Imaging

/// The default data set: the system's color emoji with their Unicode names as captions.
///
/// The split tests composition: of the English captions that contain "skin tone", those whose FNV-1a 64 hash is 0 mod 20 are
/// `test` and those with 1 mod 20 `validation`; every other caption is `train`. So a held-out picture is a combination
/// of a subject and a tone that training never shows, while it shows both parts.
public enum EmojiDataSet {
  /// Debian's `fonts-noto-color-emoji`.
  public static let standardFont = URL(fileURLWithPath: "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
  /// Debian's `unicode-data`.
  public static let standardEmojiTest = URL(fileURLWithPath: "/usr/share/unicode/emoji/emoji-test.txt")
  /// Debian's `unicode-cldr-core`.
  public static let standardCLDR = URL(fileURLWithPath: "/usr/share/unicode/cldr/common")

  /// What was prepared.
  public struct Summary: Sendable, Equatable, Codable {
    /// Pictures written; the sum of the next three.
    public var pictures = 0
    public var train = 0
    public var validation = 0
    public var test = 0
    /// Pictures whose caption contains "skin tone"; the held-out ones are among them.
    public var withSkinTone = 0
    /// Pictures that have keywords beside their caption.
    public var withKeywords = 0
  }

  /// Draws every fully-qualified emoji and writes `folder` in the imagefolder form: PNGs of 136 × 136 over white and a
  /// `metadata.jsonl` with `file_name`, `text` (the CLDR short name, or those in several languages), `split` and `keywords`.
  ///
  /// The folder appears whole at the end, by a rename; a kill before that leaves at most a hidden folder beside it.
  /// - Parameters:
  ///   - folder: made whole, or not at all.
  ///   - fontFile: a font with color bitmaps.
  ///   - emojiTest: Unicode's list of sequences.
  ///   - cldr: CLDR's folder `common`; where its annotations in English are missing, that is reported, and their keywords done
  ///     without.
  ///   - languages: of captions and keywords, by CLDR's codes. The first one that has a name for an emoji gives its primary caption,
  ///     the others follow. An emoji that has no name in any of them is left out.
  ///   - keywords: whether `keywords` are written: CLDR's without the short name itself, for each emoji whose list of
  ///     keywords no other emoji has.
  ///   - report: receives one line for each sequence that the font does not have, for missing annotations, and for what has no name.
  ///   - additions: puts what else belongs to the data set into the folder before it appears.
  /// - Throws: `PipelineError` of kind `.noInput` where the font, `emojiTest` or a `cldr` that is needed is missing, `.usage` for
  ///   `languages` that it does not have, `.badData` where a file is not what it should be, `.cannotCreate` where `folder` holds files already or cannot be created, and `.inputOutput`
  ///   where writing fails.
  @discardableResult
  public static func prepare(
    to folder: URL, fontFile: URL = standardFont, emojiTest: URL = standardEmojiTest,
    cldr: URL = standardCLDR, languages: [String] = ["en"], keywords: Bool = true,
    report: (String) -> Void = { _ in },
    additions: (URL) throws(PipelineError) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    try require(fontFile, package: "fonts-noto-color-emoji")
    try require(emojiTest, package: "unicode-data")
    let languages = try EmojiLanguage.read(languages, in: cldr, readsKeywords: keywords, report: report)
    let sequences = named(try sequences(in: emojiTest), in: languages, report: report)
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      let isDrawn = try draw(sequences, fontFile: fontFile, into: partial)
      for (sequence, isDrawn) in zip(sequences, isDrawn) where !isDrawn {
        report("skipped \(sequence.caption): the font has no single color glyph for \(sequence.codePointText)")
      }
      let drawn = zip(sequences, isDrawn).filter(\.1).map(\.0)
      guard !drawn.isEmpty else {
        throw PipelineError(.badData, "the font \(fontFile.path) has none of the emoji in \(emojiTest.path)")
      }
      let summary = try writeMetadata(drawn, languages: languages, into: partial)
      try additions(partial)
      return summary
    }
  }

  /// The split of an emoji by its caption; see ``EmojiDataSet``.
  public static func split(ofCaption caption: String) -> Split {
    guard caption.contains("skin tone") else { return .train }
    switch FNV1a.hash(caption) % 20 {
    case 0: return .test
    case 1: return .validation
    default: return .train
    }
  }

  // MARK: What is to be drawn

  /// One fully-qualified line of `emoji-test.txt`.
  struct Sequence: Sendable, Equatable {
    var codePoints: [UInt32]
    /// The CLDR short name.
    var caption: String

    /// "1f468-200d-1f680".
    var codePointText: String { codePoints.map { String($0, radix: 16) }.joined(separator: "-") }
    var fileName: String { codePointText + ".png" }
    /// What CLDR files the keywords under: the sequence without presentation selectors.
    var annotationKey: [UInt32] { codePoints.filter { $0 != 0xFE0F } }
  }

  private static func require(_ file: URL, package: String) throws(PipelineError) {
    do throws(PipelineError) { _ = try InputFile.byteCount(of: file) } catch {
      throw PipelineError(.noInput, "\(error.message); on Debian, install it by: apt-get install \(package)")
    }
  }

  private static func sequences(in file: URL) throws(PipelineError) -> [Sequence] {
    let content = try InputFile.contents(of: file, maximumByteCount: 64 << 20)
    let sequences = String(decoding: content, as: UTF8.self).split(whereSeparator: \.isNewline)
      .compactMap { sequence(in: $0) }
    guard !sequences.isEmpty else {
      throw PipelineError(.badData, "\(file.path) has no fully-qualified emoji; Unicode's emoji-test.txt is expected")
    }
    return sequences
  }

  /// Reads "1F600 ; fully-qualified # 😀 E1.0 grinning face"; nil for every other line.
  static func sequence(in line: Substring) -> Sequence? {
    let parts = line.split(separator: "#", maxSplits: 1)
    guard parts.count == 2 else { return nil }
    let fields = parts[0].split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
    // The emoji itself, the version that brought it, and the name.
    let comment = parts[1].split(separator: " ", maxSplits: 2)
    guard fields.count == 2, fields[1] == "fully-qualified", comment.count == 3 else { return nil }
    let codePoints = fields[0].split(separator: " ").map { UInt32($0, radix: 16) }
    guard !codePoints.isEmpty, !codePoints.contains(nil) else { return nil }
    return Sequence(
      codePoints: codePoints.compactMap { $0 }, caption: comment[2].trimmingCharacters(in: .whitespaces))
  }

  /// Those that have a name in one of the languages.
  private static func named(
    _ sequences: [Sequence], in languages: [EmojiLanguage], report: (String) -> Void
  ) -> [Sequence] {
    let named = sequences.filter { sequence in languages.contains { $0.name(of: sequence) != nil } }
    for language in languages {
      let count = named.count { language.name(of: $0) == nil }
      if count > 0 { report("\(count) of \(named.count) emoji have no name in \(language.code)") }
    }
    if named.count < sequences.count {
      let codes = languages.map(\.code).joined(separator: ", ")
      report("left out \(sequences.count - named.count) of \(sequences.count) emoji, which have no name in \(codes)")
    }
    return named
  }

  // MARK: Drawing and writing

  /// Draws and writes the pictures on all cores.
  /// - Returns: for each sequence, whether the font has it.
  private static func draw(
    _ sequences: [Sequence], fontFile: URL, into folder: URL
  ) throws(PipelineError) -> [Bool] {
    let workerCount = min(ProcessInfo.processInfo.activeProcessorCount, sequences.count)
    var isDrawn = [Bool](repeating: false, count: sequences.count)
    var errors = [PipelineError?](repeating: nil, count: workerCount)
    isDrawn.withUnsafeMutableBufferPointer { isDrawn in
      errors.withUnsafeMutableBufferPointer { errors in
        // Each worker writes elements of its own, so that no lock is needed.
        nonisolated(unsafe) let isDrawn = isDrawn
        nonisolated(unsafe) let errors = errors
        DispatchQueue.concurrentPerform(iterations: workerCount) { worker in
          do throws(PipelineError) {
            let font = try EmojiFont(contentsOf: fontFile)
            for i in stride(from: worker, to: sequences.count, by: workerCount) {
              guard let glyph = font.picture(of: sequences[i].codePoints) else { continue }
              // Compression is most of the work; level 6 takes 1.7 times as long and saves a tenth.
              let data = try centred(glyph).pngData(compressionLevel: 3)
              try AtomicFolder.write(data, to: folder.appendingPathComponent(sequences[i].fileName))
              isDrawn[i] = true
            }
          } catch {
            errors[worker] = error
          }
        }
      }
    }
    for case let error? in errors { throw error }
    return isDrawn
  }

  /// On a white square; the font's bitmaps are 136 × 128.
  private static func centred(_ glyph: Picture) -> Picture {
    if glyph.width == glyph.height { return glyph }
    let side = max(glyph.width, glyph.height)
    var square = Picture(width: side, height: side, color: .white)
    square.paste(glyph, x: (side - glyph.width) / 2, y: (side - glyph.height) / 2)
    return square
  }

  private static func writeMetadata(
    _ sequences: [Sequence], languages: [EmojiLanguage], into folder: URL
  ) throws(PipelineError) -> Summary {
    let keywords = languages.map { $0.keywords(of: sequences) }
    var summary = Summary()
    var content = Data()
    for (i, sequence) in sequences.enumerated() {
      // Whatever the languages, the same pictures are held out.
      let split = split(ofCaption: sequence.caption)
      var texts: [String] = []
      for case let name? in languages.map({ $0.name(of: sequence) }) where !texts.contains(name) { texts.append(name) }
      let words = keywords.reduce(into: [String]()) { words, all in words += all[i].filter { !words.contains($0) } }
      content += try MetadataLine(fileName: sequence.fileName, texts: texts, split: split, keywords: words).encoded()
      summary.pictures += 1
      switch split {
      case .train: summary.train += 1
      case .validation: summary.validation += 1
      case .test: summary.test += 1
      }
      if sequence.caption.contains("skin tone") { summary.withSkinTone += 1 }
      if !words.isEmpty { summary.withKeywords += 1 }
    }
    try AtomicFile.write(content, to: folder.appendingPathComponent(MetadataLine.fileName))
    return summary
  }
}
