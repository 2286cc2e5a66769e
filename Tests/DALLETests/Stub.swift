import Testing
@testable import DALLE

@Test func stub() {}
