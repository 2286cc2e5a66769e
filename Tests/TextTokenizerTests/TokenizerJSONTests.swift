import Basics
import Foundation
import TestSupport
import Testing

@testable import TextTokenizer

@Suite struct TokenizerJSONTests {
  @Test func whatWasWrittenIsRead() throws {
    let captions = try Fixture.cases().map(\.text)
    for addsPrefixSpace in [false, true] {
      let vocabulary = try BytePairEncoding.train(
        on: captions, vocabularySize: 800, addsPrefixSpace: addsPrefixSpace)
      try Fixture.withTemporaryFile { url in
        try vocabulary.write(to: url)
        #expect(try BytePairEncoding(contentsOf: url) == vocabulary)
        // Quotes and backslashes are the bytes that JSON must escape.
        #expect(vocabulary.decode(vocabulary.encode(#""\"#)) == #""\"#)
      }
    }
  }

  @Test func bothFormsOfMergesAreRead() throws {
    let strings = try BytePairEncoding(contentsOf: Fixtures.url("text-vocabulary-strings.json"))
    #expect(try strings == Fixture.vocabulary())
    #expect(strings.merges.count > 200)
  }

  /// Each fault is put into a good file by replacing the first occurrence of a text, and must be named.
  @Test(arguments: [
    (#"{"version""#, #"{"version"#, "not JSON"),
    (#""model":"#, #""modell":"#, "field model is missing"),
    (#""vocab":"#, #""vocabulary":"#, "field model.vocab is missing"),
    (#""!":0"#, #""!":"0""#, "another type"),
    (#""type":"BPE""#, #""type":"WordPiece""#, "WordPiece"),
    (#""!":0"#, #""!":1"#, "both have the id 1"),
    (#""!":0"#, #""!":100000"#, "has the id 100000"),
    (#""!":0"#, #""!":-1"#, "has the id -1"),
    (#""!":0"#, #""!!":0"#, #"byte "!" has no id"#),
    (#""!":0"#, #""日":0"#, "byte alphabet"),
    (#""merges":["#, #""merges":[["zq","a"],"#, #"missing piece "zq""#),
    (#""merges":["#, #""merges":[["a","ø"],"#, #"makes the missing piece "aø""#),
    (#""merges":["#, #""merges":[["a","b","c"],"#, "another type"),
    (#"{"type":"NFC"}"#, #"{"type":"NFKC"}"#, "Sequence[NFKC, Lowercase]"),
    (#"{"type":"NFC"},"#, "", "Sequence[Lowercase]"),
    (#""normalizer":"#, #""normaliser":"#, "normalizer is missing"),
    (
      #""type":"ByteLevel","add_prefix_space":false"#, #""type":"ByteLevel""#,
      "add_prefix_space"
    ),
    (#""use_regex":true"#, #""use_regex":false"#, "use_regex"),
    (#""pre_tokenizer":{"type":"ByteLevel""#, #""pre_tokenizer":{"type":"Whitespace""#, "Whitespace"),
    (#""decoder":{"type":"ByteLevel""#, #""decoder":{"type":"WordPiece""#, "decoder is WordPiece"),
    (#""post_processor":null"#, #""post_processor":{"type":"BertProcessing"}"#, "BertProcessing"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":0,"content":"x"}]"#, "added tokens"),
    (#""truncation":null"#, #""truncation":{"max_length":4}"#, "truncates"),
    (#""padding":null"#, #""padding":{"strategy":{"Fixed":9}}"#, "pads"),
    (#""dropout":null"#, #""dropout":0.1"#, "dropout"),
    (#""end_of_word_suffix":null"#, #""end_of_word_suffix":"</w>""#, "suffix"),
    (#""ignore_merges":false"#, #""ignore_merges":true"#, "ignores merges"),
  ])
  func aFaultIsNamed(good: String, bad: String, words: String) throws {
    let file = try String(contentsOf: Fixtures.url("text-vocabulary.json"), encoding: .utf8)
    let place = try #require(file.range(of: good))
    try Fixture.withTemporaryFile { url in
      try Data(file.replacingCharacters(in: place, with: bad).utf8).write(to: url)
      let error = try #require(Self.errorOfReading(url))
      #expect(error.kind == .badData)
      #expect(error.message.contains(words) && error.message.contains(url.path), "\(error.message)")
      #expect(!error.message.contains("\n"))
    }
  }

  @Test(arguments: ["", "plain text", "[]", "3", "\u{FFFD}"]) func otherFilesAreRefused(content: String) throws {
    try Fixture.withTemporaryFile { url in
      try Data(content.utf8).write(to: url)
      #expect(Self.errorOfReading(url)?.kind == .badData)
    }
  }

  @Test func filesTooLargeAreRefusedBeforeTheyAreRead() throws {
    try Fixture.withTemporaryFile { url in
      try Data().write(to: url)
      // A sparse file: no disk is used.
      #expect(truncate(url.path, BytePairEncoding.largestFileInBytes + 1) == 0)
      let error = try #require(Self.errorOfReading(url))
      #expect(error.kind == .badData && error.message.contains("64 MiB"), "\(error.message)")
    }
  }

  @Test func missingFilesAndFoldersAreNamed() throws {
    try Fixture.withTemporaryFile { url in
      let missing = try #require(Self.errorOfReading(url))
      #expect(missing.kind == .noInput && missing.message.contains(url.path))
      let folder = try #require(Self.errorOfReading(url.deletingLastPathComponent()))
      #expect(folder.kind == .inputOutput)
      let vocabulary = try Fixture.vocabulary()
      #expect {
        try vocabulary.write(to: url.appending(path: "below/a/file"))
      } throws: {
        ($0 as? PipelineError)?.kind == .cannotCreate
      }
    }
  }

  /// As in the Python library: the later of two ranks counts.
  @Test func aMergeThatStandsTwiceHasItsLaterRank() throws {
    let table = MergeTable([
      .init(left: 1, right: 2, product: 3), .init(left: 2, right: 2, product: 4),
      .init(left: 1, right: 2, product: 3),
    ])
    #expect(table.rank(1, 2) == 2)
    #expect(table.rank(2, 2) == 1)
    #expect(table.rank(2, 1) == MergeTable.absent)
  }

  private static func errorOfReading(_ url: URL) -> PipelineError? {
    do throws(PipelineError) {
      _ = try BytePairEncoding(contentsOf: url)
      return nil
    } catch {
      return error
    }
  }
}
