import Basics
import Foundation

/// The index of a tar file: ustar, with the long names of pax and GNU. Only headers are read, by seeking.
package struct TarArchive {
  /// A regular file in the archive, or a link to one.
  package struct Member {
    /// Its path without dots: `./a.png` is `a.png`.
    package let name: String
    /// Of the first byte of content, from the start of the archive.
    package let offset: Int
    package let byteCount: Int
  }

  /// Links come after the files, with the content of what they lead to.
  package private(set) var members: [Member] = []
  /// The names of links that lead to no file in the archive.
  package private(set) var brokenLinks: [String] = []
  /// Why reading stopped before the end of the archive; the members before that point are good.
  package private(set) var damage: String?

  private static let blockByteCount = 512
  private static let windowByteCount = 1 << 16
  /// Members that are so close are read together.
  private static let nearby = 1 << 13
  /// Of a long name, or of a pax header.
  private static let maximumHeaderByteCount = 1 << 20

  /// The endings of compressed archives, which are not read: pictures are read from the middle of a shard.
  package static func isCompressed(_ name: String) -> Bool { unpacker(of: name) != nil }

  /// A program that unpacks a compressed archive; nil for what is none by its name.
  package static func unpacker(of name: String) -> String? {
    let name = name.lowercased()
    let endings = [
      ".tar.gz": "gunzip", ".tgz": "gunzip", ".tar.bz2": "bunzip2", ".tbz2": "bunzip2", ".tar.xz": "unxz",
      ".txz": "unxz",
      ".tar.zst": "unzstd", ".tzst": "unzstd", ".tar.lz4": "unlz4", ".zip": "unzip",
    ]
    return endings.first { name.hasSuffix($0.key) }?.value
  }

  /// What a file is compressed with that begins so.
  private static func compression(_ start: [UInt8]) -> String? {
    let signatures: [(name: String, bytes: [UInt8])] = [
      ("gzip", [0x1F, 0x8B]), ("bzip2", Array("BZh".utf8)), ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A]),
      ("zstd", [0x28, 0xB5, 0x2F, 0xFD]), ("lz4", [0x04, 0x22, 0x4D, 0x18]), ("zip", Array("PK\u{3}\u{4}".utf8)),
    ]
    return signatures.first { start.starts(with: $0.bytes) }?.name
  }

  /// - Throws: `PipelineError` of kind `.noInput` or `.inputOutput` where the file cannot be read. Damage inside is not
  ///   thrown but told by `damage`.
  package init(contentsOf url: URL) throws(PipelineError) { try self.init(OpenFile(url)) }

  /// - Throws: `PipelineError` of kind `.inputOutput` where reading fails.
  package init(_ file: OpenFile) throws(PipelineError) {
    let fileByteCount = file.byteCount
    // Headers of small members lie close together; between large ones, what is read besides is of no use.
    var window = Data()
    var windowStart = 0
    var last = 0
    func read(_ byteCount: Int, at offset: Int) throws(PipelineError) -> [UInt8] {
      if offset < windowStart || offset + byteCount > windowStart + window.count {
        let isNear = offset - last < Self.nearby
        windowStart = offset
        let wanted = isNear ? Self.windowByteCount : Self.blockByteCount
        window = try file.contents(at: offset, byteCount: max(byteCount, min(wanted, fileByteCount - offset)))
      }
      last = offset
      let start = window.startIndex + offset - windowStart
      return Array(window[start..<start + byteCount])
    }

    if fileByteCount >= 5, let compression = Self.compression(try read(5, at: 0)) {
      damage = "it is compressed with \(compression), and pictures are read from the middle of a shard; unpack it first"
      return
    }
    var position = 0
    var longName: String?
    var longTarget: String?
    var longByteCount: Int?
    var links: [(name: String, target: String)] = []
    defer { follow(links) }
    while position < fileByteCount {
      guard fileByteCount - position >= Self.blockByteCount else {
        damage = "it ends inside a header"
        return
      }
      let header = try read(Self.blockByteCount, at: position)
      if header.allSatisfy({ $0 == 0 }) { return }
      guard Self.hasRightChecksum(header), let headerByteCount = Self.number(header[124..<136]) else {
        damage = "not a tar header at byte \(position)"
        return
      }
      let kind = header[156]
      let isRegularFile = kind == UInt8(ascii: "0") || kind == 0 || kind == UInt8(ascii: "7")
      let byteCount = isRegularFile ? longByteCount ?? headerByteCount : headerByteCount
      let start = position + Self.blockByteCount
      guard byteCount <= fileByteCount - start else {
        damage = "it ends inside \(longName ?? Self.name(header))"
        return
      }
      switch kind {
      case UInt8(ascii: "L"), UInt8(ascii: "K"), UInt8(ascii: "x"):
        guard byteCount <= Self.maximumHeaderByteCount else {
          damage = "a header of \(byteCount) bytes at byte \(position)"
          return
        }
        let content = try read(byteCount, at: start)
        if kind == UInt8(ascii: "L") {
          longName = String(decoding: content.prefix { $0 != 0 }, as: UTF8.self)
        } else if kind == UInt8(ascii: "K") {
          longTarget = String(decoding: content.prefix { $0 != 0 }, as: UTF8.self)
        } else {
          let fields = Self.paxFields(content)
          longName = fields["path"] ?? longName
          longTarget = fields["linkpath"] ?? longTarget
          longByteCount = fields["size"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
        }
      default:
        if isRegularFile {
          members.append(
            Member(name: Self.resolved(longName ?? Self.name(header)), offset: start, byteCount: byteCount))
        } else if kind == UInt8(ascii: "1") || kind == UInt8(ascii: "2") {
          let name = longName ?? Self.name(header)
          let target = longTarget ?? Self.text(header[157..<257])
          // A hard link names a member, a symbolic one a path from where it lies.
          let folder = kind == UInt8(ascii: "1") ? "" : PathParts(name).folder
          links.append((name, folder.isEmpty ? target : "\(folder)/\(target)"))
        }
        // Folders and the like are passed over, and so are the long names that belong to them.
        (longName, longTarget, longByteCount) = (nil, nil, nil)
      }
      position = start + (byteCount + Self.blockByteCount - 1) / Self.blockByteCount * Self.blockByteCount
    }
    damage = "it has no end mark, so that it may have been cut short"
  }

  /// Adds the links as further members; one may lead to another one.
  private mutating func follow(_ links: [(name: String, target: String)]) {
    guard !links.isEmpty else { return }
    var found: [String: Member] = [:]
    for member in members { found[member.name] = member }
    var left = links
    // As a rule, a link comes after what it leads to, and once is enough.
    for _ in 0..<4 {
      left = left.filter { name, target in
        guard let member = found[Self.resolved(target)] else { return true }
        let link = Member(name: Self.resolved(name), offset: member.offset, byteCount: member.byteCount)
        members.append(link)
        found[link.name] = link
        return false
      }
    }
    brokenLinks = left.map(\.name)
  }

  /// A path without its dots: what leads out of the archive begins at its top.
  private static func resolved(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return parts.joined(separator: "/")
  }

  /// The sum of the header's bytes, with blanks in the place of the checksum itself.
  private static func hasRightChecksum(_ header: [UInt8]) -> Bool {
    var sum = 8 * Int(UInt8(ascii: " "))
    for (i, byte) in header.enumerated() where !(148..<156).contains(i) { sum += Int(byte) }
    return number(header[148..<156]) == sum
  }

  /// An octal number, or a binary one where GNU's mark says so; nil where it is neither or does not fit.
  private static func number(_ field: ArraySlice<UInt8>) -> Int? {
    if let first = field.first, first & 0x80 != 0 {
      var value = Int(first & 0x7F)
      for byte in field.dropFirst() {
        guard value < 1 << 54 else { return nil }
        value = value << 8 | Int(byte)
      }
      return value
    }
    let text = String(decoding: field.prefix { $0 != 0 }, as: UTF8.self).trimmingCharacters(in: .whitespaces)
    return text.isEmpty ? 0 : UInt64(text, radix: 8).flatMap { Int(exactly: $0) }
  }

  /// ustar's prefix and name joined.
  private static func name(_ header: [UInt8]) -> String {
    // GNU's own format has the magic "ustar " and times where ustar has the prefix.
    let hasPrefix = header[257..<263].elementsEqual(Array("ustar\0".utf8))
    let prefix = hasPrefix ? text(header[345..<500]) : ""
    return prefix.isEmpty ? text(header[0..<100]) : prefix + "/" + text(header[0..<100])
  }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Records of the form "length key=value\n", where the length counts the whole record.
  private static func paxFields(_ content: [UInt8]) -> [String: String] {
    var fields: [String: String] = [:]
    var rest = content[...]
    while let blank = rest.firstIndex(of: UInt8(ascii: " ")) {
      guard let count = Int(String(decoding: rest[..<blank], as: UTF8.self)), count > blank - rest.startIndex + 1,
        count <= rest.count
      else { break }
      let end = rest.startIndex + count
      let record = rest[(blank + 1)..<(end - 1)]
      if let equals = record.firstIndex(of: UInt8(ascii: "=")) {
        let value = String(decoding: record[(equals + 1)...], as: UTF8.self)
        fields[String(decoding: record[..<equals], as: UTF8.self)] = value
      }
      rest = rest[end...]
    }
    return fields
  }
}
