import Basics
import Foundation

/// For nouns that a model has never seen the nearest ones that it has, in a file.
///
/// Lines of the noun, a tab, the nearest one, a tab, and the most usual word for what both are, which is empty where they
/// mean the same; sorted by the bytes of the noun. Before them, in lines that begin with `#`, stands the licence of WordNet,
/// which they come from.
package struct NounMap: Sendable {
  private let lines: SortedLines
  private let path: String

  private static let maximumFileSize = 64 << 20

  /// Opens a file. It is read where it is asked.
  /// - Throws: `PipelineError` of kind `.noInput` where it cannot be read, `.badData` where it is not such a file.
  package init(contentsOf file: URL) throws(PipelineError) {
    path = file.path
    let bytes = try InputFile.mapped(file)
    guard bytes.count <= Self.maximumFileSize, bytes.first == UInt8(ascii: "#"), bytes.last == UInt8(ascii: "\n") else {
      throw PipelineError(.badData, "\(path) is damaged: it is no list of nouns; without it, nothing is replaced")
    }
    lines = SortedLines(bytes, separator: "\t")
  }

  /// The nearest noun to one in the singular and in lower case; nil where none is near.
  /// - Throws: `PipelineError` of kind `.badData` where its line is damaged.
  package func nearest(to noun: String) throws(PipelineError) -> NearestNouns.Match? {
    guard let line = lines.lines(of: noun).first else { return nil }
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard fields.count == 3, !fields[1].isEmpty else {
      throw PipelineError(.badData, "\(path) is damaged at \"\(noun)\"; without it, nothing is replaced")
    }
    return NearestNouns.Match(noun: fields[1], ancestor: fields[2].isEmpty ? nil : fields[2])
  }

  /// The content of a file.
  /// - Parameters:
  ///   - nouns: with the nearest of each.
  ///   - notice: of where they come from, a line each.
  package static func content(_ nouns: [(noun: String, nearest: NearestNouns.Match)], notice: [String]) -> Data {
    let head = notice.map { "# \($0)\n" }
    let lines = nouns.sorted { $0.noun.utf8.lexicographicallyPrecedes($1.noun.utf8) }
      .map { "\($0.noun)\t\($0.nearest.noun)\t\($0.nearest.ancestor ?? "")\n" }
    return Data((head + lines).joined().utf8)
  }
}
