import Basics
import CCSV
import Foundation

/// Comma-separated values as RFC 4180 describes them, read by libcsv: fields in quotes may hold commas, line ends and doubled
/// quotes. A quote anywhere else is an error, for all that follows it would be read wrongly.
package enum CSVFile {
  package struct Record {
    /// Where it begins, counted from 1.
    package var line: Int
    /// Without the white space around those that stand in no quotes; nil for one that is not valid UTF-8.
    package var fields: [String?]
  }

  /// The records, without empty lines.
  /// - Parameters:
  ///   - content: with or without a byte order mark.
  ///   - name: what messages call the file.
  /// - Throws: `PipelineError` of kind `.badData` where a quote is not closed, or stands where none may.
  package static func records(of content: Data, name: String) throws(PipelineError) -> [Record] {
    var parser = csv_parser()
    let options = CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL
    guard csv_init(&parser, UInt8(options)) == 0 else {
      throw PipelineError(.inputOutput, "cannot read \(name): out of memory")
    }
    defer { csv_free(&parser) }
    let collector = Collector()
    let content = content.starts(with: [0xEF, 0xBB, 0xBF]) ? content.dropFirst(3) : content
    // The parser calls back before it returns, while the collector is held here.
    let context = Unmanaged.passUnretained(collector).toOpaque()
    let isWhole = content.withUnsafeBytes { bytes in
      csv_parse(&parser, bytes.baseAddress, bytes.count, Collector.addField, Collector.endRecord, context)
        == bytes.count && csv_fini(&parser, Collector.addField, Collector.endRecord, context) == 0
    }
    guard isWhole else {
      let error = csv_error(&parser)
      guard error == CSV_EPARSE else {
        throw PipelineError(.inputOutput, "cannot read \(name): \(String(cString: csv_strerror(error)))")
      }
      throw PipelineError(
        .badData,
        "\(name): in the record that begins on line \(collector.start), a quote is not closed or stands inside a field; "
          + "a field that holds a quote is written \"like \"\"this\"\"\"")
    }
    return collector.records
  }

  /// What the parser's calls leave.
  private final class Collector {
    var records: [Record] = []
    /// Where the record begins that is being read.
    var start = 1
    private var fields: [String?] = []
    private var line = 1
    private var followsReturn = false

    static let addField: @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?) -> Void = {
      bytes, count, context in
      guard let context else { return }
      let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
      let field = UnsafeRawBufferPointer(start: bytes, count: count)
      collector.fields.append(String(validating: field, as: UTF8.self))
      collector.line += field.count { $0 == UInt8(ascii: "\n") }
    }

    /// Called at each line end outside of quotes, with the character, and below 0 at the end of the file.
    static let endRecord: @convention(c) (Int32, UnsafeMutableRawPointer?) -> Void = { end, context in
      guard let context else { return }
      let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
      let isSecondOfTwo = end == CSV_LF && collector.followsReturn && collector.fields.isEmpty
      if !collector.fields.isEmpty {
        collector.records.append(Record(line: collector.start, fields: collector.fields))
        collector.fields = []
      }
      if !isSecondOfTwo { collector.line += 1 }
      collector.followsReturn = end == CSV_CR
      collector.start = collector.line
    }
  }
}
