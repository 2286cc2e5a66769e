import ArrayFiles
import Basics
import Foundation
import NN
import Optimization
import TensorCore

/// Which stage a training state belongs to.
public enum Stage: String, Sendable {
  case imageTokenizer = "image-tokenizer"
  case upsampler
  case prior
  case ranker

  /// What messages call it.
  var name: String {
    switch self {
    case .imageTokenizer: "image tokenizer"
    case .upsampler: "upsampler"
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
  /// Replicas of the model that share out each batch, one a thread, of all processes.
  package var threads: Int
  /// That train together.
  package var processes = 1
  package var precision: ElementType
  /// Nil for a stage that is built on nothing, and in the states of versions that did not save it.
  package var foundation: Foundation?

  /// The fingerprints of what a stage's model is built on: the ids of another image tokenizer, or of another vocabulary, mean
  /// other things.
  package struct Foundation {
    package var imageTokenizer: String
    /// Nil for a stage that reads no text.
    package var vocabulary: String?

    package init(imageTokenizer: String, vocabulary: String?) {
      (self.imageTokenizer, self.vocabulary) = (imageTokenizer, vocabulary)
    }
  }

  package init(
    stage: Stage, configuration: CheckpointConfiguration, step: Int = 0, seconds: Double = 0,
    settings: TrainingSettings, threads: Int, precision: ElementType
  ) {
    (self.stage, self.configuration, self.step, self.seconds) = (stage, configuration, step, seconds)
    (self.settings, self.threads, self.precision) = (settings, threads, precision)
  }

  /// A model that is trained: its optimizer and its buffers, which are no part of the optimizer's store.
  package struct Trained {
    package var optimizer: AdamW
    package var buffers: [(name: String, buffer: Buffer)]
    /// Stands before its tensors' names; that of the stage's model is empty.
    package var prefix: String

    package init(_ model: some Module, _ optimizer: AdamW, prefix: String = "") {
      (self.optimizer, buffers, self.prefix) = (optimizer, model.namedBuffers(), prefix)
    }

    /// Where the optimizer's steps are counted, which a companion makes fewer of.
    fileprivate var stepKey: String { prefix + "step" }

    fileprivate var tensors: [NamedTensor] {
      let memories = [
        ("weights", optimizer.store.values), ("first_moment", optimizer.firstMoment),
        ("second_moment", optimizer.secondMoment),
      ]
      let all = memories + (optimizer.average.map { [("average", $0)] } ?? [])
      return all.flatMap(named) + buffers.map { ("\(prefix)buffers.\($0.name)", $0.buffer.value) }
    }

    /// What a state may lack: the run that saved it may have had no outer optimizer.
    fileprivate var outerTensors: [NamedTensor] { optimizer.outerMomentum.map { named("outer_momentum", $0) } ?? [] }

    private func named(_ kind: String, _ memory: Tensor) -> [NamedTensor] {
      optimizer.store.named(memory).map { ("\(prefix)\(kind).\($0.name)", $0.tensor) }
    }
  }

  /// - Parameters:
  ///   - trained: the stage's model, then its companions.
  ///   - url: the file.
  package func write(_ trained: [Trained], to url: URL) throws(PipelineError) {
    let configuration = String(decoding: try configuration.json(), as: UTF8.self)
    let steps = Dictionary(trained.map { ($0.stepKey, "\($0.optimizer.step)") }, uniquingKeysWith: { $1 })
    var place = [
      "stage": stage.rawValue, "step": "\(step)", "seconds": "\(seconds)", "threads": "\(threads)",
      "processes": "\(processes)",
      "precision": precision.rawValue, "settings": try settings.json(),
      "configuration": configuration,
    ]
    (place["image_tokenizer"], place["vocabulary"]) = (foundation?.imageTokenizer, foundation?.vocabulary)
    try SafeTensors.write(
      trained.flatMap { $0.tensors + $0.outerTensors }, metadata: place.merging(steps) { own, _ in own }, to: url)
  }

  /// Reads where a run stood; its tensors follow by ``restore(_:from:)``.
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
    var state = TrainingState(
      stage: stage, configuration: try CheckpointConfiguration(json: Data(configuration.utf8), of: url.path),
      step: step, seconds: seconds, settings: settings, threads: threads, precision: precision)
    state.processes = metadata["processes"].flatMap(Int.init) ?? 1
    state.foundation = metadata["image_tokenizer"].map {
      Foundation(imageTokenizer: $0, vocabulary: metadata["vocabulary"])
    }
    return (state, file)
  }

  /// Puts back what was saved of a model.
  /// - Throws: `PipelineError` of kind `.badData` where the file holds no such model.
  package func restore(_ trained: Trained, from file: SafeTensors) throws(PipelineError) {
    guard let step = file.metadata[trained.stepKey].flatMap(Int.init) else {
      throw PipelineError(.badData, "the training state does not say at which step \(trained.stepKey) stood")
    }
    let stored = Set(file.names)
    for (name, tensor) in trained.tensors + trained.outerTensors.filter({ stored.contains($0.name) }) {
      try file.read(name, into: tensor)
    }
    trained.optimizer.resume(at: step)
  }
}

extension TrainingSettings {
  /// As they are saved.
  package func json() throws(PipelineError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let json = try? encoder.encode(self) else {
      throw PipelineError(.inputOutput, "cannot describe the settings of the run")
    }
    return String(decoding: json, as: UTF8.self)
  }
}

extension TrainingState {
  /// What `config.json` tells of the run.
  /// - Parameters:
  ///   - epochs: that it has come through.
  ///   - validation: the loss or the like of held-out pictures.
  ///   - retrieval: of drawings, in the course of it.
  package func summary(
    epochs: Double, validation: Double?, retrieval: CheckpointConfiguration.RetrievalProgress? = nil
  ) -> CheckpointConfiguration.TrainingSummary {
    CheckpointConfiguration.TrainingSummary(
      steps: step, epochs: (100 * epochs).rounded() / 100,
      minutes: (seconds / 6).rounded() / 10, threads: threads, precision: precision, engine: Engine.name,
      settings: settings, validation: validation, retrieval: retrieval)
  }
}
