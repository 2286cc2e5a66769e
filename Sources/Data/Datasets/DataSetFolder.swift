import Basics
import Foundation
import Imaging

/// The bytes of one picture file: a file of its own or a part of a shard.
struct PictureSource: Sendable {
  let url: URL
  /// Where in the file the picture lies; nil for the whole file.
  package let part: Range<Int>?

  /// - Parameters:
  ///   - name: what the picture is called.
  ///   - side: of the square that it becomes, in pixels. It is decoded twice as large, or larger.
  /// - Throws: `PipelineError` that calls the picture `name`.
  package func picture(name: String, for side: Int) throws(PipelineError) -> Picture {
    try Picture(decoding: contents(name: name), name: name, atLeast: 2 * side)
  }

  /// The same with its transparency.
  package func transparentPicture(name: String, for side: Int) throws(PipelineError) -> TransparentPicture {
    try TransparentPicture(decoding: contents(name: name), name: name, atLeast: 2 * side)
  }

  private func contents(name: String) throws(PipelineError) -> Data {
    guard let part else { return try InputFile.contents(of: url, maximumByteCount: Self.maximumByteCount) }
    guard part.count <= Self.maximumByteCount else {
      throw PipelineError(.badData, "\(name): \(part.count) bytes; at most \(Self.maximumByteCount) are read")
    }
    return try InputFile.contents(of: url, offset: part.lowerBound, byteCount: part.count)
  }

  private static let maximumByteCount = 1 << 30
}

/// Reads the list of pictures and captions of a data set's folder, in any of its three forms.
struct DataSetFolder {
  struct Item {
    var entry: CaptionedPicture
    /// Nil for a picture of which there are tokens only.
    package var source: PictureSource?
    /// Whether the data set itself says which split the picture belongs to.
    var namesSplit: Bool
  }

  /// What every message about a folder that is not a data set ends in.
  static let acceptedForms =
    "a data set is a folder that holds pictures (PNG, JPEG, WebP) and a metadata.jsonl with file_name and text, "
    + "or a .txt beside each picture, or WebDataset .tar shards"

  private static let maximumCaptionFileByteCount = 16 << 20

  private let url: URL
  private let isStrict: Bool
  private let report: (String) -> Void
  /// The paths of all files below `url`, sorted.
  private let paths: [String]

