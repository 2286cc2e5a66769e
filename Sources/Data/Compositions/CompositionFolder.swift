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
  }

  /// The most compositions in a folder.
  public static let maximumCount = 10_000_000

  /// Writes the first compositions of a maker as a folder in the imagefolder form, which appears whole at the end.
  /// - Parameters:
  ///   - folder: made whole, or not at all.
  ///   - count: compositions to make.
  ///   - maker: makes them.
  ///   - team: the threads to work on; what is written does not depend on their number.
  ///   - progress: is told how many are done, from time to time.
  /// - Throws: `PipelineError` of kind `.usage` where `count` makes no sense, `.cannotCreate` where `folder` holds files
  ///   already or cannot be created, and `.inputOutput` where writing fails.
  @discardableResult
  public static func write(
    to folder: URL, count: Int, by maker: CompositionMaker, team: ThreadTeam, progress: (Int) -> Void = { _ in }
  ) throws(PipelineError) -> Summary {
    try checkCount(count)
    return try AtomicFolder.make(folder) { (partial) throws(PipelineError) in
      try fill(partial, count: count, by: maker, team: team, progress: progress)
    }
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

  /// Writes compositions into a folder that is there and empty, file by file.
  /// - Parameters:
  ///   - folder: to be filled.
  ///   - count: compositions to make.
  ///   - maker: makes them.
  ///   - team: the threads to work on.
  ///   - progress: is told how many are done.
  /// - Throws: `PipelineError` of kind `.inputOutput` where writing fails.
  @discardableResult
  public static func fill(
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
    // Without syncing each file: it is the folder that appears at once. Compression is most of the work.
    let data = try composition.picture.pngData(compressionLevel: 3)
    do { try data.write(to: folder.appendingPathComponent(name)) } catch {
      throw PipelineError(.inputOutput, "writing \(name) in \(folder.path) failed: \(error.localizedDescription)")
    }
    return MetadataLine(
      fileName: name, texts: [composition.caption] + composition.furtherCaptions, split: composition.split,
      relation: composition.pair.relation)
  }
}
