import Basics
import CZlib
import Foundation

/// A zip file as NumPy writes it: members that are stored or deflated, without encryption and, in the central directory,
/// without zip64. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
struct ZipArchive {
  struct Member {
    let name: String
    let byteCount: Int
    fileprivate let storedByteCount: Int
    fileprivate let headerOffset: Int
    fileprivate let method: Int
    fileprivate let flags: Int
    fileprivate let checksum: UInt32
  }

  let members: [Member]
  private let file: Data
  private let path: String

  private static let localSignature = 0x0403_4B50
  private static let centralSignature = 0x0201_4B50
  private static let endSignature = 0x0605_4B50
  private static let localByteCount = 30
  private static let centralByteCount = 46
  private static let endByteCount = 22
  /// Stands where a number is in a zip64 record instead.
  private static let zip64Mark = 0xFFFF_FFFF
  /// Deflate cannot make less than one byte of this many.
  private static let largestRatio = 1032

  /// Whether a file begins like a zip file, or is one without members.
  static func isArchive(_ file: Data) -> Bool {
    file.count >= 4 && [localSignature, endSignature].contains(number(file, at: 0, byteCount: 4))
  }

  /// Reads the central directory.
  /// - Parameters:
  ///   - file: starts at index 0.
  ///   - path: for messages.
  /// - Throws: `PipelineError` of kind `.badData` where it is not whole.
  init(_ file: Data, path: String) throws(PipelineError) {
    func damaged(_ what: String) -> PipelineError {
      PipelineError(.badData, "\(path) is not a whole zip file: \(what)")
    }
    func number(_ offset: Int, _ byteCount: Int) -> Int { Self.number(file, at: offset, byteCount: byteCount) }

    // The end record is followed by nothing but a comment, whose length has sixteen bits.
    let last = file.count - Self.endByteCount
    guard last >= 0,
      let end = stride(from: last, through: max(0, last - 0xFFFF), by: -1).first(where: {
        number($0, 4) == Self.endSignature && $0 + Self.endByteCount + number($0 + 20, 2) == file.count
      })
    else { throw damaged("it has no end record, so that it may have been cut short") }
    let count = number(end + 10, 2)
    var position = number(end + 16, 4)
    guard position != Self.zip64Mark, count != 0xFFFF else {
      throw PipelineError(.badData, "\(path): zip files of 4 GiB or more are not read")
    }
    var members: [Member] = []
    for _ in 0..<count {
      guard position + Self.centralByteCount <= end, number(position, 4) == Self.centralSignature else {
        throw damaged("its directory is damaged")
      }
      let nameByteCount = number(position + 28, 2)
      let next = position + Self.centralByteCount + nameByteCount + number(position + 30, 2) + number(position + 32, 2)
      guard next <= end else { throw damaged("its directory is damaged") }
      let nameStart = position + Self.centralByteCount
      members.append(
        Member(
          name: String(decoding: file[nameStart..<nameStart + nameByteCount], as: UTF8.self),
          byteCount: number(position + 24, 4), storedByteCount: number(position + 20, 4),
          headerOffset: number(position + 42, 4), method: number(position + 10, 2), flags: number(position + 8, 2),
          checksum: UInt32(number(position + 16, 4))))
      position = next
    }
    (self.members, self.file, self.path) = (members, file, path)
  }

  /// The content of a member, with its checksum compared.
  /// - Throws: `PipelineError` of kind `.badData` where it is damaged, encrypted, compressed by another method than
  ///   deflate, or too large for what the file can hold.
  func contents(of member: Member) throws(PipelineError) -> Data {
    let (path, name) = (path, member.name)
    func refused(_ what: String) -> PipelineError { PipelineError(.badData, "\(path): \(name) \(what)") }
    guard member.flags & 1 == 0 else { throw refused("is encrypted") }
    guard ![member.byteCount, member.storedByteCount, member.headerOffset].contains(Self.zip64Mark) else {
      throw refused("has 4 GiB or more")
    }
    let header = member.headerOffset
    guard header + Self.localByteCount <= file.count,
      Self.number(file, at: header, byteCount: 4) == Self.localSignature
    else { throw refused("is not where the directory says") }
    let start =
      header + Self.localByteCount + Self.number(file, at: header + 26, byteCount: 2)
      + Self.number(file, at: header + 28, byteCount: 2)
    guard start + member.storedByteCount <= file.count else { throw refused("is cut short") }
    let stored = file[start..<start + member.storedByteCount]

    let content: Data
    switch member.method {
    case 0:
      guard member.byteCount == member.storedByteCount else { throw refused("has two sizes") }
      content = stored
    case 8:
      // Before memory is taken for what may be a lie.
      guard member.byteCount <= Self.largestRatio * member.storedByteCount else {
        throw refused("claims \(member.byteCount) bytes, which \(member.storedByteCount) cannot hold")
      }
      var inflated = Data(count: member.byteCount)
      let status = inflated.withUnsafeMutableBytes { target in
        stored.withUnsafeBytes { source in
          dalle_inflate(
            source.bindMemory(to: UInt8.self).baseAddress, source.count,
            target.bindMemory(to: UInt8.self).baseAddress, target.count)
        }
      }
      guard status == 0 else { throw refused("is damaged: it cannot be inflated") }
      content = inflated
    default: throw refused("is compressed by method \(member.method); NumPy uses 0 and 8")
    }
    let checksum = content.withUnsafeBytes { dalle_crc32($0.bindMemory(to: UInt8.self).baseAddress, $0.count) }
    guard checksum == member.checksum else { throw refused("is damaged: its checksum is wrong") }
    return content
  }

  /// Little-endian.
  private static func number(_ file: Data, at offset: Int, byteCount: Int) -> Int {
    (0..<byteCount).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
  }
}
