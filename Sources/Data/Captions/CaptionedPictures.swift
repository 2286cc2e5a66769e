import Basics
import Foundation

/// The pictures of a data set with their captions, each one made from bytes when it is asked for: what is said of a million
/// pictures takes some hundred megabytes, which may lie in a mapped file, and not gigabytes of strings.
public struct CaptionedPictures: RandomAccessCollection, Sendable {
  /// `Row.byteCount` bytes a picture: what is needed without its texts, and where those begin.
  package let rows: MappedBytes
  /// Of each picture file name, relation, captions and keywords, each with its length before it.
  package let texts: MappedBytes
  /// The files of which pictures are parts, by their paths below the data set's folder.
  package let shards: [String]
  /// FNV-1a 64 over file names, captions and splits, in hexadecimal.
  package let fingerprint: String

  /// The bytes of a row, of numbers whose low byte comes first.
  package enum Row {
    static let text = 0
    static let offset = 8
    static let size = 16
    /// A number of `shards`, or that of none.
    static let shard = 24
    static let split = 28
    static let flags = 29
    package static let byteCount = 32

    static let noShard = UInt32.max
    static let isComposed: UInt8 = 1
    static let namesSplit: UInt8 = 2
  }

  private static let splits: [Split] = [.train, .validation, .test]

  /// Where in a shard a picture lies.
  package struct Part: Sendable, Equatable {
    /// A number of ``CaptionedPictures/shards``.
    package var shard: Int
    /// In bytes.
    package var range: Range<Int>

    package init(shard: Int, range: Range<Int>) { (self.shard, self.range) = (shard, range) }
  }

  public init(_ pictures: some Sequence<CaptionedPicture>) {
    var builder = Builder()
    for picture in pictures { builder.append(picture) }
    self = builder.finish()
  }

  fileprivate init(rows: MappedBytes, texts: MappedBytes, shards: [String], fingerprint: String?) {
    (self.rows, self.texts, self.shards) = (rows, texts, shards)
    self.fingerprint = fingerprint ?? Self.fingerprint(rows: rows, texts: texts)
  }

