import DALLE
import Foundation
import Testing

/// The documentation's tutorial, Sources/DALLE/DALLE.docc.
@Suite struct TutorialTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../Sources/DALLE/DALLE.docc").standardizedFileURL

  private func page(_ name: String) throws -> String {
    try String(contentsOf: Self.folder.appendingPathComponent("\(name).md"), encoding: .utf8)
  }

  @Test(arguments: Rung.allCases.map(\.rawValue) + ["dalle-itself"])
  func everyRungHasAPageWithAPicture(_ name: String) throws {
    let page = try page(name)
    #expect(try self.page("TheLadder").contains("<doc:\(name)>"))
    let picture = try #require(page.firstMatch(of: /!\[[^\]]+\]\(([a-z0-9-]+)\)/)?.1)
    _ = try Picture(contentsOf: Self.folder.appendingPathComponent("Resources/\(picture).png"))
    #expect(name == "dalle-itself" || page.contains("dalle-cli baselines fit \(name) "))
  }

  /// The pages lead from the first rung to the last.
  @Test func eachPageLeadsToTheNext() throws {
    let names = Rung.allCases.map(\.rawValue) + ["dalle-itself"]
    for (name, next) in zip(names, names.dropFirst()) { #expect(try page(name).contains("Next: <doc:\(next)>.")) }
  }
}
