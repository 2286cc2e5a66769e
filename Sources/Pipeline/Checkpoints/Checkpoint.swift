import ArrayFiles
import Basics
import Foundation
import ImageTokenizers
import PretrainedTokenizers
import Priors
import Rankers
import TextTokenizer

/// A checkpoint's folder: the names of its files, and reading and writing them.
public struct Checkpoint: Sendable {
  public let url: URL

  public init(_ url: URL) { self.url = url }

  public var configurationFile: URL { url.appendingPathComponent("config.json") }
  public var imageTokenizerFile: URL { url.appendingPathComponent("image-tokenizer.safetensors") }
  /// What makes the tokenizer's pictures larger; not there where they are as large as it decodes them.
  public var upsamplerFile: URL { url.appendingPathComponent("upsampler.safetensors") }
  public var priorFile: URL { url.appendingPathComponent("prior.safetensors") }
  public var rankerFile: URL { url.appendingPathComponent("ranker.safetensors") }
  public var vocabularyFile: URL { url.appendingPathComponent("vocabulary.json") }
  /// What the prior's training captions say; see `TextToImageModel.familiarity(of:)`.
  public var captionsFile: URL { url.appendingPathComponent("captions.txt") }
  /// For nouns that the captions do not have the nearest ones that they have; see
  /// `TextToImageModel.replacingUnseenNouns(in:)`. Not there where the prior was trained without WordNet.
  public var nounsFile: URL { url.appendingPathComponent("nouns.txt") }
  public var trainingStateFile: URL { url.appendingPathComponent("training-state.safetensors") }
  public var modelCardFile: URL { url.appendingPathComponent("README.md") }
  /// A picture that the model card shows, where there is one.
  public var galleryFile: URL { url.appendingPathComponent("gallery.png") }
  public var logFolder: URL { url.appendingPathComponent("log") }
  /// Where a new run puts what it replaces: a checkpoint of its own.
  public var previousFolder: URL { url.appendingPathComponent("previous") }

  /// All files, the log apart.
  package var files: [URL] {
    [
      configurationFile, imageTokenizerFile, upsamplerFile, priorFile, rankerFile, vocabularyFile, captionsFile,
      nounsFile,
      trainingStateFile, modelCardFile, galleryFile,
    ]
  }

  public var hasImageTokenizer: Bool { exists(imageTokenizerFile) }
  public var hasVocabulary: Bool { exists(vocabularyFile) }
  public var hasPrior: Bool { exists(priorFile) && hasVocabulary }
  public var hasRanker: Bool { exists(rankerFile) && hasVocabulary }
  public var isComplete: Bool { exists(configurationFile) && hasImageTokenizer && hasPrior }

  package func exists(_ file: URL) -> Bool { FileManager.default.fileExists(atPath: file.path) }

  // MARK: - Reading

  /// The largest `config.json` that is read; the captions' words take most of it.
  private static let largestConfigurationInBytes = 256 << 20

  /// - Throws: `PipelineError` of kind `.noInput` where there is no `config.json`, `.badData` where it is not one.
  public func readConfiguration() throws(PipelineError) -> CheckpointConfiguration {
    try finishSave()
    guard exists(url) else { throw PipelineError(.noInput, "there is no checkpoint \(url.path)") }
    guard exists(configurationFile) else {
      throw PipelineError(.noInput, "\(url.path) is no checkpoint: it has no config.json")
    }
    return try CheckpointConfiguration(
      json: InputFile.contents(of: configurationFile, maximumByteCount: Self.largestConfigurationInBytes),
      of: configurationFile.path)
  }

  /// What `config.json` said when the training state was saved; `config.json` itself may be older after a kill.
  /// - Throws: `PipelineError` of kind `.noInput` where there is no training state of the image tokenizer's, `.badData`
  ///   where it is damaged, `.usage` where it is the prior's.
  public func readConfigurationOfImageTokenizerTraining() throws(PipelineError) -> CheckpointConfiguration {
    try readTrainingState(of: .imageTokenizer).state.configuration
  }

  /// The same of the upsampler's.
  public func readConfigurationOfUpsamplerTraining() throws(PipelineError) -> CheckpointConfiguration {
    try readTrainingState(of: .upsampler).state.configuration
  }

