import Basics
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
/// otherwise ``Split/standard(forFileName:)`` decides, which in a small folder can leave `validation` empty. It never leaves
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
  public let entries: [CaptionedPicture]
  /// FNV-1a 64 over file names, captions and splits, in hexadecimal: tells whether a data set is still the one that a
  /// checkpoint was trained on.
  public let fingerprint: String

  private let isStrict: Bool
  private let report: @Sendable (String) -> Void
  /// What an image tokenizer has made of the pictures, in the order of `entries`, where the folder holds that in place of them.
  public let encoded: EncodedPictures?
  /// Nil for a picture of which there are tokens only.
  private let sources: [PictureSource?]
  /// All pictures, or nil where they are decoded when asked for.
  private let decoded: [Picture]?
  private let reported = Mutex<Set<Int>>([])

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
    guard (1...8192).contains(pictureSize) else {
      throw PipelineError(.usage, "a picture size of \(pictureSize) makes no sense; 1 to 8192 pixels are possible")
    }
    let folder = try DataSetFolder(url, captionColumn: captionColumn, isStrict: strict, report: report)
    let encoded = try folder.encodedPictures()
    var items = try folder.items()
    if let encoded {
      guard items.count == encoded.count else {
        throw PipelineError(
          .badData,
          "\(url.path) has captions of \(items.count) pictures and tokens of \(encoded.count): it is not whole; encode it again"
        )
      }
    }
    var pictures: [Picture]?
    if encoded == nil && items.count * pictureSize * pictureSize * 3 <= maximumBytesInMemory {
      let results = Self.decodeAll(items, pictureSize: pictureSize, fit: fit)
      var good: [DataSetFolder.Item] = []
      var squares: [Picture] = []
      for (item, result) in zip(items, results) {
        do throws(PipelineError) {
          squares.append(try result.get())
          good.append(item)
        } catch {
          if strict { throw error }
          report("skipped \(error.message)")
        }
      }
      guard !good.isEmpty else {
        throw PipelineError(
          .badData, "none of the \(items.count) pictures in \(url.path) can be read; \(DataSetFolder.acceptedForms)")
      }
      items = good
      pictures = squares
    }
    var entries = items.map(\.entry)
    if items.allSatisfy({ !$0.namesSplit && $0.entry.split == .validation }) {
      entries = entries.map { $0.moved(to: .train) }
    }
    self.url = url
    self.pictureSize = encoded?.origin.pictureSize ?? pictureSize
    self.fit = encoded?.origin.fit ?? fit
    self.encoded = encoded
    self.entries = entries
    self.fingerprint = Self.fingerprint(of: entries)
    self.isStrict = strict
    self.report = report
    self.sources = items.map(\.source)
    self.decoded = pictures
  }

  /// The positions in `entries` of the pictures of a split, ascending.
  public func indices(of split: Split) -> [Int] { entries.indices.filter { entries[$0].split == split } }

  /// Those of some positions whose pictures are not composed of others.
  package func uncomposed(_ indices: [Int]) -> [Int] { indices.filter { entries[$0].relation == nil } }

  /// The others.
  package func composed(_ indices: [Int]) -> [Int] { indices.filter { entries[$0].relation != nil } }

  /// The forms in which the captions of the train split are read; nil where there are no kinds.
  /// - Parameters:
  ///   - kinds: what may change.
  ///   - wordNet: where synonyms come from; without it, there are none.
  public func forms(_ kinds: [CaptionForms.Kind], wordNet: WordNet? = nil) -> CaptionForms? {
    kinds.isEmpty
      ? nil : CaptionForms(of: entries, indices: indices(of: .train), kinds: Set(kinds), wordNet: wordNet)
  }

  /// The texts of the train split that a vocabulary is learnt from and text lengths are judged by: all captions, and with
  /// `forms` for each picture three that these make of them.
  public func trainingTexts(_ forms: CaptionForms? = nil) -> [String] {
    let indices = indices(of: .train)
    let captions = indices.flatMap { entries[$0].allCaptions }
    guard let forms else { return captions }
    return captions
      + indices.flatMap { index in
        var random = Philox(seed: 0, stream: RandomStream.vocabularyTexts(), counter: UInt64(index) << 8)
        return (0..<3).map { _ in forms.caption(of: index, using: &random) }
      }
  }

  /// Whether all pictures were decoded on opening.
  public var isInMemory: Bool { decoded != nil }

  /// The picture at a position of `entries`, `pictureSize` × `pictureSize`.
  /// - Throws: `PipelineError` where the file turns out to be damaged or gone, or there are tokens only; never where all were
  ///   decoded on opening.
  public func picture(at index: Int) throws(PipelineError) -> Picture {
    if let decoded { return decoded[index] }
    return try source(at: index).picture(name: entries[index].fileName, for: pictureSize).squared(
      side: pictureSize, fit: fit)
  }

  private func source(at index: Int) throws(PipelineError) -> PictureSource {
    guard let source = sources[index] else { throw hasNoPictures }
    return source
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
    try source(at: index).transparentPicture(name: entries[index].fileName, for: pictureSize)
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

  private static func decodeAll(
    _ items: [DataSetFolder.Item], pictureSize: Int, fit: Picture.Fit
  ) -> [Result<Picture, PipelineError>] {
    let count = items.count
    // Each iteration writes an element of its own, so that no lock is needed.
    return [Result<Picture, PipelineError>](unsafeUninitializedCapacity: count) { buffer, initialized in
      nonisolated(unsafe) let results = buffer.baseAddress
      DispatchQueue.concurrentPerform(iterations: count) { i in
        let result: Result<Picture, PipelineError>
        do throws(PipelineError) {
          guard let source = items[i].source else { preconditionFailure("there are tokens only") }
          let picture = try source.picture(name: items[i].entry.fileName, for: pictureSize)
          result = .success(picture.squared(side: pictureSize, fit: fit))
        } catch {
          result = .failure(error)
        }
        results.map { ($0 + i).initialize(to: result) }
      }
      initialized = count
    }
  }

  private static func fingerprint(of entries: [CaptionedPicture]) -> String {
    var hash = FNV1a()
    for entry in entries {
      // A zero after each part, so that no two lists run together to the same bytes.
      for part in [entry.fileName, entry.split.rawValue] + entry.allCaptions { hash.combine(Array(part.utf8) + [0]) }
      hash.combine([UInt8(ascii: "\n")])
    }
    return hash.hexadecimal
  }
}
