import Foundation
import TestSupport

@testable import TextTokenizer

/// The files that `Tests/Fixtures/make_text_fixtures.py` writes.
enum Fixture {
  struct Case: Decodable {
    var text: String
    var ids: [Int32]
  }

  static func vocabulary() throws -> BytePairEncoding {
    try BytePairEncoding(contentsOf: Fixtures.url("text-vocabulary.json"))
  }

  static func cases() throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: Data(contentsOf: Fixtures.url("text-ids.json")))
  }

  /// Calls `body` with the name of a file that does not exist yet, in a folder that is removed afterwards.
  static func withTemporaryFile(_ body: (URL) throws -> Void) throws {
    try withTemporaryFolder { try body($0.appending(path: "vocabulary.json")) }
  }
}

/// A text as its scalars: strings that are canonically equivalent are equal, these are not.
func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }
