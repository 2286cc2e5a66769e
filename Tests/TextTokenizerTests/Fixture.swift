import Foundation
import TestSupport

@testable import TextTokenizer

/// The files that `Tests/Fixtures/make_text_fixtures.py` writes.
enum Fixture {
  struct Case: Decodable {
    var text: String
    var ids: [Int32]
    /// With `add_prefix_space`.
    var spacedIds: [Int32]

    enum CodingKeys: String, CodingKey {
      case text, ids
      case spacedIds = "spaced_ids"
    }
  }

  static func vocabulary(addingPrefixSpace: Bool = false) throws -> BytePairEncoding {
    let file = Fixtures.url("text-vocabulary.json")
    if !addingPrefixSpace { return try BytePairEncoding(contentsOf: file) }
    let spaced = try String(contentsOf: file, encoding: .utf8)
      .replacing(#""add_prefix_space":false"#, with: #""add_prefix_space":true"#)
    return try withTemporaryFile { url in
      try Data(spaced.utf8).write(to: url)
      return try BytePairEncoding(contentsOf: url)
    }
  }

  static func cases() throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: Data(contentsOf: Fixtures.url("text-ids.json")))
  }

  /// Calls `body` with the name of a file that does not exist yet, in a folder that is removed afterwards.
  static func withTemporaryFile<Result>(_ body: (URL) throws -> Result) throws -> Result {
    try withTemporaryFolder { try body($0.appending(path: "vocabulary.json")) }
  }
}

/// A text as its scalars: strings that are canonically equivalent are equal, these are not.
func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }
