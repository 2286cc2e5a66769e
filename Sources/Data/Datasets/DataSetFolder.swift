import Basics
import Captions
import DataFiles
import Foundation
import Imaging

/// Reads the list of pictures and captions of a data set's folder, in any of its forms.
struct DataSetFolder {
  /// A picture that has a caption.
  struct Item {
    var entry: CaptionedPicture
    /// Whether the data set itself says which split the picture belongs to.
    var namesSplit: Bool
  }

  /// What was found besides.
  struct Finding: Codable, Equatable {
    /// What is left out; nil for what is worth knowing only.
    var subject: String?
    /// Why, or what is worth knowing.
    var words: String
  }

  /// What every message about a folder that is not a data set ends in.
  static let acceptedForms =
    "a data set is a folder that holds pictures (\(PictureFormat.all.filter(\.isRead).map(\.name).joined(separator: ", "))) "
    + "and a metadata.jsonl or metadata.csv with file_name and text, or a .txt beside each picture, or WebDataset .tar shards"

  /// How much was reported.
  private final class Counter {
    var count = 0
  }

  static let maximumCaptionFileByteCount = 16 << 20

  let url: URL
  let captionColumn: String?
  let isStrict: Bool
  let report: (String) -> Void
  private let reports: Counter
  private let tree: FileTree
  let contents: FolderContents
  private let encodedShards: [String]

