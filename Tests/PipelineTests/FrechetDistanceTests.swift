import Foundation
import LinearAlgebra
import Testing

@testable import Basics
@testable import LadderReport

@Suite struct FrechetDistanceTests {
  private func matrix(_ rows: [[Double]]) -> Matrix {
    Matrix(rows.flatMap(\.self), rows: rows.count, columns: rows[0].count)
  }

  private func diagonal(_ values: [Double]) -> Matrix {
    matrix(values.indices.map { i in values.indices.map { $0 == i ? values[i] : 0 } })
  }

  /// A rotation by Givens rotations in several planes.
  private func rotation(_ size: Int) -> Matrix {
    var result = diagonal(Array(repeating: 1, count: size))
    for i in 0..<size - 1 {
      let (c, s) = (cos(0.3 + Double(i)), sin(0.3 + Double(i)))
      for row in 0..<size {
        let (a, b) = (result[row, i], result[row, i + 1])
        (result[row, i], result[row, i + 1]) = (c * a - s * b, s * a + c * b)
      }
    }
    return result
  }

  @Test func covariancesThatCommuteHaveAClosedForm() throws {
    // tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½) = Σ (√a - √b)², whatever the common axes.
    let (a, b) = ([4, 1, 0.25, 9.0], [1, 1, 2.25, 0.0])
    let axes = rotation(4)
    func rotated(_ values: [Double]) -> Matrix { .product(.product(axes, diagonal(values)), axes, transposing: .right) }
    let (means, shift) = ([1, 2, 3, 4.0], [1, 2, 3.5, 2.0])
    let distance = try FrechetDistance.between(
      GaussianStatistics(mean: means, covariance: rotated(a)),
      GaussianStatistics(mean: shift, covariance: rotated(b)))
    let expected = 0.25 + 4 + zip(a, b).reduce(0) { $0 + pow($1.0.squareRoot() - $1.1.squareRoot(), 2) }
    // An eigenvalue of zero is met to the square root of the rounding.
    #expect(abs(distance - expected) < 1e-6)
  }

  @Test func covariancesOfTwoDimensionsHaveAClosedForm() throws {
    // The eigenvalues p, q of a 2×2 matrix have (√p + √q)² = trace + 2 √determinant; these do not commute.
    let a = matrix([[2, 0.7], [0.7, 1]]), b = matrix([[0.5, -0.3], [-0.3, 3]])
    let product = Matrix.product(a, b)
    let determinant = (2 * 1 - 0.49) * (0.5 * 3 - 0.09)
    let expected = 3 + 3.5 - 2 * (product[0, 0] + product[1, 1] + 2 * determinant.squareRoot()).squareRoot()
    let (x, y) = (
      GaussianStatistics(mean: [0, 0], covariance: a), GaussianStatistics(mean: [0, 0], covariance: b)
    )
    #expect(abs(try FrechetDistance.between(x, y) - expected) < 1e-12)
    #expect(abs(try FrechetDistance.between(y, x) - expected) < 1e-12)
    #expect(try FrechetDistance.between(x, x) < 1e-12)
  }

  @Test func theRootOfACovarianceIsItsRoot() throws {
    let covariance = matrix([[4, 1, 0], [1, 3, -1], [0, -1, 2]])
    let root = try FrechetDistance.squareRoot(covariance)
    for (x, y) in zip(Matrix.product(root, root).elements, covariance.elements) { #expect(abs(x - y) < 1e-12) }
  }

  @Test func statisticsOfPoints() {
    let statistics = GaussianStatistics(matrix([[0, 0], [2, 0], [0, 4], [2, 4]]))
    #expect(statistics.mean == [1, 2])
    #expect(statistics.covariance.elements == [1, 0, 0, 4])
    // One point, and points that do not vary.
    #expect(GaussianStatistics(matrix([[3, 5]])).covariance.elements == [0, 0, 0, 0])
  }

  @Test func numbersThatAreNotFinite() {
    let fine = GaussianStatistics(mean: [0], covariance: matrix([[1]]))
    let bad = GaussianStatistics(mean: [.nan], covariance: matrix([[1]]))
    #expect(throws: PipelineError.self) { try FrechetDistance.between(fine, bad) }
  }

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
