import Basics
import Foundation
import PretrainedTokenizers
import TestSupport
import Testing

/// The files that `Tests/Fixtures/make_tokenizer_fixtures.py` writes.
enum TokenizerFixture {
  static let names = ["llama", "qwen", "gpt2"]

  /// Texts, and for each file their ids.
  struct Case: Decodable {
    var text: String
    var llama: [Int32]
    var qwen: [Int32]
    var gpt2: [Int32]

    func ids(_ name: String) -> [Int32] { name == "llama" ? llama : name == "qwen" ? qwen : gpt2 }
  }

  struct Cases: Decodable {
    /// For each file the special tokens that come before all others.
    var special: [String: [Int32]]
    var cases: [Case]
  }

  /// Files of the same pieces and merges, each with a setting that few have, and the ids of the same texts with each.
  struct Odd: Decodable {
    struct File: Decodable, CustomTestStringConvertible {
      var name: String
      var file: String
      var ids: [[Int32]]

      var testDescription: String { name }
    }

    var vocabulary: String
    var merges: String
    var texts: [String]
    var files: [File]

    func text(of file: File) -> String {
      file.file.replacing("\"model\": {", with: "\"model\": {\"vocab\": \(vocabulary), \"merges\": \(merges), ")
    }
  }

  static func url(_ name: String) -> URL { Fixtures.url("tokenizers/\(name).json") }

  static func cases() throws -> Cases { try JSONDecoder().decode(Cases.self, from: Data(contentsOf: url("texts"))) }

  static func odd() throws -> Odd { try JSONDecoder().decode(Odd.self, from: Data(contentsOf: url("odd"))) }

  static func tokenizer(_ name: String) throws -> PretrainedTokenizer { try PretrainedTokenizer(contentsOf: url(name)) }

  /// Of a file with this text.
  static func tokenizer(ofText text: String) throws -> PretrainedTokenizer { try tokenizer(of: Data(text.utf8)) }

  static func tokenizer(of data: Data) throws -> PretrainedTokenizer {
    try withTemporaryFolder { folder in
      let file = folder.appending(path: "tokenizer.json")
      try data.write(to: file)
      return try PretrainedTokenizer(contentsOf: file)
    }
  }

  /// A small file, with parts in JSON.
  static func text(
    vocabulary: String = #"{"a": 0, "b": 1, "ab": 2, " ": 3, "x": 4, "!": 5}"#, merges: String = #"["a b"]"#,
    model: String = "", normalizer: String = "null", preTokenizer: String = "null", postProcessor: String = "null",
    addedTokens: String = "[]", more: String = ""
  ) -> String {
    """
    {"version": "1.0", "added_tokens": \(addedTokens), "normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer),
     "post_processor": \(postProcessor), \(more)
     "model": {"type": "BPE", \(model) "vocab": \(vocabulary), "merges": \(merges)}}
    """
  }

  static func split(_ pattern: String) -> String {
    #"{"type": "Split", "pattern": {"Regex": "\#(pattern)"}, "behavior": "Isolated", "invert": false}"#
  }

  static func addedToken(_ content: String, id: String = "9", flags: String = "false") -> String {
    """
    {"id": \(id), "content": "\(content)", "single_word": \(flags), "lstrip": \(flags), "rstrip": \(flags),
     "normalized": \(flags), "special": true}
    """
  }
}
