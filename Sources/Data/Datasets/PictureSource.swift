import Basics
import Captions
import Foundation
import Imaging

/// The bytes of one picture file: a file of its own or a part of a shard.
struct PictureSource: Sendable {
  let url: URL
  /// Where in the file the picture lies; nil for the whole file.
  let part: Range<Int>?

  /// - Parameters:
  ///   - part: where the picture lies in one of `shards`.
  ///   - shards: files.
  ///   - fileName: below `folder`, of a picture that is a file of its own.
  ///   - folder: the data set's.
  init(_ part: CaptionedPictures.Part?, of shards: [URL], orFile fileName: String, in folder: URL) {
    if let part {
      (url, self.part) = (shards[part.shard], part.range)
    } else {
      (url, self.part) = (folder.appendingPathComponent(fileName), nil)
    }
  }

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

  /// The file's bytes.
  func contents(name: String) throws(PipelineError) -> Data {
    guard let part else { return try InputFile.contents(of: url, maximumByteCount: Self.maximumByteCount) }
    guard part.count <= Self.maximumByteCount else {
      throw PipelineError(.badData, "\(name): \(part.count) bytes; at most \(Self.maximumByteCount) are read")
    }
    return try InputFile.contents(of: url, offset: part.lowerBound, byteCount: part.count)
  }

  private static let maximumByteCount = 1 << 30
}
