import Basics
import Captions
import DataFiles
import Foundation

/// One line of a data set's `metadata.jsonl`, to be written.
package struct MetadataLine: Encodable, Sendable {
  /// What the file is called in each folder.
  package static let fileName = MetadataFile.jsonLines
  /// All names under which such a file is read.
  package static let fileNames = MetadataFile.names

  package var fileName: String
  /// At least one.
  package var texts: [String]
  package var split: Split
  package var keywords: [String]
  /// How the picture was composed, where it was.
  package var relation: String?

  package init(
    fileName: String, texts: [String], split: Split, keywords: [String] = [], relation: String? = nil
  ) {
    self.fileName = fileName
    self.texts = texts
    self.split = split
    self.keywords = keywords
    self.relation = relation
  }

  /// What a data set says of a picture.
  package init(_ entry: CaptionedPicture) {
    self.init(
      fileName: entry.fileName, texts: entry.captions, split: entry.split, keywords: entry.keywords,
      relation: entry.relation)
  }

  package func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MetadataColumn.self)
    try fields.encode(fileName, forKey: .fileName)
    if texts.count == 1 { try fields.encode(texts[0], forKey: .text) } else { try fields.encode(texts, forKey: .text) }
    try fields.encode(split, forKey: .split)
    if !keywords.isEmpty { try fields.encode(keywords, forKey: .keywords) }
    try fields.encodeIfPresent(relation, forKey: .relation)
  }

  /// The line with its end.
  /// - Throws: `PipelineError` of kind `.badData` where a text cannot be written.
  package func encoded() throws(PipelineError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do { return try encoder.encode(self) + [UInt8(ascii: "\n")] } catch {
      throw PipelineError(.badData, "the caption \"\(texts[0])\" cannot be written as JSON")
    }
  }
}
