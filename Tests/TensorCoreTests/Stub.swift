import Testing
@testable import TensorCore

@Test func stub() {}
