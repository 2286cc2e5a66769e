import Basics
import Foundation
import PretrainedTokenizers
import TestSupport
import Testing

/// Files that are not as they should be, or mean harm.
@Suite struct RefusalTests {
  /// What a file of this text is refused for, in one line.
  private func refusal(_ text: String) throws -> String {
    let error = #expect(throws: PipelineError.self) { try TokenizerFixture.tokenizer(ofText: text) }
    let refused = try #require(error)
    #expect(refused.kind == .badData && !refused.message.contains("\n") && refused.message.count < 500)
    return refused.message
  }

  @Test(arguments: [
    ("", "not JSON"), ("{", "not JSON"), ("[]", "not an object"), ("{} x", "not JSON"), (#"{"a": 01x}"#, "not JSON"),
    (#"{"a": "\ud800"}"#, "model is missing"), (#"{"model": "\q"}"#, "not an object"),
    (#"{"model": {"type": "\q"}}"#, "not JSON"),
    (#"{"model": {"type": "\ud800"}}"#, "not JSON"), (#"{"model": {}}"#, "model.vocab is missing"),
    (#"{"a": "\"#, "not JSON"),
    (#"{"model": {"type": "Unigram", "vocab": []}}"#, "Unigram"),
    (#"{"version": "2.0", "model": {}}"#, "version is 2.0"),
    (#"{"model": {"vocab": {"a": 0}}}"#, "model.merges is missing"),
    (#"{"model": {"vocab": {}, "merges": []}}"#, "no pieces"),
    (#"{"model": {"vocab": ["a"], "merges": []}}"#, "model.vocab is not an object"),
    (#"{"model": {"vocab": {"a": 0}, "merges": {}}}"#, "model.merges is not an array"),
  ]) func whatIsNoTokenizerIsRefused(_ text: String, _ reason: String) throws {
    #expect(try refusal(text).contains(reason))
  }

  @Test func bytesThatAreNoTextAreRefused() throws {
    #expect(throws: PipelineError.self) { try TokenizerFixture.tokenizer(of: Data([0x22, 0xFF, 0x22])) }
    let error = #expect(throws: PipelineError.self) {
      try PretrainedTokenizer(contentsOf: URL(filePath: "/nowhere/tokenizer.json"))
    }
    #expect(error?.kind == .noInput)
  }

  @Test(arguments: ["-1", "2097152", "2147483648", "99999999999999999999", "1.5", "1e3", "\"1\"", "null", "[]"])
  func idsOutOfBoundsAreRefused(_ id: String) throws {
    let piece = try refusal(TokenizerFixture.text(vocabulary: "{\"a\": 0, \"b\": 1, \"ab\": \(id)}"))
    #expect(piece.contains("\"ab\" has no id from 0 to 2097151"))
    let token = try refusal(TokenizerFixture.text(addedTokens: "[\(TokenizerFixture.addedToken("<x>", id: id))]"))
    #expect(token.contains("an id from 0 to 2097151") || token.contains("an added token has no id"))
  }

  @Test(arguments: [
    (#"["a c"]"#, "missing piece"), (#"["c a"]"#, "missing piece"), (#"["b a"]"#, #"the missing piece "ba""#),
    (#"["a"]"#, "not of two"),
    (#"["a b c"]"#, "not of two"), (#"["a  b"]"#, "not of two"), (#"[["a"]]"#, "not of two"),
    (#"[["a", "b", "c"]]"#, "not of two"),
    (#"[["a", 1]]"#, "not a string"), ("[1]", "not a string"),
  ]) func mergesOfWhatIsNotThereAreRefused(_ merges: String, _ reason: String) throws {
    #expect(try refusal(TokenizerFixture.text(merges: merges)).contains(reason))
  }

  @Test func whatIsNotKnownIsNamed() throws {
    for component in [#"{"type": "Nmt"}"#, #"{"type": "Sequence", "normalizers": [{"type": "Nmt"}]}"#] {
      #expect(try refusal(TokenizerFixture.text(normalizer: component)).contains("normalizer Nmt"))
    }
    #expect(
      try refusal(TokenizerFixture.text(preTokenizer: #"{"type": "BertPreTokenizer"}"#)).contains("BertPreTokenizer"))
    // Each doubles what the one before has made of a space.
    let level = #"{"type": "ByteLevel", "add_prefix_space": false}"#
    let levels = Array(repeating: level, count: 40).joined(separator: ", ")
    #expect(
      try refusal(TokenizerFixture.text(preTokenizer: "{\"type\": \"Sequence\", \"pretokenizers\": [\(levels)]}"))
        .contains("ByteLevel"))
    #expect(
      try refusal(TokenizerFixture.text(postProcessor: #"{"type": "BertProcessing"}"#)).contains("BertProcessing"))
    #expect(try refusal(TokenizerFixture.text(more: #""truncation": {"max_length": 4},"#)).contains("truncates"))
    #expect(try refusal(TokenizerFixture.text(model: #""dropout": 0.1,"#)).contains("dropout"))
    #expect(try refusal(TokenizerFixture.text(model: #""end_of_word_suffix": "</w>","#)).contains("end_of_word_suffix"))
    #expect(
      try refusal(TokenizerFixture.text(normalizer: #"{"type": "Strip", "strip_left": true}"#)).contains("strip_right"))
    #expect(try refusal(TokenizerFixture.text(preTokenizer: #"{"type": "Digits"}"#)).contains("individual_digits"))
    let behavior = TokenizerFixture.split("a").replacing("Isolated", with: "Doubled")
    #expect(try refusal(TokenizerFixture.text(preTokenizer: behavior)).contains("Doubled"))
    let twice =
      "[\(TokenizerFixture.addedToken("A", flags: "true")), \(TokenizerFixture.addedToken("a", flags: "true"))]"
    let lowercase = TokenizerFixture.text(normalizer: #"{"type": "Lowercase"}"#, addedTokens: twice)
    #expect(try refusal(lowercase).contains(#"two added tokens are both "a""#))
    // Padding is no part of a text.
    _ = try TokenizerFixture.tokenizer(
      ofText: TokenizerFixture.text(more: #""padding": {"strategy": "BatchLongest"},"#))
  }

  @Test(arguments: [
    (#"[{"Sequence": {"id": "B"}}]"#, "$A once"),
    (#"[{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]"#, "$A once"),
    ("[]", "$A once"), (#"[{"SpecialToken": {"id": "S"}}, {"Sequence": {"id": "A"}}]"#, #"the missing token "S""#),
    ("[{}]", "neither"),
  ]) func templatesThatCannotBeFilledInAreRefused(_ single: String, _ reason: String) throws {
    let template = "{\"type\": \"TemplateProcessing\", \"single\": \(single), \"pair\": [], \"special_tokens\": {}}"
    #expect(try refusal(TokenizerFixture.text(postProcessor: template)).contains(reason))
  }

  @Test func deepNestingIsRefused() throws {
    for depth in [200, 10_000, 1_000_000] {
      let open = String(repeating: #"{"type": "Sequence", "normalizers": ["#, count: depth)
      let nested = open + String(repeating: "]}", count: depth)
      #expect(try refusal(TokenizerFixture.text(normalizer: nested)).contains("nested deeper"))
      #expect(try refusal(open).contains("nested deeper"))
    }
    let many = String(repeating: #"{"type": "Lowercase"}, "#, count: 200) + #"{"type": "NFC"}"#
    let sequence = "{\"type\": \"Sequence\", \"normalizers\": [\(many)]}"
    #expect(try refusal(TokenizerFixture.text(normalizer: sequence)).contains("more than 128"))
  }

  @Test(arguments: [
    ("(a", "end pattern with unmatched"), ("[b-a]", "empty range"), ("\\\\p{Nothing}", "property name"),
    ("*", "target of repeat"),
    ("(?<x", "invalid group name"), ("a{100001}", "too big"), (String(repeating: "(", count: 5_000), "depth limit"),
    (String(repeating: "a", count: 20_000), "longer than 16384 bytes"),
  ]) func whatIsNoRegularExpressionIsRefused(_ pattern: String, _ reason: String) throws {
    let message = try refusal(TokenizerFixture.text(preTokenizer: TokenizerFixture.split(pattern)))
    #expect(message.contains("the regular expression \"") && message.contains(reason), "\(message)")
  }

  @Test(arguments: [
    "(a+)+$", "((a+)+)+$", "(a|a)*$", "(\\\\w+\\\\s?)+$", "(?:\\\\s*)*x?$\\\\z|( +)+y|( |  )+$", "^(([a-z])+.)+[A-Z]$",
  ])
  func regularExpressionsThatExplodeAreRefused(_ pattern: String) throws {
    var message = ""
    let text = TokenizerFixture.text(preTokenizer: TokenizerFixture.split(pattern))
    let time = try processorTime { message = try refusal(text) }
    #expect(message.contains("takes too long"))
    #expect(time < .seconds(2))
  }

  @Test func regularExpressionsAreBoundedTogether() throws {
    let patterns = [String](repeating: TokenizerFixture.split(String(repeating: "a", count: 16_000)), count: 5)
    let sequence = "{\"type\": \"Sequence\", \"pretokenizers\": [\(patterns.joined(separator: ", "))]}"
    #expect(try refusal(TokenizerFixture.text(preTokenizer: sequence)).contains("longer than 65536 bytes in all"))
  }

  /// What is not found out when the file is read ends all the same: what comes behind has no match.
  @Test func aRegularExpressionThatExplodesLaterIsGivenUp() throws {
    let tokenizer = try TokenizerFixture.tokenizer(
      ofText: TokenizerFixture.text(preTokenizer: TokenizerFixture.split("(?:x+x+)+$|(?<=a)")))
    let short = tokenizer.encode("abxab")
    #expect(short == [0, 1, 4, 0, 1])
    let time = processorTime {
      let long = tokenizer.encode("ab" + String(repeating: "x", count: 60) + "!ab")
      #expect(long == [0, 1] + [Int32](repeating: 4, count: 60) + [5, 2])
    }
    #expect(time < .seconds(2))
  }

  /// Each of a hundred replacements would double the text.
  @Test func textsDoNotGrowWithoutBound() throws {
    let double = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#
    let sequence =
      "{\"type\": \"Sequence\", \"normalizers\": [\([String](repeating: double, count: 10).joined(separator: ", "))]}"
    let tokenizer = try TokenizerFixture.tokenizer(ofText: TokenizerFixture.text(normalizer: sequence))
    #expect(tokenizer.encode("a").count == 1_024)
    let long = double.replacing("aa", with: String(repeating: "a", count: 2_000))
    #expect(try refusal(TokenizerFixture.text(normalizer: long)).contains("longer than 1024"))
  }
}
