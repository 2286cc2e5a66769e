import Basics
import Foundation
import PretrainedTokenizers
import TestSupport
import Testing

@Suite struct PretrainedTokenizerTests {
  @Test(arguments: TokenizerFixture.names) func idsAreThoseOfThePythonLibrary(_ name: String) throws {
    let tokenizer = try TokenizerFixture.tokenizer(name)
    let fixture = try TokenizerFixture.cases()
    let special = try #require(fixture.special[name])
    #expect(fixture.cases.count > 290)
    for example in fixture.cases {
      let ids = example.ids(name)
      #expect(tokenizer.encode(example.text) == ids, "\(example.text.debugDescription)")
      #expect(tokenizer.encode(example.text, addingSpecialTokens: true) == special + ids)
      #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
    }
  }

  /// Files, each with a setting that few have.
  @Test func oddSettingsGiveTheIdsOfThePythonLibrary() throws {
    let odd = try TokenizerFixture.odd()
    #expect(odd.files.count > 70)
    for file in odd.files {
      let tokenizer = try TokenizerFixture.tokenizer(ofText: odd.text(of: file))
      for (text, ids) in zip(odd.texts, file.ids) {
        #expect(tokenizer.encode(text) == ids, "\(file.name): \(text.debugDescription)")
      }
    }
  }

  @Test func tokensAreFoundByTheirNames() throws {
    let llama = try TokenizerFixture.tokenizer("llama")
    let beginning = try #require(llama.id(of: "<｜begin▁of▁sentence｜>"))
    #expect(llama.encode("", addingSpecialTokens: true) == [beginning])
    #expect(llama.encode("<begin_of_image>") == [try #require(llama.id(of: "<begin_of_image>"))])
    #expect(llama.encode(" heart") == [try #require(llama.id(of: "Ġheart"))])
    // Two texts that `String` takes for one.
    let pieces = try TokenizerFixture.tokenizer(
      ofText: TokenizerFixture.text(vocabulary: "{\"\u{E9}\": 0, \"e\u{301}\": 1, \"e\": 2}", merges: "[]"))
    #expect(pieces.id(of: "\u{E9}") == 0 && pieces.id(of: "e\u{301}") == 1 && pieces.id(of: "E\u{301}") == nil)
    #expect(pieces.encode("\u{E9}") == [0] && pieces.encode("e\u{301}") == [2])
    #expect(llama.id(of: "no piece") == nil)
  }

  @Test func aFileSaysWhetherItAddsTokens() throws {
    #expect(try TokenizerFixture.tokenizer("llama").addsSpecialTokens)
    #expect(try !TokenizerFixture.tokenizer("qwen").addsSpecialTokens)
    #expect(try !TokenizerFixture.tokenizer("gpt2").addsSpecialTokens)
  }

  /// Ids may leave gaps: one piece of the fixture has an id far above the others.
  @Test func theVocabularyReachesTheLargestId() throws {
    let tokenizer = try TokenizerFixture.tokenizer("gpt2")
    #expect(tokenizer.vocabularySize == 4_001)
    #expect(tokenizer.id(of: "Ġaccordion") == 4_000)
    let template = #"""
      {"type": "Sequence", "processors": [{"type": "ByteLevel", "trim_offsets": true},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "S", "type_id": 0}},
          {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "E", "type_id": 0}}], "pair": [],
         "special_tokens": {"S": {"id": "S", "ids": [7, 70], "tokens": ["S", "T"]}, "E": {"id": "E", "ids": [8], "tokens": ["E"]}}}]}
      """#
    let small = try TokenizerFixture.tokenizer(ofText: TokenizerFixture.text(postProcessor: template))
    #expect(small.encode("ab", addingSpecialTokens: true) == [7, 70, 2, 8])
    #expect(small.vocabularySize == 71)
  }

  @Test func severalThreadsEncodeAtOnce() async throws {
    let tokenizer = try TokenizerFixture.tokenizer("llama")
    let cases = try TokenizerFixture.cases().cases
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 {
        group.addTask { cases.allSatisfy { tokenizer.encode($0.text) == $0.llama } }
      }
      for await isRight in group { #expect(isRight) }
    }
  }

  @Test(arguments: TokenizerFixture.names) func longWordsAreEncodedInTime(_ name: String) throws {
    let tokenizer = try TokenizerFixture.tokenizer(name)
    for word in ["a", "heart", "심", "7", "!", "\n"] {
      let time = processorTime {
        #expect(!tokenizer.encode(String(repeating: word, count: 100_000 / word.count)).isEmpty)
      }
      #expect(time < .seconds(5), "\(word)")
    }
  }
}
