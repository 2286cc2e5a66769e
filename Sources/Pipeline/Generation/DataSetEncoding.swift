import Basics
import Datasets
import Foundation
import Imaging
import TensorCore

extension StandaloneImageTokenizer {
  /// What ``StandaloneImageTokenizer/encode(_:to:with:picturesPerShard:progress:)`` wrote.
  public struct EncodingSummary: Sendable, Equatable, Codable {
    public var pictures = 0
    public var tokensPerPicture = 0
    public var shards = 0
  }

  /// Processes that encode one data set together, on machines that see the same folders.
  public struct EncodingProcesses: Sendable {
    /// This one's number among all, from 0; the first one makes the folder.
    public var rank: Int
    public var count: Int
    /// The sums of numbers over the processes, which all come there and wait for each other.
    public var sum: @Sendable ([Double]) -> [Double]

    public init(rank: Int, count: Int, sum: @escaping @Sendable ([Double]) -> [Double]) {
      (self.rank, self.count, self.sum) = (rank, count, sum)
    }

    /// One that works alone.
    public static let alone = EncodingProcesses(rank: 0, count: 1) { $0 }
  }

  /// Writes the tokens of a data set's pictures as a folder that stage 2 is trained on in their place; see
  /// `EncodedPictures`. It is the same folder however many processes make it.
  /// - Parameters:
  ///   - dataSet: opened at the tokenizer's picture size. A damaged picture is left out, and reported as the data set does.
  ///   - folder: appears whole at the end.
  ///   - processes: that share the work.
  ///   - picturesPerShard: at most, the same for all processes.
  ///   - progress: is told how many of the process's pictures are done, from time to time.
  /// - Returns: what all processes have written.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where `folder` holds files already or cannot be created, `.badData` where
  ///   the data set holds tokens itself or no picture that can be read, and `.inputOutput` where writing fails.
  @discardableResult
  public func encode(
    _ dataSet: PictureDataSet, to folder: URL, with processes: EncodingProcesses = .alone,
    picturesPerShard: Int = EncodedPictures.shardLength, progress: (_ done: Int, _ all: Int) -> Void = { _, _ in }
  ) throws(PipelineError) -> EncodingSummary {
    try dataSet.requirePictures()
    precondition(dataSet.pictureSize == pictureSize, "the data set is not opened at the tokenizer's size")
    // Each becomes a shard, so that it does not matter who writes it.
    let blocks = stride(from: 0, to: dataSet.entries.count, by: picturesPerShard)
      .map { $0..<min(dataSet.entries.count, $0 + picturesPerShard) }
    guard processes.rank == 0 else {
      // The folder is there, under the name that the first process gives it.
      let partial = AtomicFolder.partial(of: folder, process: pid_t(processes.sum([0])[0]))
      return try encode(dataSet, blocks, into: partial, with: processes, progress: progress)
    }
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      _ = processes.sum([Double(getpid())])
      let summary = try encode(dataSet, blocks, into: partial, with: processes, progress: progress)
      guard summary.pictures > 0 else {
        throw PipelineError(.badData, "none of the pictures in \(dataSet.url.path) can be read")
      }
      try joinMetadata(ofBlocks: blocks.count, in: partial)
      // Opening it makes its index.
      _ = try PictureDataSet(contentsOf: partial, pictureSize: pictureSize)
      return summary
    }
  }

  private func encode(
    _ dataSet: PictureDataSet, _ blocks: [Range<Int>], into folder: URL, with processes: EncodingProcesses,
    progress: (Int, Int) -> Void
  ) throws(PipelineError) -> EncodingSummary {
    let origin = EncodedPictures.Origin(imageTokenizer: fingerprint, pictureSize: pictureSize, fit: dataSet.fit)
    let own = stride(from: processes.rank, to: blocks.count, by: processes.count)
    let all = own.reduce(0) { $0 + blocks[$1].count }
    var (done, pictures, shards) = (0, 0, 0)
    for number in own {
      let block = blocks[number]
      var metadata = Data()
      var shard: (tokens: [[Int32]], thumbnails: [[UInt8]]) = ([], [])
      for start in stride(from: block.lowerBound, to: block.upperBound, by: Self.picturesAtOnce) {
        let indices = start..<min(block.upperBound, start + Self.picturesAtOnce)
        for (index, encoded) in zip(indices, try encoded(dataSet, indices)) {
          guard let encoded else { continue }
          metadata += try MetadataLine(dataSet.entries[index]).encoded()
          shard.tokens.append(encoded.tokens)
          shard.thumbnails.append(encoded.thumbnail)
        }
        done += indices.count
        progress(done, all)
      }
      if shard.tokens.isEmpty { continue }
      try EncodedPictures.write(
        tokens: shard.tokens, thumbnails: shard.thumbnails, origin: origin,
        to: EncodedPictures.file(ofShard: number, in: folder))
      try AtomicFile.write(metadata, to: metadataFile(ofBlock: number, in: folder))
      (pictures, shards) = (pictures + shard.tokens.count, shards + 1)
    }
    let sums = processes.sum([Double(pictures), Double(shards)])
    return EncodingSummary(
      pictures: Int(sums[0]), tokensPerPicture: reconstructor.tokenizer.tokenCount, shards: Int(sums[1]))
  }

  private func metadataFile(ofBlock number: Int, in folder: URL) -> URL {
    folder.appendingPathComponent("\(MetadataLine.fileName).\(number)")
  }

  private func joinMetadata(ofBlocks count: Int, in folder: URL) throws(PipelineError) {
    // A block of which no picture could be read has none.
    let files = (0..<count).map { metadataFile(ofBlock: $0, in: folder) }
      .filter { FileManager.default.fileExists(atPath: $0.path) }
    // Together they may be larger than memory.
    let parts = try files.map { file throws(PipelineError) in try OpenFile(file).mapped() }
    try AtomicFile.write(
      parts.map { UnsafeRawBufferPointer(start: $0.pointer, count: $0.byteCount) },
      to: folder.appendingPathComponent(MetadataLine.fileName))
    withExtendedLifetime(parts) {}
    for file in files { try? FileManager.default.removeItem(at: file) }
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