  /// - Throws: `PipelineError` of kind `.noInput` where `url` is not a folder that can be read.
  init(_ url: URL, isStrict: Bool, report: @escaping (String) -> Void) throws(PipelineError) {
    self.url = url
    self.isStrict = isStrict
    self.report = report
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw PipelineError(.noInput, "cannot read the data set \(url.path): no such folder")
    }
    guard isFolder.boolValue else {
      throw PipelineError(.noInput, "\(url.path) is a file; \(Self.acceptedForms)")
    }
    guard access(url.path, R_OK | X_OK) == 0, let walker = FileManager.default.enumerator(atPath: url.path) else {
      throw PipelineError(.noInput, "cannot read the data set \(url.path): permission denied")
    }
    var found: [String] = []
    while let path = walker.nextObject() as? String {
      // Hidden files and folders are not data: editors and version control leave them.
      let isHidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
      if !isHidden { found.append(path) }
    }
    paths = found.sorted()
    guard !paths.isEmpty else {
      throw PipelineError(.badData, "the folder \(url.path) is empty; \(Self.acceptedForms)")
    }
  }

  /// What an image tokenizer made of the pictures, in the order of ``items()``; nil where the folder holds the pictures.
  /// - Throws: `PipelineError` of kind `.badData` where it is damaged.
  func encodedPictures() throws(PipelineError) -> EncodedPictures? {
    encodedShards.isEmpty ? nil : try EncodedPictures(encodedShards.map { url.appendingPathComponent($0) })
  }

  private var encodedShards: [String] { paths.filter(EncodedPictures.isShard) }

  /// The pictures that have captions, sorted by file name. Their files have not been opened.
  /// - Throws: `PipelineError` of kind `.badData` where there are none, and with `isStrict` for the first one that has
  ///   to be left out.
  func items() throws(PipelineError) -> [Item] {
    let metadata = paths.filter { ($0 as NSString).lastPathComponent == MetadataLine.fileName }
    let shards = paths.filter { ($0 as NSString).pathExtension == "tar" }
    var items: [Item]
    if !metadata.isEmpty {
      items = try metadataItems(metadata)
    } else if !shards.isEmpty {
      items = try shardItems(shards)
    } else {
      items = try textFileItems()
    }
    guard !items.isEmpty else {
      throw PipelineError(.badData, "no picture with a caption in \(url.path); \(Self.acceptedForms)")
    }
    items.sort { $0.entry.fileName < $1.entry.fileName }
    return items
  }

  // MARK: metadata.jsonl

  /// What is read of one line of `metadata.jsonl`.
  private struct MetadataEntry: Decodable {
    let fileName: String
    let texts: [String]
    let keywords: [String]
    let split: String?
    let relation: String?

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: MetadataLine.CodingKeys.self)
      fileName = try fields.decode(String.self, forKey: .fileName)
      if let text = try? fields.decode(String.self, forKey: .text) {
        texts = [text]
      } else {
        texts = try fields.decodeIfPresent([String].self, forKey: .text) ?? []
      }
      keywords = try fields.decodeIfPresent([String].self, forKey: .keywords) ?? []
      split = try fields.decodeIfPresent(String.self, forKey: .split)
      // Ours; in somebody else's data set the word may mean anything.
      relation = try? fields.decodeIfPresent(String.self, forKey: .relation)
    }
  }

  private func metadataItems(_ files: [String]) throws(PipelineError) -> [Item] {
    var captions: [String: [String]] = [:]
    var keywords: [String: [String]] = [:]
    var splits: [String: Split] = [:]
    var relations: [String: String] = [:]
    for file in files {
      let content = try InputFile.contents(of: url.appendingPathComponent(file), maximumByteCount: 1 << 31)
      let folder = (file as NSString).deletingLastPathComponent
      let decoder = JSONDecoder()
      for (number, line) in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
      {
        if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
        let place = "\(file) line \(number + 1)"
        guard let entry = try? decoder.decode(MetadataEntry.self, from: line) else {
          try skip(place, "not a JSON object with file_name and text")
          continue
        }
        guard let path = Self.path(entry.fileName, below: folder) else {
          try skip(place, "file_name \"\(entry.fileName)\" leads out of the data set")
          continue
        }
        if let name = entry.split {
          guard let split = Split(rawValue: name) else {
            try skip(place, "split \"\(name)\" is none of train, validation, test")
            continue
          }
          splits[path] = splits[path] ?? split
        }
        captions[path, default: []] += entry.texts.compactMap(Self.caption)
        let words = entry.keywords.compactMap(Self.caption)
        if !words.isEmpty { keywords[path] = words }
        relations[path] = relations[path] ?? entry.relation
      }
    }
    let isEncoded = !encodedShards.isEmpty
    var items: [Item] = []
    for (path, texts) in captions.sorted(by: { $0.key < $1.key }) {
      let words = keywords[path] ?? []
      guard !texts.isEmpty || !words.isEmpty else {
        try skip(path, "it has no caption")
        continue
      }
      let file = url.appendingPathComponent(path)
      guard isEncoded || FileManager.default.fileExists(atPath: file.path) else {
        try skip(path, "the metadata names it, but there is no such file")
        continue
      }
      let captions = texts.isEmpty ? [words.joined(separator: ", ")] : texts
      items.append(
        item(
          path, captions: captions, keywords: words, split: splits[path], relation: relations[path],
          source: isEncoded ? nil : PictureSource(url: file, part: nil)))
    }
    for path in pictures() where captions[path] == nil {
      try skip(path, "\(MetadataLine.fileName) has no line for it")
    }
    return items
  }

  /// `name` below `folder` with its dots resolved, or nil where it is absolute, empty, or leads out of the data set.
  private static func path(_ name: String, below folder: String) -> String? {
    guard !name.hasPrefix("/"), !name.utf8.contains(0) else { return nil }
    var parts = folder.split(separator: "/")
    for part in name.split(separator: "/") where part != "." {
      if part == ".." {
        guard parts.popLast() != nil else { return nil }
      } else {
        parts.append(part)
      }
    }
    return name.isEmpty || parts.isEmpty ? nil : parts.joined(separator: "/")
  }

  // MARK: A text file beside each picture

  private func textFileItems() throws(PipelineError) -> [Item] {
    let texts = Set(paths.filter { ($0 as NSString).pathExtension == "txt" })
    var used: Set<String> = []
    var items: [Item] = []
    var withoutCaption: [String] = []
    for path in pictures() {
      let text = (path as NSString).deletingPathExtension + ".txt"
      guard texts.contains(text) else {
        withoutCaption.append(path)
        continue
      }
      used.insert(text)
      let content: Data
      do throws(PipelineError) {
        content = try InputFile.contents(
          of: url.appendingPathComponent(text), maximumByteCount: Self.maximumCaptionFileByteCount)
      } catch {
        try skip(path, error.message)
        continue
      }
      guard let captions = try captions(in: content, of: path, file: text) else { continue }
      let source = PictureSource(url: url.appendingPathComponent(path), part: nil)
      items.append(item(path, captions: captions, split: nil, source: source))
    }
    if items.isEmpty && used.isEmpty && !withoutCaption.isEmpty {
      throw PipelineError(
        .badData, "\(url.path) holds \(withoutCaption.count) pictures but no captions; \(Self.acceptedForms)")
    }
    for path in withoutCaption { try skip(path, "there is no caption file beside it") }
    for text in texts.subtracting(used).sorted() { try skip(text, "there is no PNG or JPEG beside it") }
    return items
  }

  /// The lines of a caption file, or nil, and reported, where it has none.
  private func captions(in content: Data, of picture: String, file: String) throws(PipelineError) -> [String]? {
    guard let text = String(validating: content, as: UTF8.self) else {
      try skip(picture, "its captions in \(file) are not valid UTF-8")
      return nil
    }
    let captions = text.split(whereSeparator: \.isNewline).compactMap { Self.caption(String($0)) }
    guard !captions.isEmpty else {
      try skip(picture, "its caption file \(file) is empty")
      return nil
    }
    return captions
  }

  // MARK: WebDataset shards

  private func shardItems(_ shards: [String]) throws(PipelineError) -> [Item] {
    struct Sample {
      var picture: TarArchive.Member?
      var text: TarArchive.Member?
      var metadata: TarArchive.Member?
    }
    struct Metadata: Decodable { let caption: String? }
    var items: [Item] = []
    for shard in shards {
      let file = url.appendingPathComponent(shard)
      let archive = try TarArchive(contentsOf: file)
      if let damage = archive.damage { try skip("the rest of \(shard)", damage) }
      // WebDataset's rule: what comes before the first dot of the last path component is the key.
      var samples: [String: Sample] = [:]
      for member in archive.members {
        let name = (member.name as NSString).lastPathComponent
        guard !name.hasPrefix("."), let dot = name.firstIndex(of: ".") else { continue }
        let key = ((member.name as NSString).deletingLastPathComponent as NSString)
          .appendingPathComponent(String(name[..<dot]))
        switch name[name.index(after: dot)...].lowercased() {
        case let kind where PictureFormat.readFileExtensions.contains(kind):
          samples[key, default: Sample()].picture = member
        case "txt": samples[key, default: Sample()].text = member
        case "json": samples[key, default: Sample()].metadata = member
        default: break
        }
      }
      func content(_ member: TarArchive.Member) throws(PipelineError) -> Data {
        guard member.byteCount <= Self.maximumCaptionFileByteCount else {
          throw PipelineError(.badData, "\(member.name) has \(member.byteCount) bytes")
        }
        return try InputFile.contents(of: file, offset: member.offset, byteCount: member.byteCount)
      }
      for (key, sample) in samples.sorted(by: { $0.key < $1.key }) {
        guard let picture = sample.picture else {
          try skip("\(shard)/\(key)", "the shard has no PNG or JPEG for it")
          continue
        }
        let path = "\(shard)/\(picture.name)"
        var found: [String]?
        do throws(PipelineError) {
          if let text = sample.text {
            found = try captions(in: content(text), of: path, file: text.name)
            if found == nil { continue }
          } else if let metadata = sample.metadata {
            let caption = try? JSONDecoder().decode(Metadata.self, from: content(metadata)).caption
            found = caption.flatMap(Self.caption).map { [$0] }
          }
        } catch {
          if isStrict { throw error }
          try skip(path, error.message)
          continue
        }
        guard let found else {
          try skip(path, "it has no caption")
          continue
        }
        let part = picture.offset..<(picture.offset + picture.byteCount)
        items.append(item(path, captions: found, split: nil, source: PictureSource(url: file, part: part)))
      }
    }
    return items
  }

  // MARK: Common ground

  private func pictures() -> [String] {
    paths.filter { PictureFormat.readFileExtensions.contains(($0 as NSString).pathExtension.lowercased()) }
  }

  private func item(
    _ path: String, captions: [String], keywords: [String] = [], split: Split?, relation: String? = nil,
    source: PictureSource?
  ) -> Item {
    let entry = CaptionedPicture(
      fileName: path, captions: captions, keywords: keywords, split: split ?? Split.standard(forFileName: path),
      relation: relation)
    return Item(entry: entry, source: source, namesSplit: split != nil)
  }

  /// The text without the white space around it, or nil where nothing is left.
  private static func caption(_ text: String) -> String? {
    let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "\u{FEFF}")))
    return trimmed.isEmpty ? nil : trimmed
  }

  /// Names what is left out.
  private func skip(_ subject: String, _ reason: String) throws(PipelineError) {
    if isStrict { throw PipelineError(.badData, "\(url.path): \(subject): \(reason)") }
    report("skipped \(subject): \(reason)")
  }
}
