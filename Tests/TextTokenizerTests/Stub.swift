import Testing
@testable import TextTokenizer

@Test func stub() {}