  /// Where a run stood; see `TrainingState.read(from:stage:)`.
  package func readTrainingState(of stage: Stage) throws(PipelineError) -> (state: TrainingState, file: SafeTensors) {
    try finishSave()
    return try TrainingState.read(from: trainingStateFile, stage: stage)
  }

  /// Refuses to make a model of far more parameters than the file with its weights can hold: what `config.json` says must
  /// not decide alone how much memory is asked for. A smaller difference is told when the tensors are read.
  package func check(_ leastParameterCount: Int, fits file: URL) throws(PipelineError) {
    let size = try InputFile.byteCount(of: file)
    // The smallest elements have two bytes: this is twice what the file can hold.
    guard leastParameterCount <= size else {
      throw PipelineError(
        .badData,
        "\(configurationFile.path) describes a model of at least \(leastParameterCount) parameters, "
          + "more than \(file.lastPathComponent) holds in \(size) bytes")
    }
  }

  /// - Throws: `PipelineError` of kind `.badData` where the stages do not speak of the same tokens.
  package func checkBelongTogether(
    _ prior: any PriorConfiguration, _ imageTokenizer: any ImageTokenizer, _ vocabulary: any TextEncoder
  ) throws(PipelineError) {
    try check(
      "the prior",
      [
        ("text pieces", prior.textVocabulary, vocabulary.vocabularySize),
        ("image tokens", prior.imageVocabulary, imageTokenizer.codeCount),
        ("image tokens a place", prior.codesPerPlace, imageTokenizer.codesPerPlace),
        ("image tokens a picture", prior.imageLength, imageTokenizer.tokenCount),
      ])
  }

  /// - Throws: `PipelineError` of kind `.badData` where the ranker speaks of other texts or pictures.
  package func checkBelongTogether(
    _ ranker: Ranker.Configuration, _ imageTokenizer: any ImageTokenizer, _ vocabulary: any TextEncoder
  ) throws(PipelineError) {
    try check(
      "the ranker",
      [
        ("text pieces", ranker.textVocabulary, vocabulary.vocabularySize)
      ])
    guard imageTokenizer.pictureSize % ranker.pictureSize == 0 else {
      throw PipelineError(
        .badData,
        "the parts of the checkpoint \(url.path) do not belong together: the ranker was made for \(ranker.pictureSize) "
          + "pixels a side, and there are \(imageTokenizer.pictureSize)")
    }
  }

  private func check(_ part: String, _ sizes: [(what: String, expected: Int, found: Int)]) throws(PipelineError) {
    for (what, expected, found) in sizes where expected != found {
      throw PipelineError(
        .badData,
        "the parts of the checkpoint \(url.path) do not belong together: "
          + "\(part) was made for \(expected) \(what), and there are \(found)")
    }
  }

  /// - Parameters:
  ///   - configuration: of this checkpoint.
  ///   - pictureSize: pixels a side, where the model leaves the choice; its own unless given.
  /// - Throws: `PipelineError` where the stage 1 model is missing, damaged, or not what `config.json` says.
  public func readImageTokenizer(
    _ configuration: CheckpointConfiguration, pictureSize: Int? = nil
  ) throws(PipelineError) -> any ImageTokenizer {
    let description = try imageTokenizer(configuration, pictureSize: pictureSize)
    try check(description.leastParameterCount, fits: imageTokenizerFile)
    return try description.makeModel(reading: SafeTensors(contentsOf: imageTokenizerFile))
  }

  /// Stage 1 as pictures are drawn with it: with the upsampler behind its decoder, where the checkpoint has one.
  /// - Throws: `PipelineError` where one of the two is missing, damaged, or not what `config.json` says.
  public func readUpsampledImageTokenizer(
    _ configuration: CheckpointConfiguration
  ) throws(PipelineError) -> any ImageTokenizer {
    let imageTokenizer = try readImageTokenizer(configuration)
    guard let description = configuration.upsampler else { return imageTokenizer }
    guard exists(upsamplerFile) else {
      throw PipelineError(
        .noInput, "\(url.path) has an upsampler by its config.json, and no \(upsamplerFile.lastPathComponent)")
    }
    guard description.inputSize == imageTokenizer.pictureSize else {
      throw PipelineError(
        .badData,
        "the parts of the checkpoint \(url.path) do not belong together: the upsampler was made for pictures of "
          + "\(description.inputSize) pixels a side, and the tokenizer's have \(imageTokenizer.pictureSize)")
    }
    try check(description.leastParameterCount, fits: upsamplerFile)
    return UpsampledImageTokenizer(
      imageTokenizer, try Upsampler(description, reading: SafeTensors(contentsOf: upsamplerFile)))
  }

