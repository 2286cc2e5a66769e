import ArgumentParser
import CommandSupport
import Foundation
import TextTokenizer

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows the tokens of a text.")

  @Argument(help: "The text; - reads it from standard input.") var text: String
  @OptionGroup var vocabulary: VocabularyOptions
  @OptionGroup var checkpoint: CheckpointOptions
  @Flag(help: "Print JSON.") var json = false

  private struct Report: Encodable {
    var ids: [Int32]
    var pieces: [String]
  }

  func run() throws {
    let encoding = try vocabulary.read() ?? checkpoint.forReading(needing: \.hasVocabulary).readVocabulary()
    let content =
      text == "-" ? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self) : text
    let ids = encoding.encode(content)
    let pieces = encoding.pieces(ids)
    if json { return try Console.json(Report(ids: ids, pieces: pieces)) }
    for (id, piece) in zip(ids, pieces) { try Console.result("\(id)\t\(piece)") }
  }
}
