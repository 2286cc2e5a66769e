import Testing
@testable import NN

@Test func stub() {}
