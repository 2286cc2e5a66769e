import Testing
@testable import LatentModels

@Test func stub() {}
