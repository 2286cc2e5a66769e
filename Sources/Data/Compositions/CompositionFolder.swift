import Basics
import Datasets
import Foundation

/// Compositions as a data set on disk.
public enum CompositionFolder {
  /// What was written.
  public struct Summary: Sendable, Equatable, Codable {
    /// Pictures written; the sum of the next three.
    public var pictures = 0
    public var train = 0
    public var validation = 0
    public var test = 0
    /// Pictures of each relation, by its name.
    public var relations: [String: Int] = [:]
    /// Pictures that are not composed, beside those; nil where there are none.
    public var originals: Int?
  }

  /// The folder of the compositions in a data set that has other pictures, too.
  private static let subfolder = "compositions"
  /// The most compositions in a folder.
  public static let maximumCount = 10_000_000

  /// Writes the first compositions of a maker as a folder in the imagefolder form, which appears whole at the end.
  /// - Parameters:
  ///   - folder: made whole, or not at all.
  ///   - count: compositions to make.
  ///   - maker: makes them.
  ///   - team: the threads to work on; what is written does not depend on their number.
  ///   - withOriginals: whether the pictures that the maker's things are from, and all others of their data set, are copied beside
  ///     them: a model that is to draw a thing alone has to see it alone.
  ///   - progress: is told how many are done, from time to time.
  /// - Throws: `PipelineError` of kind `.usage` where `count` makes no sense, `.cannotCreate` where `folder` holds files
  ///   already or cannot be created, `.badData` where an original lies where the compositions are to, and `.inputOutput` where
  ///   writing fails.
  @discardableResult
  public static func write(
    to folder: URL, count: Int, by maker: CompositionMaker, team: ThreadTeam, withOriginals: Bool = false,
    progress: (Int) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    try checkCount(count)
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      guard withOriginals else { return try fill(partial, count: count, by: maker, team: team, progress: progress) }
      let originals = try copyOriginals(of: maker.dataSet, to: partial)
      var summary = try add(to: partial, count: count, by: maker, team: team, progress: progress)
      summary.originals = originals
      return summary
    }
  }

  /// Refuses a folder whose captions would hide those of the pictures around it, which have theirs in files beside them or in shards.
  /// - Parameters:
  ///   - folder: to be made.
  ///   - source: the data set's that compositions are to be made of.
  /// - Throws: `PipelineError` of kind `.usage`.
  public static func checkPlace(_ folder: URL, besides source: URL) throws(PipelineError) {
    let (inner, outer) = (folder.standardizedFileURL.path, source.standardizedFileURL.path)
    guard inner.hasPrefix(outer + "/"),
      !MetadataLine.fileNames.contains(where: {
        FileManager.default.fileExists(atPath: source.appendingPathComponent($0).path)
      })
    else { return }
    throw PipelineError(
      .usage,
      "\(inner) lies in \(outer), whose captions would no longer be read; name a folder outside, for both of them "
        + "with `withOriginals`")
  }

  /// - Parameters:
  ///   - count: of compositions.
  ///   - setting: what the message calls it.
  /// - Throws: `PipelineError` of kind `.usage` where so many cannot be made.
  public static func checkCount(_ count: Int, setting: String = "count") throws(PipelineError) {
    guard (1...maximumCount).contains(count) else {
      throw PipelineError(.usage, "`\(setting)` must be 1 to \(maximumCount), not \(count)")
    }
  }

  /// Writes compositions file by file into a folder of their own in that of a data set whose other pictures are there already.
  /// - Parameters:
  ///   - folder: the data set's.
  ///   - count: compositions to make.
  ///   - maker: makes them.
  ///   - team: the threads to work on.
  ///   - progress: is told how many are done.
  /// - Throws: `PipelineError` of kind `.inputOutput` where writing fails.
  public static func add(
    to folder: URL, count: Int, by maker: CompositionMaker, team: ThreadTeam, progress: (Int) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    let target = folder.appendingPathComponent(subfolder)
    try AtomicFile.createDirectory(target)
    return try fill(target, count: count, by: maker, team: team, progress: progress)
  }

  /// Copies the pictures of a data set that are not composed, with all that is said of them.
  /// - Returns: how many there are.
  private static func copyOriginals(of dataSet: PictureDataSet, to folder: URL) throws(PipelineError) -> Int {
    var metadata = Data()
    let indices = dataSet.uncomposed(Array(dataSet.entries.indices))
    for index in indices {
      let entry = dataSet.entries[index]
      guard !entry.fileName.hasPrefix("\(subfolder)/") else {
        throw PipelineError(
          .badData,
          "\(dataSet.url.path) has pictures in a folder \(subfolder), where those that are composed are to lie; rename it"
        )
      }
      let file = folder.appendingPathComponent(entry.fileName)
      try AtomicFile.createDirectory(file.deletingLastPathComponent())
      try AtomicFolder.write(dataSet.contents(at: index), to: file)
      metadata += try MetadataLine(entry).encoded()
    }
    try AtomicFile.write(metadata, to: folder.appendingPathComponent(MetadataLine.fileName))
    return indices.count
  }

  private static func fill(
    _ folder: URL, count: Int, by maker: CompositionMaker, team: ThreadTeam, progress: (Int) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    var summary = Summary()
    var metadata = Data()
    // Few at a time, so that no more than their lines is kept.
    for start in stride(from: 0, to: count, by: 512) {
      let lines = try team.throwingMap(min(512, count - start)) { (i) throws(PipelineError) in
        try write(start + i, of: maker, to: folder)
      }
      for line in lines {
        metadata += try line.encoded()
        summary.pictures += 1
        switch line.split {
        case .train: summary.train += 1
        case .validation: summary.validation += 1
        case .test: summary.test += 1
        }
        if let relation = line.relation { summary.relations[relation, default: 0] += 1 }
      }
      progress(summary.pictures)
    }
    try AtomicFile.write(metadata, to: folder.appendingPathComponent(MetadataLine.fileName))
    return summary
  }

  private static func write(
    _ index: Int, of maker: CompositionMaker, to folder: URL
  ) throws(PipelineError) -> MetadataLine {
    let composition = try maker.composition(at: index)
    let digits = String(index)
    let name = "c\(String(repeating: "0", count: max(0, 7 - digits.count)))\(digits).png"
    // Compression is most of the work.
    try AtomicFolder.write(
      composition.picture.pngData(compressionLevel: 3), to: folder.appendingPathComponent(name))
    return MetadataLine(
      fileName: name, texts: [composition.caption] + composition.furtherCaptions, split: composition.split,
      relation: composition.pair.relation)
  }
}