  /// - Throws: `PipelineError` of kind `.noInput` where `url` is not a folder that can be read.
  init(
    _ url: URL, captionColumn: String?, isStrict: Bool, report: @escaping (String) -> Void
  ) throws(PipelineError) {
    (self.url, self.captionColumn, self.isStrict) = (url, captionColumn, isStrict)
    let reports = Counter()
    self.reports = reports
    self.report = {
      reports.count += 1
      report($0)
    }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw PipelineError(.noInput, "cannot read the data set \(url.path): no such folder")
    }
    guard isFolder.boolValue else {
      throw PipelineError(.noInput, "\(url.path) is a file; \(Self.acceptedForms)")
    }
    tree = try FileTree(url)
    contents = FolderContents(tree, in: url)
    encodedShards = tree.files.filter(EncodedPictures.isShard)
    guard !tree.files.isEmpty || !tree.leftOut.isEmpty else {
      throw PipelineError(.badData, "the folder \(url.path) is empty; \(Self.acceptedForms)")
    }
  }

  /// What an image tokenizer made of the pictures, in the order of ``pictures()``; nil where the folder holds the pictures.
  /// - Throws: `PipelineError` of kind `.badData` where it is damaged.
  func encodedPictures() throws(PipelineError) -> EncodedPictures? {
    encodedShards.isEmpty ? nil : try EncodedPictures(encodedShards.map { url.appendingPathComponent($0) })
  }

  /// The pictures that have captions, sorted by file name. Their files have not been opened.
  /// - Throws: `PipelineError` of kind `.badData` where there are none, and with `isStrict` for the first one that has
  ///   to be left out.
  func pictures() throws(PipelineError) -> CaptionedPictures {
    for (path, reason) in tree.leftOut { try skip(path, reason) }
    for file in contents.otherMetadata { report("\(file) is not read, because the captions stand elsewhere, too") }
    try skipOtherForms()
    let index = indexedFiles.map { DataSetIndex(of: $0, in: url, captionColumn: captionColumn) }
    var unread = contents.unread
    if let found = index?.read() {
      try say(found.findings)
      unread.add(found.unread)
      try refuse(unread, isAll: false)
      return found.pictures
    }
    var pictures: CaptionedPictures.Builder
    var findings: [Finding] = []
    var unreadInShards = UnreadPictures()
    var isWhole = true
    if contents.metadata.isEmpty && !contents.shards.isEmpty {
      let found = try shardPictures()
      (pictures, findings, unreadInShards) = (found.pictures, found.findings, found.unread)
      isWhole = found.isReadable
      unread.add(unreadInShards)
      try say(findings)
    } else {
      let items = try contents.metadata.isEmpty ? textFileItems(&unread) : metadataItems(&unread)
      pictures = CaptionedPictures.Builder()
      for item in items.sorted(by: { $0.entry.fileName < $1.entry.fileName }) {
        pictures.append(item.entry, namesSplit: item.namesSplit)
      }
    }
    try refuse(unread, isAll: pictures.count == 0)
    guard pictures.count > 0 else {
      throw PipelineError(.badData, "no picture with a caption in \(url.path); \(Self.acceptedForms)")
    }
    if let finding = takeSplitsOfFolders(&pictures) {
      try say([finding])
      findings.append(finding)
    }
    let found = DataSetIndex.Contents(pictures: pictures.finish(), findings: findings, unread: unreadInShards)
    // What is said of metadata is not kept, and what cannot be read now may be the next time.
    if isWhole && (contents.metadata.isEmpty || reports.count == 0) { index?.write(found) }
    return found.pictures
  }

  /// Names the pictures that stand in another form than the one that is read.
  private func skipOtherForms() throws(PipelineError) {
    if contents.metadata.isEmpty, !contents.shards.isEmpty, let first = contents.pictures.first {
      let count = contents.pictures.count
      try skip(
        count == 1 ? first : "\(count) pictures that are files of their own, \(first) first",
        "there are shards, and only what is in them is read; move the one or the other to a folder of its own")
    }
    if !contents.metadata.isEmpty, encodedShards.isEmpty, let first = contents.shards.first {
      let count = contents.shards.count
      try skip(
        count == 1 ? first : "\(count) shards, \(first) first",
        "\(contents.metadata[0]) has the captions, and only files that it names are read; move the one or the other to a folder of its own"
      )
    }
  }

  /// The files that the pictures and captions stand in, where these are few files.
  private var indexedFiles: [String]? {
    if !encodedShards.isEmpty { return contents.metadata + encodedShards }
    return contents.metadata.isEmpty && !contents.shards.isEmpty ? contents.shards : nil
  }

  /// Names what is left out, and what is worth knowing.
  private func say(_ findings: [Finding]) throws(PipelineError) {
    for finding in findings {
      if let subject = finding.subject { try skip(subject, finding.words) } else { report(finding.words) }
    }
  }

  /// Says what files there are that are not read.
  /// - Parameter isAll: whether that leaves nothing.
  private func refuse(_ unread: UnreadPictures, isAll: Bool) throws(PipelineError) {
    var reasons = unread.reasons
    if let first = contents.compressed.first {
      let count = contents.compressed.count
      reasons.append(
        "\(count == 1 ? first : "\(count) compressed archives, \(first) first,") cannot be read, for pictures are read from "
          + "the middle of a shard; unpack \(count == 1 ? "it" : "them"), for example with "
          + (TarArchive.unpacker(of: first) ?? "another program"))
    }
    // Beside what is read, it is a list of what the shards hold.
    if isAll, let first = contents.tables.first {
      reasons.append(
        "\(first) is a table that is not read; save its pictures as files, and its captions in a metadata.jsonl")
    }
    if !reasons.isEmpty && (isAll || isStrict && unread.haveCaptions) {
      throw PipelineError(.badData, "\(url.path): \(reasons.joined(separator: "; "))")
    }
    reasons.forEach(report)
  }

  /// Gives pictures for which no split is given that of the folders in which they lie. Where all lie in folders of one split,
  /// that says nothing.
  private func takeSplitsOfFolders(_ pictures: inout CaptionedPictures.Builder) -> Finding? {
    var named: [(split: Split, folder: String)?] = []
    var last: (folders: Substring, found: (split: Split, folder: String)?)?
    var splits: Set<Split> = []
    for index in 0..<pictures.count {
      let folders = PathParts(pictures.fileName(at: index)).folder
      let found = last?.folders == folders ? last?.found : Split.named(byFolders: folders)
      last = (folders, found)
      let namesSplit = pictures.namesSplit(at: index)
      named.append(namesSplit ? nil : found)
      splits.insert(namesSplit ? pictures.split(at: index) : found?.split ?? .train)
    }
    guard splits.count > 1 else { return nil }
    var counts: [Split: Int] = [:]
    var folders: Set<String> = []
    for (index, found) in named.enumerated() {
      guard let found else { continue }
      pictures.move(index, to: found.split, isNamed: true)
      counts[found.split, default: 0] += 1
      folders.insert(found.folder)
    }
    guard !counts.isEmpty else { return nil }
    let list = Split.allCases.compactMap { split in counts[split].map { "\($0) \(split.rawValue)" } }
    let names = folders.count > 6 ? "\(folders.count) folders" : folders.sorted().joined(separator: ", ")
    return Finding(
      words: "pictures belong to the splits that their folders name (\(names)): \(list.joined(separator: ", "))")
  }

  // MARK: Metadata

  private func metadataItems(_ unread: inout UnreadPictures) throws(PipelineError) -> [Item] {
    let files = contents.metadata
    var captions: [String: [String]] = [:]
    var keywords: [String: [String]] = [:]
    var splits: [String: Split] = [:]
    var relations: [String: String] = [:]
    // What a row names that cannot be used.
    var rejected: Set<String> = []
    var columns = CaptionColumns(captionColumn, inOrder: [.text, .caption, .prompt])
    let reader = MetadataFile(captionColumns: columns.names)
    var previous: String?
    for file in files {
      let folder = PathParts(file).folder
      try reader.forEachRow(of: url.appendingPathComponent(file), name: file) { (line, row) throws(PipelineError) in
        let place = "\(file) line \(line)"
        guard let name = row.fileName, !name.isEmpty else {
          return try skip(place, row.problem ?? "it has no file_name")
        }
        guard let path = path(name, below: folder) else {
          return try skip(place, "file_name \"\(name)\" leads out of the data set")
        }
        // Rows of tokens are in the order of the lines, and pictures in that of their names.
        if !encodedShards.isEmpty, let previous, path <= previous {
          throw PipelineError(.badData, "\(url.path): \(place) is not in the order of the names, as tokens have to be")
        }
        previous = path
        if let problem = row.problem {
          rejected.insert(path)
          return try skip(place, problem)
        }
        if let name = row.split {
          guard let split = Split(called: name) else {
            rejected.insert(path)
            return try skip(place, "split \"\(name)\" is none of train, validation, test")
          }
          splits[path] = splits[path] ?? split
        }
        for reason in row.leftOut { try skip(place, reason) }
        columns.note(row)
        captions[path, default: []] += row.texts.compactMap(Self.caption)
        let words = row.keywords.compactMap(Self.caption)
        keywords[path, default: []] += words.filter { !(keywords[path] ?? []).contains($0) }
        relations[path] = relations[path] ?? row.relation
      }
    }
    if let note = try columns.finish(in: url) { report(note) }
    var items: [Item] = []
    for (path, texts) in captions.sorted(by: { $0.key < $1.key }) {
      let words = keywords[path] ?? []
      guard !texts.isEmpty || !words.isEmpty else {
        try skip(path, columns.reasonOfNone)
        continue
      }
      // The metadata may be in another normal form than the disk.
      let spelling = encodedShards.isEmpty ? tree.spelling(of: path) : nil
      let file = spelling ?? path
      if unread.paths.contains(file) {
        unread.haveCaptions = true
        continue
      }
      var isFolder: ObjCBool = false
      guard
        !encodedShards.isEmpty || spelling != nil
          || FileManager.default.fileExists(atPath: url.appendingPathComponent(file).path, isDirectory: &isFolder)
            && !isFolder.boolValue
      else {
        try skip(path, isFolder.boolValue ? "it is a folder" : "the metadata names it, but there is no such file")
        continue
      }
      let captions = texts.isEmpty ? [words.joined(separator: ", ")] : texts
      items.append(
        item(file, captions: captions, keywords: words, split: splits[path], relation: relations[path]))
    }
    for path in contents.pictures where captions[path] == nil && !rejected.contains(path) {
      if let original = tree.original(of: path), captions[original] != nil { continue }
      try skip(path, "\(files.count == 1 ? files[0] : "the metadata") has no line for it")
    }
    return items
  }

  /// `name` below `folder` with its dots resolved, or nil where it leads out of the data set.
  private func path(_ name: String, below folder: Substring) -> String? {
    if name.hasPrefix("/") {
      // Many programs write where a file lay, and here it may lie still.
      let root = url.path + "/"
      return name.hasPrefix(root) ? path(String(name.dropFirst(root.count)), below: "") : nil
    }
    guard !name.utf8.contains(0) else { return nil }
    var parts = folder.split(separator: "/")
    for part in name.split(separator: "/") where part != "." {
      if part == ".." {
        guard parts.popLast() != nil else { return nil }
      } else {
        parts.append(part)
      }
    }
    if parts.isEmpty { return nil }
    let path = parts.joined(separator: "/")
    // As Windows writes it. Where tokens stand in the place of pictures, it is as it was found then.
    guard encodedShards.isEmpty, name.contains("\\"), tree.spelling(of: path) == nil else { return path }
    return self.path(name.replacing("\\", with: "/"), below: folder)
  }

  // MARK: A text file beside each picture

  private func textFileItems(_ unread: inout UnreadPictures) throws(PipelineError) -> [Item] {
    if let captionColumn {
      throw PipelineError(
        .usage, "`captionColumn` is \"\(captionColumn)\", and \(url.path) has no metadata that could have such a column"
      )
    }
    let texts = contents.captions
    var used: Set<String> = []
    var items: [Item] = []
    var withoutCaption: [String] = []
    for path in contents.pictures {
      let text = texts[String(PathParts(path).stem)]?.first
      if let original = tree.original(of: path),
        let itsText = texts[String(PathParts(original).stem)]?.first,
        text == nil || text.flatMap(tree.original) ?? text == itsText
      {
        // The same picture with the same captions.
        if let text { used.insert(text) }
        continue
      }
      guard let text else {
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
      let (captions, problem) = Self.captions(in: content, file: text)
      guard let captions else {
        try skip(path, problem ?? "")
        continue
      }
      items.append(item(path, captions: captions, split: nil))
    }
    for path in unread.paths {
      guard let text = texts[String(PathParts(path).stem)]?.first else { continue }
      unread.haveCaptions = true
      used.insert(text)
    }
    if items.isEmpty && used.isEmpty && !withoutCaption.isEmpty {
      throw PipelineError(
        .badData, "\(url.path) holds \(withoutCaption.count) pictures but no captions; \(Self.acceptedForms)")
    }
    for path in withoutCaption { try skip(path, "there is no caption file beside it") }
    for (_, files) in texts.sorted(by: { $0.key < $1.key }) {
      if !used.contains(files[0]) { try skip(files[0], "there is no picture beside it") }
      for file in files.dropFirst() { report("\(file) is not read: \(files[0]) is") }
    }
    return items
  }

  /// The captions in a caption file, a line each, or why there are none.
  static func captions(in content: Data, file: String) -> (captions: [String]?, problem: String?) {
    guard let text = String(validating: content, as: UTF8.self) else {
      return (nil, "its captions in \(file) are not valid UTF-8")
    }
    let captions = text.split(whereSeparator: \.isNewline).compactMap { caption(String($0)) }
    return captions.isEmpty ? (nil, "its caption file \(file) is empty") : (captions, nil)
  }

  // MARK: Common ground

  func item(
    _ path: String, captions: [String], keywords: [String] = [], split: Split?, relation: String? = nil
  ) -> Item {
    let entry = CaptionedPicture(
      fileName: path, captions: captions, keywords: keywords, split: split ?? Split.standard(forFileName: path),
      relation: relation)
    return Item(entry: entry, namesSplit: split != nil)
  }

  /// The text without the white space around it, or nil where nothing is left.
  static func caption(_ text: String) -> String? {
    let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "\u{FEFF}")))
    return trimmed.isEmpty ? nil : trimmed
  }

  /// Names what is left out.
  func skip(_ subject: String, _ reason: String) throws(PipelineError) {
    if isStrict { throw PipelineError(.badData, "\(url.path): \(subject): \(reason)") }
    report("skipped \(subject): \(reason)")
  }
}
