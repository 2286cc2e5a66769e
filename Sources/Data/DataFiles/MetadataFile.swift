import Basics
import Foundation

/// The columns of a data set's metadata, in JSON lines and in CSV, for those who read and who write them.
package struct MetadataColumn: CodingKey, Hashable {
  package let stringValue: String
  package var intValue: Int? { nil }

  package init(_ name: String) { stringValue = name }
  package init(stringValue: String) { self.init(stringValue) }
  package init?(intValue: Int) { nil }

  package static let fileName = MetadataColumn("file_name")
  package static let text = MetadataColumn("text")
  package static let keywords = MetadataColumn("keywords")
  package static let split = MetadataColumn("split")
  package static let relation = MetadataColumn("relation")
  /// Where captions stand in other people's files.
  package static let caption = MetadataColumn("caption")
  package static let prompt = MetadataColumn("prompt")
}

/// What one row of metadata says of a picture.
package struct MetadataRow: Sendable {
  package var fileName: String?
  /// As they stand there.
  package var texts: [String] = []
  package var keywords: [String] = []
  package var split: String?
  package var relation: String?
  /// The column that has the texts; nil where there is none.
  package var captionColumn: String?
  /// Whether it has a column that may have captions, empty or not.
  package var hasCaptionColumn = false
  /// Why nothing of the row can be used.
  package var problem: String?
  /// What of it is not used, with the reason.
  package var leftOut: [String] = []
  /// Names of all columns, where none that may have captions is among them.
  package var columns: [String] = []

  /// - Parameters:
  ///   - columns: those that the row has.
  ///   - captionColumns: those that may have captions, the first one that has some is taken.
  fileprivate init(_ columns: [String], captionColumns: [String], value: (MetadataColumn) -> MetadataValue) {
    switch value(.fileName) {
    case .none: break
    case .text(let name): fileName = name
    case let other: problem = "file_name is \(other), not a string"
    }
    for column in captionColumns where columns.contains(column) {
      hasCaptionColumn = true
      switch value(MetadataColumn(column)) {
      case .none: continue
      case .object(let kind):
        problem = problem ?? "\(column) is \(kind), not a string or an array of strings"
      case let found:
        guard found.strings.contains(where: { !$0.allSatisfy(\.isWhitespace) }) else { continue }
        texts = found.strings
      }
      captionColumn = column
      break
    }
    if captionColumn == nil { self.columns = columns.sorted() }
    switch value(.keywords) {
    case .object(let kind): leftOut.append("keywords is \(kind), not an array of words, and not read")
    case .text(let list): keywords = list.split { $0 == "," || $0 == ";" }.map(String.init)
    case let found: keywords = found.strings
    }
    switch value(.split) {
    case .none: break
    case .text(let name): split = name
    case let other: problem = problem ?? "split is \(other), not a string"
    }
    // Ours; in somebody else's data set the word may mean anything.
    if case .text(let name) = value(.relation) { relation = name }
  }

  fileprivate init(problem: String) { self.problem = problem }
}

/// A value of metadata, as far as it can be of use.
private enum MetadataValue: Decodable, CustomStringConvertible {
  /// Missing, null, or not a number, which is how some programs write what is missing.
  case none
  case text(String)
  case number(Double)
  case list([MetadataValue])
  case object(String)

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .none
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let number = try? value.decode(Double.self) {
      self = number.isNaN ? .none : .number(number)
    } else if let list = try? value.decode([MetadataValue].self) {
      self = .list(list)
    } else {
      self = .object((try? value.decode(Bool.self)) == nil ? "an object" : "true or false")
    }
  }

  /// Numbers as they are written; what has no words is left out.
  var strings: [String] {
    switch self {
    case .none, .object: []
    case .text(let text): [text]
    case .number(let number): [Int(exactly: number).map(String.init) ?? String(number)]
    case .list(let list): list.flatMap(\.strings)
    }
  }

  var description: String {
    switch self {
    case .none: "missing"
    case .text: "a string"
    case .number: "a number"
    case .list: "an array"
    case .object(let kind): kind
    }
  }
}

