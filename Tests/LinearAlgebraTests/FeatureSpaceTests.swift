import Testing

@testable import LinearAlgebra

@Suite struct FeatureSpaceTests {
  @Test func theFeatureSpaceHoldsTheLeadingDirections() throws {
    // Rows vary by 3 along one direction, by 1 along another, and not at all along the third.
    let axes = rotation(3)
    var rows: [[Double]] = []
    for i in 0..<8 {
      let (a, b) = (3 * (i % 2 == 0 ? 1.0 : -1), i % 4 < 2 ? 1.0 : -1)
      rows.append((0..<3).map { 5 + a * axes[$0, 0] + b * axes[$0, 1] })
    }
    let space = try FeatureSpace(matrix(rows), components: 64)
    // No more than there are dimensions; the third holds no variance.
    #expect(space.count == 3)
    for row in 0..<3 {
      #expect(abs(abs(space.components[0, row]) - abs(axes[row, 0])) < 1e-10)
      #expect(abs(abs(space.components[1, row]) - abs(axes[row, 1])) < 1e-10)
    }
    let projected = GaussianStatistics(space.project(matrix(rows)))
    #expect(projected.mean.allSatisfy { abs($0) < 1e-12 })
    #expect(abs(projected.covariance[0, 0] - 9) < 1e-10 && abs(projected.covariance[1, 1] - 1) < 1e-10)
    #expect(abs(projected.covariance[2, 2]) < 1e-10)
    // Fewer rows than dimensions.
    #expect(try FeatureSpace(matrix([[0, 0, 1], [0, 1, 0], [1, 0, 0]]), components: 64).count == 2)
  }
}
