import Basics
import Captions
import Foundation
import Imaging
import Lexicon
import Synchronization

/// A folder of captioned pictures.
///
/// Four forms are read; the first one that fits is taken:
/// - What an image tokenizer has made of a data set: ``EncodedPictures``. There are no pictures then, and ``encoded`` has the
///   tokens.
/// - Hugging Face *imagefolder*: one or more `metadata.jsonl`, each line an object with `file_name` (relative to the
///   `metadata.jsonl`), `text` (a string or several; `caption` or `prompt` where there is no `text`), and optionally `split`
///   (`train`, `validation`, `test`) and `keywords` (an array of words, or a string with commas). Several lines with the same
///   file name give that picture several captions. Or `metadata.csv` with these columns.
/// - WebDataset `.tar` shards as img2dataset writes them: `key.jpg`, `key.png` or the like with `key.txt`, or `key.json` that
///   holds `caption`.
/// - Pictures with a `.txt` or `.caption` of the same name beside each, one caption a line, in any subfolders.
///
/// Links to folders are followed, and a folder that is reached twice is read once.
///
/// Where no split is given, the folders in which pictures lie name it where they are called so (`train`, `val`, `test`);
/// otherwise `Split.standard(forFileName:)` decides, which in a small folder can leave `validation` empty. It never leaves
/// `train` empty: then all pictures are `train`.
///
/// What cannot be used (a picture that is damaged or has no caption, a caption without a picture) is named through
/// `report` and left out.
///
/// ```swift
/// let dataSet = try PictureDataSet(contentsOf: URL(filePath: "pictures"), pictureSize: 64) { print($0) }
/// for index in dataSet.indices(of: .validation) {
///   let (caption, picture) = (dataSet.entries[index].captions[0], try dataSet.picture(at: index))
/// }
/// ```
public final class PictureDataSet: Sendable {
  public let url: URL
  /// The side of the squares that ``picture(at:)`` returns, in pixels.
  public let pictureSize: Int
  public let fit: Picture.Fit
  /// Sorted by file name.
  public let entries: CaptionedPictures
  /// FNV-1a 64 over file names, captions and splits, in hexadecimal: tells whether a data set is still the one that a
  /// checkpoint was trained on.
  public var fingerprint: String { entries.fingerprint }

  private let isStrict: Bool
  private let report: @Sendable (String) -> Void
  /// What an image tokenizer has made of the pictures, in the order of `entries`, where the folder holds that in place of them.
  public let encoded: EncodedPictures?
  /// The files of ``entries``' shards.
  private let shards: [URL]
  /// All pictures, or nil where they are decoded when asked for.
  private let decoded: [Picture]?
  /// See ``isStreamed``.
  private let firstOfShards: [Int]?
  private let reported = Mutex<Set<Int>>([])

  /// Sides that pictures may be asked for in, in pixels.
  static let pictureSizes = 1...8192

