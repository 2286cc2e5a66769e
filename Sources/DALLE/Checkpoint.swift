import Foundation
import LatentModels
import NN
import Priors
import TensorCore
import TextTokenizer

/// A checkpoint's folder: the names of its files, and reading and writing them.
public struct Checkpoint: Sendable {
  public let url: URL

  public init(_ url: URL) { self.url = url }

  public var configurationFile: URL { url.appendingPathComponent("config.json") }
  public var imageTokenizerFile: URL { url.appendingPathComponent("image-tokenizer.safetensors") }
  public var priorFile: URL { url.appendingPathComponent("prior.safetensors") }
  public var vocabularyFile: URL { url.appendingPathComponent("vocabulary.json") }
  public var trainingStateFile: URL { url.appendingPathComponent("training-state.safetensors") }
  public var modelCardFile: URL { url.appendingPathComponent("README.md") }
  public var logFolder: URL { url.appendingPathComponent("log") }

  public var hasImageTokenizer: Bool { exists(imageTokenizerFile) }
  public var hasPrior: Bool { exists(priorFile) && exists(vocabularyFile) }
  public var isComplete: Bool { exists(configurationFile) && hasImageTokenizer && hasPrior }

  func exists(_ file: URL) -> Bool { FileManager.default.fileExists(atPath: file.path) }

  // MARK: - Reading

  /// - Throws: `PipelineError` of kind `.noInput` where there is no `config.json`, `.badData` where it is not one.
  public func readConfiguration() throws(PipelineError) -> CheckpointConfiguration {
    guard exists(url) else { throw PipelineError(.noInput, "there is no checkpoint \(url.path)") }
    guard let data = FileManager.default.contents(atPath: configurationFile.path) else {
      throw PipelineError(.noInput, "\(url.path) is no checkpoint: it has no config.json that can be read")
    }
    let configuration: CheckpointConfiguration
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      configuration = try decoder.decode(CheckpointConfiguration.self, from: data)
    } catch let error as PipelineError {
      throw PipelineError(error.kind, "\(configurationFile.path): \(error.message)")
    } catch {
      throw PipelineError(
        .badData, "\(configurationFile.path) is not a checkpoint's configuration: \(Self.explain(error))")
    }
    guard configuration.formatVersion == 1 else {
      throw PipelineError(
        .badData, "\(configurationFile.path) has the format version \(configuration.formatVersion); 1 is known")
    }
    try configuration.imageTokenizer?.validate()
    if let c = configuration.prior {
      guard (1...4096).contains(c.textLength), (1...256).contains(c.gridSide),
        (1...10_000_000).contains(c.textVocabulary), (2...(1 << 20)).contains(c.imageVocabulary),
        (1...16384).contains(c.width), (1...256).contains(c.layers), c.heads > 0, c.width % c.heads == 0
      else { throw PipelineError(.badData, "\(configurationFile.path): the prior's shape makes no sense: \(c)") }
    }
    return configuration
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" is of the wrong type"
    case DecodingError.dataCorrupted(let context): context.debugDescription
    default: "\(error)"
    }
  }

  /// - Throws: `PipelineError` where the stage 1 model is missing, damaged, or not what `config.json` says.
  public func readImageTokenizer(_ configuration: CheckpointConfiguration) throws(PipelineError) -> any ImageTokenizer {
    guard hasImageTokenizer, let description = configuration.imageTokenizer else {
      throw PipelineError(
        .noInput, "\(url.path) has no image tokenizer yet; train one with: dalle-cli train-tokenizer")
    }
    let model = description.makeModel(seed: 0)
    try SafeTensors(contentsOf: imageTokenizerFile).read(into: model)
    return model
  }

  /// - Throws: `PipelineError` where the stage 2 model is missing, damaged, or does not fit `config.json`.
  public func readPrior(_ configuration: CheckpointConfiguration) throws(PipelineError) -> TransformerPrior {
    guard hasPrior, let description = configuration.prior else {
      throw PipelineError(.noInput, "\(url.path) has no prior yet; train one with: dalle-cli train-prior")
    }
    let model = TransformerPrior(description, seed: 0)
    try SafeTensors(contentsOf: priorFile).read(into: model)
    return model
  }

  public func readVocabulary() throws(PipelineError) -> BytePairEncoding {
    guard exists(vocabularyFile) else {
      throw PipelineError(.noInput, "\(url.path) has no vocabulary.json; train one with: dalle-cli train-vocabulary")
    }
    return try BytePairEncoding(contentsOf: vocabularyFile)
  }

  // MARK: - Writing

  public func write(_ configuration: CheckpointConfiguration) throws(PipelineError) {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do { data = try encoder.encode(configuration) } catch {
      throw PipelineError(.inputOutput, "cannot write \(configurationFile.path): \(error)")
    }
    try AtomicFile.write(data, to: configurationFile)
  }

  /// Makes the folder and makes sure that files can be written to it, before hours are spent on what they will hold.
  public func create() throws(PipelineError) {
    try AtomicFile.createDirectory(logFolder)
    let probe = url.appendingPathComponent(".probe")
    try AtomicFile.write(Data(), to: probe)
    try? FileManager.default.removeItem(at: probe)
  }

  /// Moves files that a new training run is going to replace to the folder `previous`, in place of what is there.
  /// - Returns: whether there was anything to move.
  func setAside(_ files: [URL]) throws(PipelineError) -> Bool {
    let present = files.filter(exists)
    if present.isEmpty { return false }
    let previous = url.appendingPathComponent("previous")
    try AtomicFile.createDirectory(previous)
    for file in present {
      let target = previous.appendingPathComponent(file.lastPathComponent)
      do {
        if exists(target) { try FileManager.default.removeItem(at: target) }
        try FileManager.default.moveItem(at: file, to: target)
      } catch {
        throw PipelineError(.cannotCreate, "cannot move \(file.path) to \(target.path)")
      }
    }
    return true
  }
}
