import ArrayFiles
import Basics
import Captions
import DataFiles
import Foundation

/// What was found in the files of a data set, kept in a file beside them: a million pictures in shards are then open in a second, and
/// not in minutes. It is good as long as those files stay as they are.
struct DataSetIndex {
  /// Hidden, so that it is no part of the data set.
  static let fileName = ".dalle-index.safetensors"
  /// Of fewer pictures none is kept: they are read at once.
  private static let leastCount = 1000

  private let url: URL
  /// What it is the index of.
  private let origin: String

  /// What it keeps.
  struct Contents {
    var pictures: CaptionedPictures
    var findings: [DataSetFolder.Finding]
    /// Of shards.
    var unread: UnreadPictures
  }

  private enum Name {
    static let rows = "rows"
    static let texts = "texts"
    static let origin = "origin"
    static let shards = "shards"
    static let findings = "findings"
    static let unread = "unread"
    static let fingerprint = "fingerprint"
  }

  /// - Parameters:
  ///   - files: that the pictures and captions stand in, by their paths below `folder`.
  ///   - captionColumn: what was asked for.
  init(of files: [String], in folder: URL, captionColumn: String?) {
    url = folder.appendingPathComponent(Self.fileName)
    var hash = FNV1a()
    func combine(_ text: String) { hash.combine(Array(text.utf8) + [0]) }
    // The number is that of the format, and of what is made of a file.
    combine("2")
    combine(captionColumn.map { "=\($0)" } ?? "")
    for file in files {
      var status = stat()
      guard stat(folder.appendingPathComponent(file).path, &status) == 0 else { continue }
      #if os(Linux)
        let changed = status.st_mtim
      #else
        let changed = status.st_mtimespec
      #endif
      combine("\(file) \(status.st_size) \(changed.tv_sec) \(changed.tv_nsec)")
    }
    origin = hash.hexadecimal
  }

  /// Nil where there is none, or one of other files.
  func read() -> Contents? {
    guard let file = try? SafeTensors(contentsOf: url), file.metadata[Name.origin] == origin,
      let rows = try? file.mapped(Name.rows), let texts = try? file.mapped(Name.texts),
      let shards: [String] = Self.decoded(file.metadata[Name.shards]),
      let findings: [DataSetFolder.Finding] = Self.decoded(file.metadata[Name.findings]),
      let unread: [String: Int] = Self.decoded(file.metadata[Name.unread]),
      unread.values.allSatisfy({ (1...Int(Int32.max)).contains($0) }),
      let fingerprint = file.metadata[Name.fingerprint],
      let pictures = CaptionedPictures(stored: rows, texts: texts, shards: shards, fingerprint: fingerprint),
      !pictures.isEmpty
    else { return nil }
    return Contents(pictures: pictures, findings: findings, unread: UnreadPictures(inShards: unread))
  }

  /// Keeps what was found. Where the folder takes no file, it is found again the next time.
  func write(_ contents: Contents) {
    let pictures = contents.pictures
    guard pictures.count >= Self.leastCount, let shards = Self.encoded(pictures.shards),
      let findings = Self.encoded(contents.findings), let unread = Self.encoded(contents.unread.countsByFormat)
    else { return }
    AtomicFile.removeLeftovers(of: url)
    try? SafeTensors.write(
      [],
      tables: [
        (Name.rows, IntegerTable(bytes: pictures.rows.data, columns: CaptionedPictures.Row.byteCount)),
        (Name.texts, IntegerTable(bytes: pictures.texts.data, columns: 1)),
      ],
      metadata: [
        Name.origin: origin, Name.shards: shards, Name.findings: findings, Name.unread: unread,
        Name.fingerprint: pictures.fingerprint,
      ], to: url)
  }

  private static func encoded(_ value: some Encodable) -> String? {
    (try? JSONEncoder().encode(value)).map { String(decoding: $0, as: UTF8.self) }
  }

  private static func decoded<Value: Decodable>(_ text: String?) -> Value? {
    text.flatMap { try? JSONDecoder().decode(Value.self, from: Data($0.utf8)) }
  }
}
