import ArgumentParser
import Basics
import Checkpoints
import Foundation
import TextTokenizer

struct TrainVocabulary: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a byte-level BPE vocabulary on the captions of a data set's train split.")

  @OptionGroup var data: DataOptions
  @OptionGroup var forms: CaptionFormOptions
  @Option(parsing: .unconditional, help: "Pieces, the 256 bytes included.")
  var vocabularySize = TrainingSettings().vocabularySize
  @Option(help: "The file to write; the checkpoint's vocabulary.json unless given.") var output: String?
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions

  private struct Report: Encodable {
    var file: String
    var pieces: Int
    var captions: Int
  }

  func run() throws {
    var settings = TrainingSettings()
    settings.vocabularySize = vocabularySize
    try settings.validate()
    let target = checkpoint.forTraining()
    for (part, isThere) in [("prior", target.hasPrior), ("ranker", target.hasRanker)] where output == nil && isThere {
      throw PipelineError(
        .cannotCreate,
        "\(target.url.path) has a \(part) that was trained with its vocabulary; name another --checkpoint or --output")
    }
    let file = try output.map(OutputFile.url) ?? target.vocabularyFile
    // Captions are all that is needed; the pictures are read as small as possible.
    let dataSet = try data.open(pictureSize: 1)
    let captions = dataSet.trainingTexts(dataSet.forms(try forms.kinds()))
    let vocabulary = try BytePairEncoding.train(on: captions, vocabularySize: vocabularySize)
    if vocabulary.vocabularySize < vocabularySize {
      Console.note("the captions give \(vocabulary.vocabularySize) pieces, fewer than the \(vocabularySize) asked for")
    }
    if output == nil { try AtomicFile.createDirectory(target.url) }
    try vocabulary.write(to: file)
    if json {
      return try Console.json(
        Report(file: file.relativePath, pieces: vocabulary.vocabularySize, captions: captions.count))
    }
    try Console.result(file.relativePath)
  }
}