  /// What a file holds that somebody may have changed.
  /// - Returns: nil where it is not whole.
  package init?(stored rows: MappedBytes, texts: MappedBytes, shards: [String], fingerprint: String) {
    guard rows.byteCount % Row.byteCount == 0 else { return nil }
    let shardCount = shards.count
    let isWhole = texts.withUnsafeBytes { texts in
      rows.withUnsafeBytes { rows in
        (0..<rows.count / Row.byteCount).allSatisfy { index in
          let row = RowBytes(rows, index)
          guard row.split < Self.splits.count, row.shard == Row.noShard || row.shard < shardCount,
            row.offset <= Int64.max, row.size <= UInt64(Int64.max) - row.offset, row.text <= texts.count
          else { return false }
          var reader = TextReader(texts, at: Int(row.text))
          return reader.skipPicture()
        }
      }
    }
    guard isWhole else { return nil }
    self.init(rows: rows, texts: texts, shards: shards, fingerprint: fingerprint)
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { rows.byteCount / Row.byteCount }

  public subscript(position: Int) -> CaptionedPicture {
    withRow(position) { row in
      texts.withUnsafeBytes { texts in
        var reader = TextReader(texts, at: Int(row.text))
        let (fileName, relation) = (reader.string(), reader.string())
        return CaptionedPicture(
          fileName: fileName, captions: reader.strings(), keywords: reader.strings(),
          split: Self.splits[Int(row.split)],
          relation: row.flags & Row.isComposed == 0 ? nil : relation)
      }
    }
  }

  /// The picture's ``CaptionedPicture/split``, without its texts.
  package func split(at position: Int) -> Split { withRow(position) { Self.splits[Int($0.split)] } }

  /// The picture's ``CaptionedPicture/fileName``, without its captions.
  package func fileName(at position: Int) -> String {
    withRow(position) { row in
      texts.withUnsafeBytes { texts in
        var reader = TextReader(texts, at: Int(row.text))
        return reader.string()
      }
    }
  }

  /// Whether the picture has a ``CaptionedPicture/relation``.
  package func isComposed(at position: Int) -> Bool { withRow(position) { $0.flags & Row.isComposed != 0 } }

  /// Whether the data set itself says which split the picture belongs to.
  package func namesSplit(at position: Int) -> Bool { withRow(position) { $0.flags & Row.namesSplit != 0 } }

  /// Nil for a picture that is a file of its own, or none.
  package func part(at position: Int) -> Part? {
    withRow(position) { row in
      row.shard == Row.noShard
        ? nil : Part(shard: Int(row.shard), range: Int(row.offset)..<Int(row.offset) + Int(row.size))
    }
  }

  /// Of the same pictures those at some positions.
  package func selecting(_ positions: some Sequence<Int>) -> CaptionedPictures {
    var builder = Builder(shards: shards)
    for position in positions { builder.copy(position, of: self) }
    return builder.finish()
  }

  /// The same pictures, all in one split.
  package func moved(to split: Split) -> CaptionedPictures {
    var builder = Builder(self)
    for position in indices { builder.move(position, to: split, isNamed: false) }
    return builder.finish()
  }

  private func withRow<Result>(_ position: Int, _ body: (RowBytes) -> Result) -> Result {
    precondition(indices.contains(position), "there is no picture \(position) among \(count)")
    return rows.withUnsafeBytes { body(RowBytes($0, position)) }
  }

  private static func fingerprint(rows: MappedBytes, texts: MappedBytes) -> String {
    let pictures = CaptionedPictures(rows: rows, texts: texts, shards: [], fingerprint: "")
    var hash = FNV1a()
    func combine(_ text: String) {
      // A zero after each part, so that no two lists run together to the same bytes.
      hash.combine(text.utf8)
      hash.combine(CollectionOfOne(0))
    }
    for picture in pictures {
      combine(picture.fileName)
      combine(picture.split.rawValue)
      picture.allCaptions.forEach(combine)
      hash.combine(CollectionOfOne(UInt8(ascii: "\n")))
    }
    return hash.hexadecimal
  }

  /// The numbers of one row.
  fileprivate struct RowBytes {
    private let bytes: UnsafeRawBufferPointer

    init(_ rows: UnsafeRawBufferPointer, _ index: Int) {
      bytes = UnsafeRawBufferPointer(rebasing: rows[index * Row.byteCount..<(index + 1) * Row.byteCount])
    }

    var text: UInt64 { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Row.text, as: UInt64.self)) }
    var offset: UInt64 { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Row.offset, as: UInt64.self)) }
    var size: UInt64 { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Row.size, as: UInt64.self)) }
    var shard: UInt32 { UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: Row.shard, as: UInt32.self)) }
    var split: UInt8 { bytes[Row.split] }
    var flags: UInt8 { bytes[Row.flags] }
  }

  /// Reads texts one after the other.
  fileprivate struct TextReader {
    private let bytes: UnsafeRawBufferPointer
    private var position: Int

    init(_ bytes: UnsafeRawBufferPointer, at position: Int) { (self.bytes, self.position) = (bytes, position) }

    /// A number of seven bits a byte, the low ones first; nil where the bytes end before it, or it is too large.
    private mutating func number() -> Int? {
      var (value, shift) = (0, 0)
      while position < bytes.count, shift < 56 {
        let byte = bytes[position]
        position += 1
        value |= Int(byte & 0x7F) << shift
        if byte & 0x80 == 0 { return value }
        shift += 7
      }
      return nil
    }

    mutating func string() -> String {
      guard let count = number() else { preconditionFailure("texts end early") }
      defer { position += count }
      return String(decoding: bytes[position..<position + count], as: UTF8.self)
    }

    mutating func strings() -> [String] {
      guard let count = number() else { preconditionFailure("texts end early") }
      return (0..<count).map { _ in string() }
    }

    private mutating func skipString() -> Bool {
      guard let count = number(), count <= bytes.count - position else { return false }
      position += count
      return true
    }

    /// - Returns: false where there is no whole picture with a caption.
    mutating func skipPicture() -> Bool {
      guard skipString(), skipString(), let captions = number(), captions > 0 else { return false }
      for _ in 0..<captions where !skipString() { return false }
      guard let keywords = number() else { return false }
      for _ in 0..<keywords where !skipString() { return false }
      return true
    }
  }
}

