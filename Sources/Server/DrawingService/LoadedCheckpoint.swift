import Basics
import Foundation
import Generation

/// A checkpoint in memory and the pictures that are drawn with it. It belongs to the drawing thread.
final class LoadedCheckpoint {
  let name: String
  let url: URL
  /// As the files were when it was read.
  let fingerprint: CheckpointFingerprint
  let model: TextToImageModel
  let session: PictureSession
  /// Whose picture is which of the session's.
  var owners: [PictureSession.ID: (drawing: Drawing, number: Int)] = [:]
  /// When it was asked for, as a number that grows.
  var lastUse = 0

  init(name: String, url: URL, threads: Int) throws(PipelineError) {
    fingerprint = CheckpointFingerprint(of: url)
    model = try TextToImageModel(contentsOf: url, threads: threads)
    // Files of another checkpoint may lie there by the time of the first order.
    try model.readAll()
    // Packs the weights for drawing, so that the drawing thread does not have to.
    session = model.makeSession()
    (self.name, self.url) = (name, url)
  }

  /// Whether it was written to while it was read.
  var isOutdated: Bool { fingerprint != CheckpointFingerprint(of: url) }
}

/// Reads checkpoints on a thread of its own, while others go on drawing.
actor CheckpointLoader {
  private let executor = ThreadExecutor(name: "loading")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  private let threads: Int

  init(threads: Int) { self.threads = threads }

  deinit { executor.end() }

  /// - Throws: `PipelineError` where it is damaged, or was written to in the meantime more than once.
  func load(_ name: String, _ url: URL) throws(PipelineError) -> sending LoadedCheckpoint {
    let loaded = try LoadedCheckpoint(name: name, url: url, threads: threads)
    return loaded.isOutdated ? try LoadedCheckpoint(name: name, url: url, threads: threads) : loaded
  }
}
