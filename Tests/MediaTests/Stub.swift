import Testing
@testable import Media

@Test func stub() {}
