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
