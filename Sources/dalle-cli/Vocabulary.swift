import ArgumentParser
import Basics
import Checkpoints
import CommandSupport
import Datasets
import Foundation
import Lexicon
import TextTokenizer

struct TrainVocabulary: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a byte-level BPE vocabulary on the captions of a data set's train split, or on any text.")

  @OptionGroup var data: DataOptions
  @OptionGroup var forms: CaptionFormOptions
  /// More pieces than a vocabulary that is extended has.
  private static let furtherPieces = 4096
  @Option(
    parsing: .unconditional,
    help: """
      Pieces, the 256 bytes included; \(TrainingSettings().vocabularySize) unless given, or with --extend \(Self.furtherPieces) \
      more than there are.
      """)
  var vocabularySize: Int?
  @Option(
    help: """
      The vocabulary to go on from: the name of one in vocab/, or a file. Its pieces keep their ids, so that a warm start with \
      the longer one knows the same words.
      """)
  var extend: String?
  @Option(help: "A file of text to learn from in place of a data set, a caption a line.") var text: String?
  @Option(help: "The name under which it is kept in vocab/, for --vocabulary.") var name: String?
  @Option(help: "The file to write; the checkpoint's vocabulary.json unless given.") var output: String?
  @Flag(help: "Print what was made as JSON.") var json = false
  @OptionGroup var checkpoint: CheckpointOptions

  func validate() throws {
    if name != nil && output != nil { throw ValidationError("--name and --output are two places for one file") }
    if let name, name.isEmpty || name.contains("/") { throw ValidationError("--name must be a name, not a path") }
    if text != nil && data.data != nil { throw ValidationError("--text takes the place of a data set; leave one out") }
  }

  private struct Report: Encodable {
    var file: String
    var pieces: Int
    var captions: Int
  }

  func run() throws {
    var settings = TrainingSettings()
    let earlier = try extend.map { name throws(PipelineError) in try VocabularyOptions.read(name) }
    if let earlier { settings.vocabularySize = earlier.vocabularySize + Self.furtherPieces }
    if let vocabularySize { settings.vocabularySize = vocabularySize }
    try settings.validate()
    let target = checkpoint.forTraining()
    let isForCheckpoint = output == nil && name == nil
    for (part, isThere) in [("prior", target.hasPrior), ("ranker", target.hasRanker)] where isForCheckpoint && isThere {
      throw PipelineError(
        .cannotCreate,
        "\(target.url.path) has a \(part) that was trained with its vocabulary; name another --checkpoint or --output")
    }
    let file =
      try output.map { path throws(PipelineError) in try OutputFile.url(path, from: [text]) } ?? name.map(
        VocabularyOptions.file) ?? target.vocabularyFile
    if name != nil && NamedFile.exists(file) {
      throw PipelineError(
        .cannotCreate, "\(file.relativePath) is there already; choose another --name, or replace it by --output")
    }
    let captions = try text.map { try Self.lines(of: $0) } ?? captionsOfData()
    guard !captions.isEmpty else { throw PipelineError(.badData, "there are no training captions to learn from") }
    let vocabulary = try BytePairEncoding.train(
      onCaptions: captions, vocabularySize: settings.vocabularySize, extending: earlier)
    if vocabulary.vocabularySize < settings.vocabularySize {
      Console.note(
        "the captions give \(vocabulary.vocabularySize) pieces, fewer than the \(settings.vocabularySize) "
          + (vocabularySize == nil ? "that there is room for" : "asked for"))
    }
    if output == nil { try AtomicFile.createDirectory(file.deletingLastPathComponent()) }
    try vocabulary.write(to: file)
    if json {
      return try Console.json(
        Report(file: file.relativePath, pieces: vocabulary.vocabularySize, captions: captions.count))
    }
    try Console.result(file.relativePath)
  }

  private func captionsOfData() throws -> [String] {
    // Captions are all that is needed; the pictures are read as small as possible.
    let dataSet = try data.open(pictureSize: 1)
    let kinds = try forms.kinds()
    let wordNet = kinds.contains(.synonyms) && WordNet.isInstalled() ? try WordNet() : nil
    return dataSet.trainingTexts(dataSet.forms(kinds, wordNet: wordNet))
  }

  private static func lines(of path: String) throws -> [String] {
    let contents = try InputFile.contents(of: URL(fileURLWithPath: path), maximumByteCount: 1 << 30)
    guard let text = String(validating: contents, as: UTF8.self) else {
      throw PipelineError(.badData, "\(path) is no text in UTF-8")
    }
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard !lines.isEmpty else { throw PipelineError(.badData, "\(path) holds no text") }
    return lines
  }
}

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows the tokens of a text.")

  @Argument(help: "The text; - reads it from standard input.") var text: String
  @OptionGroup var vocabulary: VocabularyOptions
  @OptionGroup var checkpoint: CheckpointOptions
  @Flag(help: "Print JSON.") var json = false

  private struct Report: Encodable {
    var ids: [Int32]
    /// Nil for an imported model, whose prompt the ids are.
    var pieces: [String]?
  }

  func run() throws {
    let content = text == "-" ? try StandardInput.text() : text
    let encoding: BytePairEncoding
    if let named = try vocabulary.read() {
      encoding = named
    } else {
      let checkpoint = try checkpoint.forReading(needing: \.hasVocabulary)
      if checkpoint.isComplete, case let configuration = try checkpoint.readConfiguration(), configuration.prompt != nil
      {
        // Published tokenizers are read in one direction only.
        let ids = try checkpoint.readTextEncoder(configuration).encode(content)
        if json { return try Console.json(Report(ids: ids, pieces: nil)) }
        for id in ids { try Console.result("\(id)") }
        return
      }
      encoding = try checkpoint.readVocabulary()
    }
    let ids = encoding.encode(content)
    let pieces = encoding.pieces(ids)
    if json { return try Console.json(Report(ids: ids, pieces: pieces)) }
    for (id, piece) in zip(ids, pieces) { try Console.result("\(id)\t\(piece)") }
  }
}
