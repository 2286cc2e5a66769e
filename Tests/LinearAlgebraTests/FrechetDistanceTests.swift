import Foundation
import Testing

import Basics
@testable import LinearAlgebra

@Suite struct FrechetDistanceTests {
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
}
