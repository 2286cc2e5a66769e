import ArrayFiles
import Basics
import Foundation
import LatentModels

/// A model of the ladder as it lies on disk: the safetensors file's metadata say which one it is.
public struct LadderFile: Sendable {
  public let rung: Rung
  public let model: any WritableModel
  private let path: String

  /// - Parameters:
  ///   - url: what `baselines fit` has written.
  ///   - threads: that a model of tokens works on.
  /// - Throws: `PipelineError` of kind `.noInput` where there is no file, `.badData` where it holds no model of the ladder.
  public init(
    contentsOf url: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount
  ) throws(PipelineError) {
    path = url.path
    let file = try SafeTensors(contentsOf: url)
    guard let name = file.metadata["model"], let rung = Rung(rawValue: name) else {
      throw PipelineError(
        .badData, "\(url.path) holds no model of the ladder; make one with: dalle-cli baselines fit MODEL DATA")
    }
    self.rung = rung
    let read = try rung.type.read(file, path: url.path)
    if var tokens = read as? TwoStageModel {
      tokens.threads = threads
      model = tokens
    } else {
      model = read
    }
  }

  /// The model, which has components.
  /// - Throws: `PipelineError` of kind `.usage` where it has none.
  public func clusteringModel() throws(PipelineError) -> any ClusteringModel {
    guard let model = model as? any ClusteringModel else {
      throw PipelineError(.usage, "\(path) is a \(rung.rawValue), which has no components")
    }
    return model
  }

  /// S of the pictures S × S × 3 that the model's rows are.
  /// - Throws: `PipelineError` of kind `.badData` where rows of so many numbers are no pictures.
  public func pictureSide() throws(PipelineError) -> Int {
    let side = Int((Double(model.dimensions) / 3).squareRoot().rounded())
    guard side >= 4, 3 * side * side == model.dimensions else {
      throw PipelineError(
        .badData, "\(path) is a model of rows of \(model.dimensions) numbers, which are no pictures of S×S×3")
    }
    return side
  }
}
