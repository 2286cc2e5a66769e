import ArrayFiles
import Basics
import Foundation
import Imaging
import Synchronization

/// What an image tokenizer has made of a data set's pictures, in place of the pictures: stage 2 needs no more of them.
///
/// On disk, it is the data set's `metadata.jsonl`, one line a picture, and shards `tokens-00000.safetensors` and so on with the
/// pictures in the same order. Each shard has `tokens`, U16 [N, tokens a picture], and `thumbnails`, U8 [N, 32·32·3], by which
/// pictures are looked up; its metadata name the tokenizer.
public struct EncodedPictures: Sendable {
  /// What all shards of a folder have in common.
  public struct Origin: Sendable, Equatable {
    /// The fingerprint of the image tokenizer's file.
    public var imageTokenizer: String
    /// Of the pictures, pixels a side.
    public var pictureSize: Int
    /// How they became square.
    public var fit: Picture.Fit

    public init(imageTokenizer: String, pictureSize: Int, fit: Picture.Fit) {
      (self.imageTokenizer, self.pictureSize, self.fit) = (imageTokenizer, pictureSize, fit)
    }

    private enum Key {
      static let imageTokenizer = "image_tokenizer"
      static let pictureSize = "picture_size"
      static let fit = "fit"
    }

    var metadata: [String: String] {
      [Key.imageTokenizer: imageTokenizer, Key.pictureSize: "\(pictureSize)", Key.fit: fit.rawValue]
    }

    init?(metadata: [String: String]) {
      guard let imageTokenizer = metadata[Key.imageTokenizer],
        let size = metadata[Key.pictureSize].flatMap({ Int($0) }), PictureDataSet.pictureSizes.contains(size),
        let fit = metadata[Key.fit].flatMap(Picture.Fit.init)
      else { return nil }
      self.init(imageTokenizer: imageTokenizer, pictureSize: size, fit: fit)
    }
  }

  public let origin: Origin
  public let tokensPerPicture: Int
  private let shards: [Shard]
  /// Of each shard, and the count of all at the end.
  private let firstRows: [Int]

  private struct Shard: Sendable {
    var tokens: IntegerTable
    /// The file's bytes behind `tokens`.
    var tokenBytes: MappedBytes
    var thumbnails: IntegerTable
    var url: URL
  }

  /// Tokens read since the last pages were given back, so that memory does not grow with the data set.
  private final class Reads: Sendable {
    private let count = Atomic(0)
    private static let most = 8192

    /// - Returns: whether it is time to give pages back.
    func add() -> Bool { count.add(1, ordering: .relaxed).newValue % Self.most == 0 }
  }

  private let reads = Reads()

  /// Pixels a side of what pictures are looked up by.
  package static let thumbnailSide = 32
  /// Pictures a shard at most.
  public static let shardLength = 16_384

  /// - Parameter files: the shards in their order, at least one.
  /// - Throws: `PipelineError` of kind `.badData` where a shard is damaged, empty, or not of the others' kind.
  init(_ files: [URL]) throws(PipelineError) {
    var found: (origin: Origin, tokensPerPicture: Int)?
    var shards: [Shard] = []
    for url in files {
      let file = try SafeTensors(contentsOf: url)
      let shard = Shard(
        tokens: try file.table(Name.tokens), tokenBytes: try file.mapped(Name.tokens),
        thumbnails: try file.table(Name.thumbnails), url: url)
      guard let origin = Origin(metadata: file.metadata), shard.tokens.rowCount > 0,
        shard.tokens.rowCount == shard.thumbnails.rowCount,
        shard.thumbnails.columns == Self.thumbnailSide * Self.thumbnailSide * 3, shard.thumbnails.width == .oneByte
      else { throw PipelineError(.badData, "\(url.path) is no shard of tokens") }
      if let found, found != (origin, shard.tokens.columns) {
        throw PipelineError(.badData, "\(url.path) was made by another tokenizer than the shards before it")
      }
      found = (origin, shard.tokens.columns)
      shards.append(shard)
    }
    guard let found else { preconditionFailure("there is no shard") }
    (origin, tokensPerPicture) = found
    self.shards = shards
    firstRows = shards.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.tokens.rowCount) }
  }

  public var count: Int { firstRows[firstRows.count - 1] }

  /// Looks all tokens through: a damaged one would end training hours later.
  /// - Parameters:
  ///   - codes: of each codebook.
  ///   - codesPerPlace: tokens of a place, each of a codebook of its own.
  /// - Throws: `PipelineError` of kind `.badData` where a token is none of its codebook.
  package func check(codes: Int, codesPerPlace: Int) throws(PipelineError) {
    for shard in shards {
      for row in 0..<shard.tokens.rowCount {
        for (position, token) in shard.tokens[row].enumerated() where Int(token) / codes != position % codesPerPlace {
          throw PipelineError(
            .badData,
            "\(shard.url.path) is damaged: it has the token \(token) where there can be none; encode the pictures again"
          )
        }
      }
      shard.tokenBytes.release()
    }
  }

  /// The tokens of the picture at a position of the data set's `entries`.
  public func tokens(at index: Int) -> [Int32] {
    let (shard, row) = place(of: index)
    if reads.add() { for shard in shards { shard.tokenBytes.release() } }
    return shard.tokens[row]
  }

  /// The picture at 32×32, [32·32·3], 0...255.
  package func thumbnail(at index: Int) -> [UInt8] {
    let (shard, row) = place(of: index)
    return shard.thumbnails[row].map { UInt8($0) }
  }

  private func place(of index: Int) -> (shard: Shard, row: Int) {
    precondition((0..<count).contains(index), "there is no picture \(index) among \(count)")
    // Shards are few.
    let shard = firstRows.lastIndex { $0 <= index } ?? 0
    return (shards[shard], index - firstRows[shard])
  }

  // MARK: Files

  private enum Name {
    static let tokens = "tokens"
    static let thumbnails = "thumbnails"
  }

  /// Whether a file's name is that of a shard.
  static func isShard(_ name: String) -> Bool {
    // Those in a folder below are a data set of their own.
    !name.contains("/") && name.hasPrefix("tokens-") && name.hasSuffix(".safetensors")
  }

  /// The file of a shard in a folder.
  package static func file(ofShard number: Int, in folder: URL) -> URL {
    folder.appendingPathComponent(
      "tokens-\(String(repeating: "0", count: max(0, 5 - "\(number)".count)))\(number).safetensors")
  }

  /// Writes one shard.
  package static func write(
    tokens: [[Int32]], thumbnails: [[UInt8]], origin: Origin, to file: URL
  ) throws(PipelineError) {
    let side = thumbnailSide
    try SafeTensors.write(
      [],
      tables: [
        (Name.tokens, IntegerTable(tokens, columns: tokens.first?.count ?? 0, width: .twoBytes)),
        (
          Name.thumbnails,
          IntegerTable(bytes: thumbnails.reduce(into: Data()) { $0 += $1 }, columns: side * side * 3)
        ),
      ], metadata: origin.metadata, to: file)
  }
}

extension Picture {
  /// The picture by which it is looked up, [32·32·3], 0...255.
  package var thumbnail: [UInt8] {
    let side = EncodedPictures.thumbnailSide
    return resized(width: side, height: side).pixels
  }
}
