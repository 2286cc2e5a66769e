import Foundation

/// A tar file, member by member.
public struct Tar {
  private var bytes: [UInt8] = []

  public init() {}

  /// - Parameters:
  ///   - kind: "0" is a file, "1" a hard link and "2" a symbolic one.
  ///   - target: of a link, a path of at most 100 bytes.
  public mutating func add(_ name: String, _ content: Data = Data(), kind: Character = "0", target: String = "") {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at start: Int) {
      header.replaceSubrange(start..<(start + text.utf8.count), with: text.utf8)
    }
    put(name, at: 0)
    put(String(format: "%011o", content.count), at: 124)
    put("        \(kind)\(target)", at: 148)
    put("ustar\u{0}00", at: 257)
    put(String(format: "%06o\u{0}", header.reduce(0) { $0 + Int($1) }), at: 148)
    bytes += header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
  }

  /// With the mark of the end.
  public var data: Data { Data(bytes + [UInt8](repeating: 0, count: 1024)) }
}
