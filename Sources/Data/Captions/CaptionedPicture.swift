import Basics
import TextTokenizer

/// What a picture of a data set is used for.
public enum Split: String, Sendable, CaseIterable, Codable {
  case train, validation, test

  /// The split of a picture for which the data set names none: 5% of the pictures are validation, by their file name,
  /// so that adding pictures moves none of the others. Some systems write names with accents as signs of their own (NFD): it is the
  /// same name.
  public static func standard(forFileName fileName: String) -> Split {
    let composed =
      fileName.utf8.allSatisfy { $0 < 0x80 }
      ? fileName : String(String.UnicodeScalarView(NormalForm.c.applied(to: fileName.unicodeScalars)))
    return FNV1a.hash(composed) % 20 == 0 ? .validation : .train
  }

  /// The split that people call so, in any case: "val", "valid" and "dev" are validation, too.
  public init?(called name: String) {
    switch name.lowercased() {
    case "train", "training": self = .train
    case "validation", "valid", "val", "dev": self = .validation
    case "test", "testing": self = .test
    default: return nil
    }
  }

  /// The split that the folders name in which a file lies, the outermost one that is called like a split: "images/val2017".
  /// A shard counts as a folder, of whose name one word is enough: "birds-train-0001.tar".
  /// - Parameter folders: with slashes between them.
  /// - Returns: the split and the folder; nil where none is called so.
  package static func named(byFolders folders: some StringProtocol) -> (split: Split, folder: String)? {
    for folder in folders.split(separator: "/") {
      let isShard = folder.lowercased().hasSuffix(".tar")
      let words = folder.split { !$0.isLetter }
      guard words.count == 1 || isShard else { continue }
      if let split = words.lazy.compactMap({ Split(called: String($0)) }).first { return (split, String(folder)) }
    }
    return nil
  }
}

/// One picture of a data set, without its pixels.
public struct CaptionedPicture: Sendable, Equatable {
  /// The path below the data set's folder, or `shard.tar/member` for a picture in a shard.
  public let fileName: String
  /// At least one; none is empty. The first is the primary one.
  public let captions: [String]
  /// Words that say something of the picture, in the data set's order; often none.
  public let keywords: [String]
  public let split: Split
  /// How things are composed in it, such as "made-of"; nil for a picture that was not composed of others.
  public let relation: String?

  public init(
    fileName: String, captions: [String], keywords: [String] = [], split: Split, relation: String? = nil
  ) {
    self.fileName = fileName
    self.captions = captions
    self.keywords = keywords
    self.split = split
    self.relation = relation
  }

  /// The same picture in another split.
  func moved(to split: Split) -> CaptionedPicture {
    CaptionedPicture(
      fileName: fileName, captions: captions, keywords: keywords, split: split, relation: relation)
  }

  /// What the one thing that the picture shows is called, in English where it has such a name, without article and full stop, in
  /// lower case.
  package var thingName: String {
    let caption = captions.first { Script(of: $0) == .latin } ?? captions[0]
    return CaptionForms.core(caption, dropsArticle: true).lowercased()
  }

  /// The captions, and the keywords as a further one, joined by ", ".
  public var allCaptions: [String] {
    let joined = keywords.joined(separator: ", ")
    return joined.isEmpty || captions.contains(joined) ? captions : captions + [joined]
  }

  /// What is said of the picture in each script, that of the first caption first. Keywords go with the captions of their script,
  /// and where there are none with the first one.
  package var inEachScript: [(script: Script, picture: CaptionedPicture)] {
    var parts: [(script: Script, captions: [String], keywords: [String])] = []
    for caption in captions {
      let script = Script(of: caption)
      if let place = parts.firstIndex(where: { $0.script == script }) {
        parts[place].captions.append(caption)
      } else {
        parts.append((script, [caption], []))
      }
    }
    for keyword in keywords {
      let script = Script(of: keyword)
      parts[parts.firstIndex { $0.script == script } ?? 0].keywords.append(keyword)
    }
    return parts.map { script, captions, keywords in
      let part = CaptionedPicture(
        fileName: fileName, captions: captions, keywords: keywords, split: split, relation: relation)
      return (script, part)
    }
  }
}

/// What a text is written in, as far as captions are told apart by it: a caption in Hangul is Korean.
package enum Script: Sendable, CaseIterable {
  /// All letters are Latin ones, by their Unicode blocks, or there are none.
  case latin
  /// Some letters are.
  case hangul
  case other

  package init(of text: String) {
    let scalars = text.unicodeScalars
    // The second range has the letters of Vietnamese.
    let latin: [ClosedRange<UInt32>] = [0...0x24F, 0x1E00...0x1EFF]
    if scalars.allSatisfy({ scalar in
      !scalar.properties.isAlphabetic || latin.contains { $0.contains(scalar.value) }
    }) {
      self = .latin
    } else {
      // Jamo, the same for old encodings, and syllables.
      let blocks: [ClosedRange<UInt32>] = [0x1100...0x11FF, 0x3131...0x318E, 0xAC00...0xD7A3]
      self = scalars.contains { scalar in blocks.contains { $0.contains(scalar.value) } } ? .hangul : .other
    }
  }
}

/// The languages of captions.
package enum CaptionLanguages {
  /// - Parameters:
  ///   - codes: such as "en", the primary one first.
  ///   - known: those that there are.
  /// - Throws: `PipelineError` of kind `.usage` where there is none, one that is not known, or one twice.
  package static func check(_ codes: [String], known: [String]) throws(PipelineError) {
    if let code = codes.first(where: { !known.contains($0) }) ?? (codes.isEmpty ? "" : nil) {
      throw PipelineError(
        .usage, "`languages` must be a list of \(known.joined(separator: ", ")) with commas between, not \"\(code)\"")
    }
    if let (_, code) = codes.enumerated().first(where: { codes[..<$0].contains($1) }) {
      throw PipelineError(.usage, "`languages` has \"\(code)\" twice")
    }
  }
}
