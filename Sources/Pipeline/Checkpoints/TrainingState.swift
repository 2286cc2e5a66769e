import ArrayFiles
import Basics
import Foundation
import NN
import Optimization
import TensorCore

/// Which stage a training state belongs to.
public enum Stage: String, Sendable {
  case imageTokenizer = "image-tokenizer"
  case prior
  case ranker

  /// What messages call it.
  var name: String {
    switch self {
    case .imageTokenizer: "image tokenizer"
    case .prior: "prior"
    case .ranker: "ranker"
    }
  }
}

/// The training state on disk: weights, moments, average, buffers, where the run stood, and what `config.json` says.
/// With it a run goes on bit for bit as if it had not been interrupted, whichever of the checkpoint's files a kill kept
/// from being written.
package struct TrainingState {
  package var stage: Stage
  package var configuration: CheckpointConfiguration
  package var step = 0
  /// Time spent training so far, over all parts of the run.
  package var seconds = 0.0
  package var settings: TrainingSettings
  package var threads: Int
  package var precision: ElementType

  package init(
    stage: Stage, configuration: CheckpointConfiguration, step: Int = 0, seconds: Double = 0,
    settings: TrainingSettings, threads: Int, precision: ElementType
  ) {
    (self.stage, self.configuration, self.step, self.seconds) = (stage, configuration, step, seconds)
    (self.settings, self.threads, self.precision) = (settings, threads, precision)
  }

  /// - Parameter buffers: the model's; they are no part of the store.
  package func write(_ optimizer: AdamW, buffers: [(name: String, buffer: Buffer)], to url: URL) throws(PipelineError) {
    let store = optimizer.store
    var tensors: [(name: String, tensor: Tensor)] = []
    func add(_ prefix: String, _ memory: Tensor?) {
      guard let memory else { return }
      tensors += store.named(memory).map { ("\(prefix).\($0.name)", $0.tensor) }
    }
    add("weights", store.values)
    add("first_moment", optimizer.firstMoment)
    add("second_moment", optimizer.secondMoment)
    add("average", optimizer.average)
    tensors += buffers.map { ("buffers.\($0.name)", $0.buffer.value) }
    guard let json = try? JSONEncoder().encode(settings) else {
      throw PipelineError(.inputOutput, "cannot describe the training state")
    }
    let configuration = String(decoding: try configuration.json(), as: UTF8.self)
    try SafeTensors.write(
      tensors,
      metadata: [
        "stage": stage.rawValue, "step": "\(step)", "seconds": "\(seconds)", "threads": "\(threads)",
        "precision": precision.rawValue, "settings": String(decoding: json, as: UTF8.self),
        "configuration": configuration,
      ], to: url)
  }

  /// Reads where a run stood; its tensors follow by ``restore(_:buffers:from:)``.
  package static func read(from url: URL, stage: Stage) throws(PipelineError) -> (
    state: TrainingState, file: SafeTensors
  ) {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw PipelineError(
        .noInput, "there is nothing to resume: \(url.path) does not exist; leave `resume` out to begin")
    }
    let file = try SafeTensors(contentsOf: url)
    let metadata = file.metadata
    guard let stored = metadata["stage"].flatMap(Stage.init), let step = metadata["step"].flatMap(Int.init),
      let seconds = metadata["seconds"].flatMap(Double.init), let threads = metadata["threads"].flatMap(Int.init),
      let precision = metadata["precision"].flatMap(ElementType.init), let json = metadata["settings"],
      let settings = try? JSONDecoder().decode(TrainingSettings.self, from: Data(json.utf8)),
      let configuration = metadata["configuration"], step >= 0, seconds >= 0
    else { throw PipelineError(.badData, "\(url.path) is not a training state that this version can resume") }
    guard stored == stage else {
      throw PipelineError(
        .usage,
        "there is nothing to resume: \(url.path) is the \(stored.name)'s state, not the \(stage.name)'s; "
          + "leave `resume` out to begin")
    }
    let state = TrainingState(
      stage: stage, configuration: try CheckpointConfiguration(json: Data(configuration.utf8), of: url.path),
      step: step, seconds: seconds, settings: settings, threads: threads, precision: precision)
    return (state, file)
  }

  package func restore(
    _ optimizer: AdamW, buffers: [(name: String, buffer: Buffer)], from file: SafeTensors
  ) throws(PipelineError) {
    let store = optimizer.store
    func restore(_ prefix: String, _ memory: Tensor?) throws(PipelineError) {
      guard let memory else { return }
      for (name, tensor) in store.named(memory) { try file.read("\(prefix).\(name)", into: tensor) }
    }
    try restore("weights", store.values)
    try restore("first_moment", optimizer.firstMoment)
    try restore("second_moment", optimizer.secondMoment)
    try restore("average", optimizer.average)
    for (name, buffer) in buffers { try file.read("buffers.\(name)", into: buffer.value) }
    optimizer.resume(at: step)
  }
}

extension TrainingState {
  /// What `config.json` tells of the run.
  package func summary(
    batchSize: Int, pictures: Int, validation: Double?, retrieval: CheckpointConfiguration.RetrievalProgress? = nil
  ) -> CheckpointConfiguration.TrainingSummary {
    CheckpointConfiguration.TrainingSummary(
      steps: step, epochs: (100 * Double(step * batchSize) / Double(pictures)).rounded() / 100,
      minutes: (seconds / 6).rounded() / 10, threads: threads, precision: precision, engine: Engine.name,
      settings: settings, validation: validation, retrieval: retrieval)
  }
}
