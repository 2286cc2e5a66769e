import Testing

@testable import TextTokenizer

@Test func theEmptyTextHasNoIds() throws {
  let vocabulary = try BytePairEncoding.train(on: ["a red heart"], vocabularySize: 300, minimumFrequency: 1)
  #expect(vocabulary.encode("") == [])
  #expect(vocabulary.decode([]) == "")
}