  /// Tells whether tokens are those of this checkpoint's image tokenizer: FNV-1a 64 over its file, in hexadecimal.
  /// - Throws: `PipelineError` where there is none.
  package func imageTokenizerFingerprint() throws(PipelineError) -> String {
    var hash = FNV1a()
    hash.combine(try InputFile.mapped(imageTokenizerFile))
    return hash.hexadecimal
  }

  /// - Throws: `PipelineError` where the stage 2 model is missing, damaged, or does not fit `config.json`.
  public func readPrior(_ configuration: CheckpointConfiguration) throws(PipelineError) -> any Prior {
    guard hasPrior, let description = configuration.prior else {
      throw PipelineError(.noInput, "\(url.path) has no prior yet; train one with: dalle-cli train-prior")
    }
    try check(description.leastParameterCount, fits: priorFile)
    return try description.base.makeModel(reading: SafeTensors(contentsOf: priorFile))
  }

  /// - Throws: `PipelineError` where the ranker is missing, damaged, or does not fit `config.json`.
  public func readRanker(_ configuration: CheckpointConfiguration) throws(PipelineError) -> Ranker {
    guard hasRanker, let description = configuration.ranker else {
      throw PipelineError(.noInput, "\(url.path) has no ranker yet; train one with: dalle-cli train-ranker")
    }
    try check(description.leastParameterCount, fits: rankerFile)
    return try Ranker(description, reading: SafeTensors(contentsOf: rankerFile))
  }

  /// What makes a caption the tokens that the prior reads.
  /// - Throws: `PipelineError` where the vocabulary is missing or damaged.
  public func readTextEncoder(_ configuration: CheckpointConfiguration) throws(PipelineError) -> any TextEncoder {
    switch (configuration.prompt, configuration.prior?.beginningOfPrompt) {
    case (nil, nil): return try readVocabulary()
    case (let template?, let beginning?):
      return PromptEncoder(
        tokenizer: try PretrainedTokenizer(contentsOf: vocabularyFile), template: template, beginningOfText: beginning)
    default:
      throw PipelineError(
        .badData, "\(configurationFile.path): a `prompt` belongs to a prior that was trained elsewhere, and to no other"
      )
    }
  }

  public func readVocabulary() throws(PipelineError) -> BytePairEncoding {
    guard hasVocabulary else {
      throw PipelineError(.noInput, "\(url.path) has no vocabulary.json; train one with: dalle-cli train-vocabulary")
    }
    return try BytePairEncoding(contentsOf: vocabularyFile)
  }

  // MARK: - Writing

  public func write(_ configuration: CheckpointConfiguration) throws(PipelineError) {
    try AtomicFile.write(configuration.json(), to: configurationFile)
  }

  /// Makes the folder and makes sure that files can be written to it, before hours are spent on what they will hold.
  /// Finishes or removes what a kill amidst a save has left.
  /// - Returns: the right to write to it, which lasts as long as this lives.
  /// - Throws: `PipelineError` of kind `.cannotCreate` where another run has it, the folder takes no files, or it is somebody's and no
  ///   checkpoint: what lies there would be replaced.
  package func create() throws(PipelineError) -> CheckpointLock {
    try AtomicFile.createDirectory(url)
    let lock = try CheckpointLock(of: url)
    try finishSaves()
    // A kill amidst the first save may have left the state of the run alone.
    if !exists(configurationFile) && !exists(trainingStateFile),
      let other = files.first(where: { $0 != vocabularyFile && exists($0) })
    {
      throw PipelineError(
        .cannotCreate,
        "\(url.path) has a \(other.lastPathComponent) and is no checkpoint; name another `checkpoint`, so that it is not replaced"
      )
    }
    try AtomicFile.createDirectory(logFolder)
    for folder in [url, logFolder] { AtomicFile.removeLeftovers(in: folder) }
    let probe = url.appendingPathComponent(".probe")
    try AtomicFile.write(Data(), to: probe)
    try? FileManager.default.removeItem(at: probe)
    return lock
  }
}