/// Reads metadata, in JSON lines or CSV, row by row.
package struct MetadataFile {
  package static let jsonLines = "metadata.jsonl"
  package static let csv = "metadata.csv"
  package static let names = [jsonLines, csv]
  private static let maximumByteCount = 1 << 31

  private let captionColumns: [String]
  private let decoder = JSONDecoder()
  /// What programs write that is no JSON: NaN, a comma after the last element.
  private let lenientDecoder = JSONDecoder()
  private static let captionColumnsKey = CodingUserInfoKey(rawValue: "captionColumns")!

  /// - Parameter captionColumns: the columns that may have captions, the first one that has some is taken.
  package init(captionColumns: [String]) {
    self.captionColumns = captionColumns
    lenientDecoder.allowsJSON5 = true
    for decoder in [decoder, lenientDecoder] { decoder.userInfo[Self.captionColumnsKey] = captionColumns }
  }

  private struct JSONRow: Decodable {
    let row: MetadataRow

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: MetadataColumn.self)
      let captionColumns = decoder.userInfo[MetadataFile.captionColumnsKey] as? [String] ?? []
      // Of a hundred thousand rows, few have a column that is none of these.
      let known = captionColumns.filter { fields.contains(MetadataColumn($0)) }
      row = MetadataRow(known.isEmpty ? fields.allKeys.map(\.stringValue) : known, captionColumns: captionColumns) {
        guard fields.contains($0) else { return .none }
        if let text = try? fields.decode(String.self, forKey: $0) { return .text(text) }
        return (try? fields.decode(MetadataValue.self, forKey: $0)) ?? .none
      }
    }
  }

  /// What an object in JSON says.
  package func row(json: Data) -> MetadataRow {
    if let found = try? decoder.decode(JSONRow.self, from: json) { return found.row }
    // The lenient decoder ends the process where a key is no UTF-8.
    guard String(validating: json, as: UTF8.self) != nil else { return MetadataRow(problem: "not UTF-8") }
    if let found = try? lenientDecoder.decode(JSONRow.self, from: json) { return found.row }
    return MetadataRow(problem: "not a JSON object")
  }

  /// Calls `body` with each row and the line on which it begins, counted from 1.
  /// - Parameters:
  ///   - file: a CSV file where its name ends so, otherwise JSON lines.
  ///   - name: what messages call it.
  /// - Throws: `PipelineError` where the file cannot be read, or is CSV that is damaged or has no column `file_name`; and what
  ///   `body` throws.
  package func forEachRow(
    of file: URL, name: String, _ body: (_ line: Int, _ row: MetadataRow) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    if PathParts(name).fileExtension == "csv" {
      let content = try InputFile.contents(of: file, maximumByteCount: Self.maximumByteCount)
      return try forEachRecord(of: content, name: name, body)
    }
    // What is mapped would end the process where somebody cuts the file off meanwhile: only what is too large to be read.
    let isLarge = try InputFile.byteCount(of: file) > Self.maximumByteCount
    let content =
      try isLarge ? InputFile.mapped(file) : InputFile.contents(of: file, maximumByteCount: Self.maximumByteCount)
    var (number, rest) = (0, content.starts(with: [0xEF, 0xBB, 0xBF]) ? content.dropFirst(3) : content)
    while !rest.isEmpty {
      number += 1
      let line = rest.prefix { $0 != UInt8(ascii: "\n") }
      rest = rest[line.endIndex...].dropFirst()
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
      try body(number, row(json: line))
    }
  }

  private func forEachRecord(
    of content: Data, name: String, _ body: (_ line: Int, _ row: MetadataRow) throws(PipelineError) -> Void
  ) throws(PipelineError) {
    var records = try CSVFile.records(of: content, name: name)[...]
    let columns = (records.popFirst()?.fields ?? []).map { $0?.trimmingCharacters(in: .whitespaces) ?? "" }
    guard columns.contains(MetadataColumn.fileName.stringValue) else {
      // As in UTF-16, in which tables are saved as well.
      guard !content.prefix(64).contains(0) else {
        throw PipelineError(.badData, "\(name) is no text in UTF-8; save it as CSV in UTF-8")
      }
      let found = columns.isEmpty ? "it is empty" : "its first line names \(columns.joined(separator: ", "))"
      throw PipelineError(.badData, "\(name) has no column file_name: \(found)")
    }
    for record in records {
      guard record.fields.count == columns.count else {
        let problem = "it has \(record.fields.count) fields, and the first line names \(columns.count)"
        try body(record.line, MetadataRow(problem: problem))
        continue
      }
      var values: [String: String] = [:]
      for (column, field) in zip(columns, record.fields) { values[column] = field }
      guard record.fields.allSatisfy({ $0 != nil }) else {
        try body(record.line, MetadataRow(problem: "it is not valid UTF-8"))
        continue
      }
      let row = MetadataRow(columns, captionColumns: captionColumns) {
        values[$0.stringValue].flatMap { $0.isEmpty ? nil : MetadataValue.text($0) } ?? .none
      }
      try body(record.line, row)
    }
  }
}

/// The columns that have a data set's captions: the one asked for, or the first one that there is of those that usually do.
package struct CaptionColumns {
  package let names: [String]
  private let isAskedFor: Bool
  private var counts: [String: Int] = [:]
  /// Of the first row that has none of them.
  private var otherColumns: [String]?
  /// Whether any row has one of them, empty or not.
  private var isThere = false

  /// - Parameters:
  ///   - name: the only column to take.
  ///   - usual: those to look into where `name` is nil.
  package init(_ name: String?, inOrder usual: [MetadataColumn]) {
    names = name.map { [$0] } ?? usual.map(\.stringValue)
    isAskedFor = name != nil
  }

  package mutating func note(_ row: MetadataRow) {
    isThere = isThere || row.hasCaptionColumn
    if let column = row.captionColumn {
      counts[column, default: 0] += 1
    } else if row.problem == nil && !row.hasCaptionColumn {
      otherColumns = otherColumns ?? row.columns
    }
  }

  /// Adds what was noted of rows that come after these.
  package mutating func note(_ others: CaptionColumns) {
    counts.merge(others.counts, uniquingKeysWith: +)
    isThere = isThere || others.isThere
    otherColumns = otherColumns ?? others.otherColumns
  }

  /// Why a picture has no caption.
  package var reasonOfNone: String { isAskedFor ? "it has no caption in \"\(names[0])\"" : "it has no caption" }

  /// What is to be said once all rows are read.
  /// - Throws: `PipelineError` of kind `.usage` where no row has the column asked for, and `.badData` where it is empty in all.
  package func finish(in url: URL) throws(PipelineError) -> String? {
    if isAskedFor {
      guard counts.isEmpty else { return nil }
      guard !isThere else {
        throw PipelineError(.badData, "\(url.path) has no caption in any row of its column \"\(names[0])\"")
      }
      let others = otherColumns.map { "; there are \($0.joined(separator: ", "))" } ?? ""
      throw PipelineError(.usage, "`captionColumn` is \"\(names[0])\", and \(url.path) has no such column\(others)")
    }
    let others = names.dropFirst().filter { counts[$0] != nil }
    guard !others.isEmpty else { return nil }
    let list = others.map { "\(counts[$0] ?? 0) from \"\($0)\"" }.joined(separator: ", ")
    return "captions that have no \"\(names[0])\" are taken from other columns: \(list)"
  }
}
