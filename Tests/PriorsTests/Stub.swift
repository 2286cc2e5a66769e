import Testing
@testable import Priors

@Test func stub() {}
