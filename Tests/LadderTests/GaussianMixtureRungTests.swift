import LatentModels
import LinearAlgebra
import Testing

@testable import Ladder

struct GaussianMixtureRungTests {
  private func notes(_ points: [[Double]], components: Int) throws -> [String] {
    var options = LadderOptions()
    options.components = components
    let x = Matrix(points.flatMap(\.self), rows: points.count, columns: points[0].count)
    return try GaussianMixtureRung.fit(x, side: nil, options: options).notes
  }

  /// Nor is a component without points drawn away from all of them.
  @Test func componentsWithoutPointsStayAmongThem() throws {
    var options = LadderOptions()
    options.components = 4
    let x = Matrix((0..<20).map { Double($0 % 4 < 2 ? 100 : 104) }, rows: 10, columns: 2)
    let fitted = try GaussianMixtureRung.fit(x, side: nil, options: options).model
    let means = try #require(fitted as? GaussianMixture).means
    #expect(means.rows == 4 && means.elements.allSatisfy { (99...105).contains($0) }, "\(means)")
  }

  /// More components than different points are fitted, and it is said that they are too many, and which are empty.
  @Test func componentsWithoutPointsAreTold() throws {
    let few = try notes(Array(repeating: [0, 0], count: 5) + Array(repeating: [4, 1], count: 5), components: 4)
    #expect(few.contains { $0.hasPrefix("There are 2 different points for 4 components") })
    #expect(few.contains { $0.hasPrefix("Components ") && $0.contains("no weight") })
    let enough = try notes((0..<12).map { [Double($0 % 3) * 9, Double($0)] }, components: 3)
    #expect(!enough.contains { $0.contains("different points") || $0.contains("no weight") })
  }
}
