import Basics
import Datasets
import Foundation
import Imaging
import TensorCore

extension StandaloneImageTokenizer {
  /// What ``encode(_:to:progress:)`` wrote.
  public struct EncodingSummary: Sendable, Equatable, Codable {
    public var pictures = 0
    public var tokensPerPicture = 0
    public var shards = 0
  }

  /// Writes the tokens of a data set's pictures as a folder that stage 2 is trained on in their place; see
  /// `EncodedPictures`.
  /// - Parameters:
  ///   - dataSet: opened at the tokenizer's picture size. A damaged picture is left out, and reported as the data set does.
  ///   - folder: appears whole at the end.
  ///   - progress: is told how many pictures are done, from time to time.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where `folder` holds files already or cannot be created, `.badData` where
  ///   the data set holds tokens itself or no picture that can be read, and `.inputOutput` where writing fails.
  @discardableResult
  public func encode(
    _ dataSet: PictureDataSet, to folder: URL, progress: (Int) -> Void = { _ in }
  ) throws(PipelineError) -> EncodingSummary {
    try dataSet.requirePictures()
    precondition(dataSet.pictureSize == pictureSize, "the data set is not opened at the tokenizer's size")
    let origin = EncodedPictures.Origin(imageTokenizer: fingerprint, pictureSize: pictureSize, fit: dataSet.fit)
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      var summary = EncodingSummary(tokensPerPicture: reconstructor.tokenizer.tokenCount)
      var metadata = Data()
      var shard: (tokens: [[Int32]], thumbnails: [[UInt8]]) = ([], [])
      func writeShard() throws(PipelineError) {
        try EncodedPictures.write(
          tokens: shard.tokens, thumbnails: shard.thumbnails, origin: origin,
          to: EncodedPictures.file(ofShard: summary.shards, in: partial))
        shard = ([], [])
        summary.shards += 1
      }
      for start in stride(from: 0, to: dataSet.entries.count, by: Self.picturesAtOnce) {
        let indices = start..<min(dataSet.entries.count, start + Self.picturesAtOnce)
        for (index, encoded) in zip(indices, try encoded(dataSet, indices)) {
          guard let encoded else { continue }
          metadata += try MetadataLine(dataSet.entries[index]).encoded()
          shard.tokens.append(encoded.tokens)
          shard.thumbnails.append(encoded.thumbnail)
          summary.pictures += 1
          if shard.tokens.count == EncodedPictures.shardLength { try writeShard() }
        }
        progress(indices.upperBound)
      }
      if !shard.tokens.isEmpty { try writeShard() }
      guard summary.pictures > 0 else {
        throw PipelineError(.badData, "none of the pictures in \(dataSet.url.path) can be read")
      }
      try AtomicFile.write(metadata, to: partial.appendingPathComponent(MetadataLine.fileName))
      return summary
    }
  }

  private static let picturesAtOnce = 256

  /// - Returns: nil for a picture that cannot be read.
  private func encoded(
    _ dataSet: PictureDataSet, _ indices: Range<Int>
  ) throws(PipelineError) -> [(tokens: [Int32], thumbnail: [UInt8])?] {
    let tokenizer = reconstructor.tokenizer
    return try tokenizer.throwingMap(indices.count, on: reconstructor.team) {
      (i, threads) throws(PipelineError) -> (tokens: [Int32], thumbnail: [UInt8])? in
      guard let picture = try dataSet.pictureIfReadable(at: indices.lowerBound + i) else { return nil }
      return (tokenizer.encode(Tensor([picture]), on: threads), picture.thumbnail)
    }
  }
}
