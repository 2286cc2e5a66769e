import Testing

@testable import ServerPage

@Suite struct ServerPageTests {
  @Test func theFilesAreThere() { #expect(ServerPage.files.count == 8) }
}
