import Basics
import Checkpoints
import Decoding
import Foundation
import Imaging
import Synchronization

/// What can be drawn with, as it is told to those who ask.
package struct CheckpointDescription: Sendable, Equatable {
  /// The name of its folder.
  package var name: String
  /// When its `config.json` was written.
  package var created: Date
  /// Pixels a side.
  package var pictureSize: Int
  /// How pictures of another shape are made square.
  package var fit: Picture.Fit
  /// Places of image tokens a side.
  package var gridSide: Int
  package var codesPerPlace: Int
  package var hasRanker: Bool
  /// How it draws where nothing is said.
  package var sampling: SamplingOptions
  package var isDefault: Bool
}

/// The checkpoints that a server draws with: the default one, and the others that lie in one folder with checkpoints.
///
/// A name that somebody asks for is compared with the names that are there, and no path is made of it.
package struct CheckpointCatalogue: Sendable {
  private let standard: URL
  private let folder: URL?
  private let known = KnownDescriptions()

  /// - Parameters:
  ///   - standard: the folder of the default checkpoint.
  ///   - folder: one with folders of others; nil where there are none.
  package init(standard: URL, others folder: URL? = nil) {
    self.standard = standard.standardizedFileURL
    self.folder = folder
  }

  /// The default checkpoint's.
  package var standardName: String { standard.lastPathComponent }

  /// Complete checkpoints by their names, the default one first, the others in the order of their names.
  var folders: [(name: String, url: URL)] {
    var found = [(standardName, standard)]
    guard let folder, let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
      return found
    }
    for name in names.sorted() where name != standardName && !name.hasPrefix(".") {
      let url = folder.appendingPathComponent(name)
      if Checkpoint(url).isComplete { found.append((name, url)) }
    }
    return found
  }

  /// - Parameter name: nil for the default.
  func folder(named name: String?) -> (name: String, url: URL)? {
    name == nil || name == standardName ? (standardName, standard) : folders.first { $0.name == name }
  }

  /// Of those that are loaded or can be read, the default one first, the others in the order of their names.
  package var descriptions: [CheckpointDescription] {
    let names = Set(folders.map(\.name) + known.loadedNames).subtracting([standardName]).sorted()
    return ([standardName] + names).compactMap(description)
  }

  /// - Parameter name: nil for the default.
  /// - Returns: nil where there is none of that name that is loaded or can be read.
  package func description(of name: String?) -> CheckpointDescription? {
    // What is loaded draws, whatever has become of its files since: they may be those of a run that has just begun.
    known.loaded(name ?? standardName) ?? folder(named: name).flatMap { describe($0.name, $0.url) }
  }

  /// Says that a checkpoint is loaded, maybe in the place of one of the same name.
  func hasLoaded(_ checkpoint: LoadedCheckpoint) {
    known.load(describe(checkpoint.name, Checkpoint(checkpoint.url), checkpoint.model.configuration), checkpoint.name)
  }

  func hasDropped(_ name: String) { known.load(nil, name) }

  private func describe(_ name: String, _ url: URL) -> CheckpointDescription? {
    let print = CheckpointFingerprint(of: url)
    if let description = known.find(name, print) { return description }
    let checkpoint = Checkpoint(url)
    guard let configuration = try? checkpoint.readConfiguration(),
      let description = describe(name, checkpoint, configuration)
    else { return nil }
    known.keep(description, print)
    return description
  }

  private func describe(
    _ name: String, _ checkpoint: Checkpoint, _ configuration: CheckpointConfiguration
  ) -> CheckpointDescription? {
    guard let tokenizer = configuration.imageTokenizer, let pictureSize = configuration.pictureSize,
      let prior = configuration.prior, let gridSide = tokenizer.layout.gridSides.last
    else { return nil }
    let attributes = try? FileManager.default.attributesOfItem(atPath: checkpoint.configurationFile.path)
    return CheckpointDescription(
      name: name, created: attributes?[.modificationDate] as? Date ?? .now, pictureSize: pictureSize,
      fit: configuration.data?.fit ?? .pad,
      gridSide: gridSide, codesPerPlace: tokenizer.layout.codesPerPlace,
      hasRanker: configuration.ranker != nil && checkpoint.hasRanker, sampling: prior.sampling,
      isDefault: name == standardName)
  }
}

/// Descriptions of what is loaded, and those that were read, for as long as the files are as they were: `config.json` has all
/// words of the captions.
private final class KnownDescriptions: Sendable {
  private let found = Mutex<[String: (print: CheckpointFingerprint, description: CheckpointDescription)]>([:])
  private let inMemory = Mutex<[String: CheckpointDescription]>([:])

  func loaded(_ name: String) -> CheckpointDescription? { inMemory.withLock { $0[name] } }
  var loadedNames: [String] { inMemory.withLock { Array($0.keys) } }
  func load(_ description: CheckpointDescription?, _ name: String) { inMemory.withLock { $0[name] = description } }

  func find(_ name: String, _ print: CheckpointFingerprint) -> CheckpointDescription? {
    found.withLock { $0[name].flatMap { $0.print == print ? $0.description : nil } }
  }

  func keep(_ description: CheckpointDescription, _ print: CheckpointFingerprint) {
    found.withLock { $0[description.name] = (print, description) }
  }
}

/// What the system says of a checkpoint's files: another one where one of them was replaced, and nothing is read for it.
struct CheckpointFingerprint: Sendable, Equatable {
  private struct File: Sendable, Equatable {
    var number: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int
  }

  private var files: [File?]

  init(of url: URL) {
    let checkpoint = Checkpoint(url)
    let files = [
      checkpoint.configurationFile, checkpoint.imageTokenizerFile, checkpoint.upsamplerFile, checkpoint.priorFile,
      checkpoint.rankerFile, checkpoint.vocabularyFile, checkpoint.captionsFile, checkpoint.nounsFile,
    ]
    self.files = files.map { file in
      var status = stat()
      guard stat(file.path, &status) == 0 else { return nil }
      #if os(Linux)
        let time = status.st_mtim
      #else
        let time = status.st_mtimespec
      #endif
      return File(
        number: UInt64(status.st_ino), size: Int64(status.st_size), seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }
  }
}
