import Foundation
import Imaging
import TestSupport

extension TemporaryFolder {
  /// A small picture whose gray tells it from the others.
  func writePicture(_ name: String, gray: UInt8 = 0) throws {
    let color = Picture.Color(red: gray, green: gray, blue: gray)
    try write(Picture(width: 6, height: 6, color: color).pngData(), to: name)
  }

  /// `count` pictures of different grays with a caption each, all in train.
  func fill(count: Int) throws {
    var metadata = ""
    for i in 0..<count {
      try writePicture("\(1000 + i).png", gray: UInt8(i % 251))
      metadata += "{\"file_name\": \"\(1000 + i).png\", \"text\": [\"picture \(i)\", \"further \(i)\", \"more \(i)\"], "
      metadata += "\"split\": \"train\"}\n"
    }
    try write(metadata, to: "metadata.jsonl")
  }
}

/// A tar file, member by member.
struct Tar {
  private var bytes: [UInt8] = []

  /// - Parameters:
  ///   - kind: "0" is a file, "1" a hard link and "2" a symbolic one.
  ///   - target: of a link, a path of at most 100 bytes.
  mutating func add(_ name: String, _ content: Data = Data(), kind: Character = "0", target: String = "") {
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
  var data: Data { Data(bytes + [UInt8](repeating: 0, count: 1024)) }
}