extension CaptionedPictures {
  /// Puts pictures together, one after the other.
  package struct Builder: Sendable {
    private var rows: [UInt8] = []
    private var texts: [UInt8] = []
    private let shards: [String]

    /// - Parameter shards: which parts name.
    package init(shards: [String] = []) { self.shards = shards }

    /// Begins with pictures that there are.
    package init(_ pictures: CaptionedPictures) {
      shards = pictures.shards
      rows = pictures.rows.withUnsafeBytes { Array($0) }
      texts = pictures.texts.withUnsafeBytes { Array($0) }
    }

    package var count: Int { rows.count / Row.byteCount }

    /// - Parameters:
    ///   - picture: with at least one caption.
    ///   - namesSplit: whether the data set itself says which split it belongs to.
    ///   - part: where it lies; nil where it is a file of its own, or none.
    package mutating func append(_ picture: CaptionedPicture, namesSplit: Bool = false, part: Part? = nil) {
      precondition(!picture.captions.isEmpty, "\(picture.fileName) has no caption")
      appendRow(
        split: picture.split,
        flags: (picture.relation == nil ? 0 : Row.isComposed) | (namesSplit ? Row.namesSplit : 0), part: part)
      append(picture.fileName)
      append(picture.relation ?? "")
      for list in [picture.captions, picture.keywords] {
        append(number: list.count)
        list.forEach { append($0) }
      }
    }

    /// Appends the pictures of another one, whose shards are of the same numbers.
    package mutating func append(_ other: Builder) {
      let first = texts.count
      for index in 0..<other.count {
        let row = other.rows[index * Row.byteCount..<(index + 1) * Row.byteCount]
        let text = row.withUnsafeBytes { RowBytes($0, 0).text }
        rows.append(contentsOf: (text + UInt64(first)).littleEndianBytes)
        rows.append(contentsOf: row.dropFirst(Row.offset))
      }
      texts += other.texts
    }

    /// Appends a picture as it stands elsewhere, with the same shards.
    fileprivate mutating func copy(_ position: Int, of pictures: CaptionedPictures) {
      append(
        pictures[position], namesSplit: pictures.namesSplit(at: position), part: pictures.part(at: position))
    }

    package mutating func move(_ position: Int, to split: Split, isNamed: Bool) {
      let start = position * Row.byteCount
      rows[start + Row.split] = Self.number(of: split)
      if isNamed { rows[start + Row.flags] |= Row.namesSplit } else { rows[start + Row.flags] &= ~Row.namesSplit }
    }

    package func namesSplit(at position: Int) -> Bool {
      rows[position * Row.byteCount + Row.flags] & Row.namesSplit != 0
    }

    package func split(at position: Int) -> Split { splits[Int(rows[position * Row.byteCount + Row.split])] }

    package func fileName(at position: Int) -> String {
      texts.withUnsafeBytes { texts in
        rows.withUnsafeBytes { rows in
          var reader = TextReader(texts, at: Int(RowBytes(rows, position).text))
          return reader.string()
        }
      }
    }

    package func finish() -> CaptionedPictures {
      CaptionedPictures(rows: Self.memory(rows), texts: Self.memory(texts), shards: shards, fingerprint: nil)
    }

    private static func memory(_ bytes: [UInt8]) -> MappedBytes {
      MappedBytes(byteCount: bytes.count) { $0.copyBytes(from: bytes) }
    }

    private static func number(of split: Split) -> UInt8 { UInt8(splits.firstIndex(of: split) ?? 0) }

    private mutating func appendRow(split: Split, flags: UInt8, part: Part?) {
      rows.append(contentsOf: UInt64(texts.count).littleEndianBytes)
      rows.append(contentsOf: UInt64(part?.range.lowerBound ?? 0).littleEndianBytes)
      rows.append(contentsOf: UInt64(part?.range.count ?? 0).littleEndianBytes)
      rows.append(contentsOf: (part.map { UInt32($0.shard) } ?? Row.noShard).littleEndianBytes)
      rows += [Self.number(of: split), flags, 0, 0]
    }

    private mutating func append(number: Int) {
      var left = number
      while left > 0x7F {
        texts.append(UInt8(left & 0x7F) | 0x80)
        left >>= 7
      }
      texts.append(UInt8(left))
    }

    private mutating func append(_ text: String) {
      append(number: text.utf8.count)
      texts.append(contentsOf: text.utf8)
    }
  }
}

extension FixedWidthInteger {
  /// The low byte first.
  fileprivate var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