  /// Opens a data set.
  ///
  /// Where all pictures together take at most `maximumBytesInMemory` at `pictureSize`, they are decoded now, on all
  /// cores, and bad ones are left out of `entries`. Otherwise they are decoded each time they are asked for.
  /// - Parameters:
  ///   - url: the folder.
  ///   - pictureSize: the side of the squares that pictures are brought to, in pixels; where there are tokens only, theirs holds.
  ///   - fit: how pictures that are not square become so.
  ///   - captionColumn: where the captions stand in metadata, in place of `text`, `caption` and `prompt`.
  ///   - strict: throw for what would otherwise be reported and left out.
  ///   - maximumBytesInMemory: of decoded pixels.
  ///   - report: receives one line for each thing that is left out, from any thread, also after opening.
  /// - Throws: `PipelineError` of kind `.noInput` where `url` is not a folder that can be read, `.badData` where it
  ///   holds no usable captioned picture, and `.usage` where `pictureSize` is not positive or there is no `captionColumn`.
  public init(
    contentsOf url: URL, pictureSize: Int, fit: Picture.Fit = .pad, captionColumn: String? = nil, strict: Bool = false,
    maximumBytesInMemory: Int = 512 << 20, report: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(PipelineError) {
    guard Self.pictureSizes.contains(pictureSize) else {
      let most = Self.pictureSizes.upperBound
      throw PipelineError(.usage, "a picture size of \(pictureSize) makes no sense; 1 to \(most) pixels are possible")
    }
    let folder = try DataSetFolder(url, captionColumn: captionColumn, isStrict: strict, report: report)
    let encoded = try folder.encodedPictures()
    var entries = try folder.pictures()
    if let encoded {
      guard entries.count == encoded.count else {
        throw PipelineError(
          .badData,
          "\(url.path) has captions of \(entries.count) pictures and tokens of \(encoded.count): it is not whole; encode it again"
        )
      }
    }
    let shards = entries.shards.map { url.appendingPathComponent($0) }
    var pictures: [Picture]?
    if encoded == nil && entries.count * pictureSize * pictureSize * 3 <= maximumBytesInMemory {
      let all = entries
      let results: [Result<Picture, PipelineError>] = ConcurrentMap.results(all.count) { i in
        let name = all.fileName(at: i)
        let source = PictureSource(all.part(at: i), of: shards, orFile: name, in: url)
        do throws(PipelineError) {
          return .success(try source.picture(name: name, for: pictureSize).squared(side: pictureSize, fit: fit))
        } catch { return .failure(error) }
      }
      var good: [Int] = []
      var squares: [Picture] = []
      for (index, result) in results.enumerated() {
        do throws(PipelineError) {
          squares.append(try result.get())
          good.append(index)
        } catch {
          if strict { throw error }
          report("skipped \(error.message)")
        }
      }
      guard !good.isEmpty else {
        throw PipelineError(
          .badData, "none of the \(entries.count) pictures in \(url.path) can be read; \(DataSetFolder.acceptedForms)")
      }
      if good.count < entries.count { entries = entries.selecting(good) }
      pictures = squares
    }
    if entries.indices.allSatisfy({ [entries] in !entries.namesSplit(at: $0) && entries.split(at: $0) == .validation })
    {
      entries = entries.moved(to: .train)
    }
    self.url = url
    self.pictureSize = encoded?.origin.pictureSize ?? pictureSize
    self.fit = encoded?.origin.fit ?? fit
    self.encoded = encoded
    self.entries = entries
    self.isStrict = strict
    self.report = report
    self.shards = shards
    firstOfShards =
      pictures == nil && entries.count * self.pictureSize * self.pictureSize * 3 > maximumBytesInMemory
      ? Self.firstOfShards(entries, areEncoded: encoded != nil) : nil
    self.decoded = pictures
  }

  /// The positions in `entries` of the pictures of a split, ascending.
  public func indices(of split: Split) -> [Int] { entries.indices.filter { entries.split(at: $0) == split } }

  /// Those of some positions whose pictures are not composed of others.
  package func uncomposed(_ indices: [Int]) -> [Int] { indices.filter { !entries.isComposed(at: $0) } }

  /// The others.
  package func composed(_ indices: [Int]) -> [Int] { indices.filter { entries.isComposed(at: $0) } }

  /// The forms in which the captions of the train split are read; nil where there are no kinds.
  /// - Parameters:
  ///   - kinds: what may change.
  ///   - wordNet: where synonyms come from; without it, there are none.
  public func forms(_ kinds: [CaptionForms.Kind], wordNet: WordNet? = nil) -> CaptionForms? {
    kinds.isEmpty
      ? nil : CaptionForms(of: entries, indices: indices(of: .train), kinds: Set(kinds), wordNet: wordNet)
  }

  /// The texts of the train split that a vocabulary is learnt from and text lengths are judged by: all captions, and with
  /// `forms` for each picture three that these make of them. Of more than 100,000 pictures, those of so many, evenly
  /// spread.
  public func trainingTexts(_ forms: CaptionForms? = nil) -> [String] {
    let indices = indices(of: .train).spread(over: Self.maximumTexts)
    let captions = indices.flatMap { entries[$0].allCaptions }
    guard let forms else { return captions }
    return captions
      + indices.flatMap { index in
        var random = Philox(seed: 0, stream: RandomStream.vocabularyTexts(), counter: UInt64(index) << 8)
        return (0..<3).map { _ in forms.caption(of: index, using: &random) }
      }
  }

  /// Pictures whose captions a vocabulary is learnt from.
  private static let maximumTexts = 100_000

  /// Whether all pictures were decoded on opening.
  public var isInMemory: Bool { decoded != nil }

  /// The picture at a position of `entries`, `pictureSize` × `pictureSize`.
  /// - Throws: `PipelineError` where the file turns out to be damaged or gone, or there are tokens only; never where all were
  ///   decoded on opening.
  public func picture(at index: Int) throws(PipelineError) -> Picture {
    if let decoded { return decoded[index] }
    return try source(at: index).picture(name: entries.fileName(at: index), for: pictureSize).squared(
      side: pictureSize, fit: fit)
  }

  private func source(at index: Int) throws(PipelineError) -> PictureSource {
    try requirePictures()
    return PictureSource(entries.part(at: index), of: shards, orFile: entries.fileName(at: index), in: url)
  }

  /// - Throws: `PipelineError` of kind `.badData` where there are tokens only.
  package func requirePictures() throws(PipelineError) { if encoded != nil { throw hasNoPictures } }

  private var hasNoPictures: PipelineError {
    PipelineError(
      .badData,
      "\(url.path) holds what encode made of pictures, which only train-prior can use; name the folder of the pictures")
  }

  /// The picture at a position of `entries` as its file has it, with its transparency and in its own shape.
  /// - Throws: `PipelineError` where the file is damaged or gone.
  package func transparentPicture(at index: Int) throws(PipelineError) -> TransparentPicture {
    try source(at: index).transparentPicture(name: entries.fileName(at: index), for: pictureSize)
  }

  /// The file of the picture at a position of `entries`, byte by byte.
  /// - Throws: `PipelineError` where it is gone, or there are tokens only.
  package func contents(at index: Int) throws(PipelineError) -> Data {
    try source(at: index).contents(name: entries.fileName(at: index))
  }

  /// The picture, or nil where it is damaged, which is reported once.
  /// - Throws: `PipelineError` for a damaged picture if the data set was opened with `strict`.
  package func pictureIfReadable(at index: Int) throws(PipelineError) -> Picture? {
    do throws(PipelineError) {
      return try picture(at: index)
    } catch {
      if isStrict { throw error }
      if reported.withLock({ $0.insert(index).inserted }) { report("skipped \(error.message)") }
      return nil
    }
  }

  /// At most `count` pictures of a split with their positions in `entries`, evenly spread: in the order of the files, what is
  /// alike stands together. A damaged one is left out, and reported once.
  /// - Throws: `PipelineError` for a damaged picture if the data set was opened with `strict`.
  package func pictures(
    of split: Split, atMost count: Int
  ) throws(PipelineError) -> [(index: Int, picture: Picture)] {
    var pictures: [(index: Int, picture: Picture)] = []
    for index in indices(of: split).spread(over: count) {
      if let picture = try pictureIfReadable(at: index) { pictures.append((index, picture)) }
    }
    return pictures
  }

  // MARK: Streams

  /// Whether the pictures lie in shards and are too many to be kept in memory, so that they are shown in an order in which shards
  /// are read through; see ``StreamOrder``. Of tokens it is said as of the pictures that they were made of, which is how the same
  /// run comes of both.
  package var isStreamed: Bool { firstOfShards != nil }

  /// The positions at which another shard begins, ascending; nil where not all pictures lie in shards, or did when they were encoded.
  private static func firstOfShards(_ entries: CaptionedPictures, areEncoded: Bool) -> [Int]? {
    var firsts: [Int] = []
    var last: (number: Int, name: [UInt8]) = (-1, [])
    for index in entries.indices {
      if let part = entries.part(at: index) {
        if part.shard != last.number { firsts.append(index) }
        last.number = part.shard
      } else {
        guard areEncoded, let name = shardName(in: entries.fileName(at: index)) else { return nil }
        if name != last.name { firsts.append(index) }
        last.name = name
      }
    }
    return firsts
  }

  /// What stands before a shard's ending in the path of a picture; nil where there is none.
  private static func shardName(in path: String) -> [UInt8]? {
    let bytes = Array(path.utf8)
    let ending = Array(".tar/".utf8)
    guard bytes.count > ending.count else { return nil }
    let start = (0...bytes.count - ending.count).first { start in
      zip(bytes[start...], ending).allSatisfy { $0 == $1 || $0 | 0x20 == $1 && $0 >= UInt8(ascii: "A") }
    }
    return start.map { Array(bytes[..<$0]) }
  }

  /// Some positions, ascending, divided by the shards in which the pictures lie.
  package func divided(_ indices: [Int]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    // The shard that the last picture lies in.
    var shard = 0
    let firsts = firstOfShards ?? []
    for (place, index) in indices.enumerated() {
      guard shard + 1 < firsts.count, index >= firsts[shard + 1] else { continue }
      while shard + 1 < firsts.count, index >= firsts[shard + 1] { shard += 1 }
      if place > start { ranges.append(start..<place) }
      start = place
    }
    if start < indices.count { ranges.append(start..<indices.count) }
    return ranges
  }

  /// Has the system read ahead what some pictures of one shard take in it.
  package func willRead(_ indices: some Sequence<Int>) {
    let parts = indices.compactMap(entries.part)
    guard let first = parts.map(\.range.lowerBound).min(), let last = parts.map(\.range.upperBound).max(),
      let shard = parts.first?.shard, last - first < 4 * parts.reduce(0, { $0 + $1.range.count })
    else { return }
    try? OpenFile(shards[shard]).willRead(at: first, byteCount: last - first)
  }
}
