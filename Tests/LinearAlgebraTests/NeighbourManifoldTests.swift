import Testing

@testable import Basics
@testable import LinearAlgebra

@Suite struct NeighbourManifoldTests {
  /// Clouds around (10·kind, 0).
  private func cloud(_ kinds: [Int], each: Int = 40, stream: UInt64) -> Matrix {
    var random = Philox(seed: 4, stream: stream)
    let elements = kinds.flatMap { kind in
      (0..<each).flatMap { _ in [10 * Double(kind) + random.normal(), random.normal()] }
    }
    return Matrix(elements, rows: kinds.count * each, columns: 2)
  }

  private func precisionAndRecall(_ drawn: Matrix, _ real: Matrix) -> (precision: Double, recall: Double) {
    (NeighbourManifold(real).share(of: drawn), NeighbourManifold(drawn).share(of: real))
  }

  @Test func radiiReachToTheNeighbour() {
    let line = Matrix([0, 1, 3, 6, 10], rows: 5, columns: 1)
    #expect(NeighbourManifold(line, neighbours: 1).squaredRadii == [1, 1, 4, 9, 16])
    #expect(NeighbourManifold(line, neighbours: 3).squaredRadii == [36, 25, 9, 25, 81])
    // 0 … 1 … 3 … 6 … 10 with radii 1, 1, 2, 3, 4.
    let manifold = NeighbourManifold(line, neighbours: 1)
    #expect(manifold.share(of: Matrix([-1.5, -1, 5.5, 14, 14.5], rows: 5, columns: 1)) == 0.6)
  }

  @Test func equalSetsHaveBoth() {
    let real = cloud([0, 1], stream: 1)
    #expect(precisionAndRecall(real, real) == (1, 1))
    // Also where rows are there several times, more often than neighbours are counted.
    let same = Matrix(Array(repeating: [0.1, 0.3], count: 9).flatMap(\.self), rows: 9, columns: 2)
    #expect(precisionAndRecall(same, same) == (1, 1))
    let other = precisionAndRecall(cloud([0, 1], stream: 2), real)
    #expect(other.precision > 0.8 && other.recall > 0.8)
  }

  @Test func disjointSetsHaveNeither() {
    #expect(precisionAndRecall(cloud([5], stream: 1), cloud([0, 1], stream: 2)) == (0, 0))
  }

  @Test func forgettingLowersRecall() {
    let (precision, recall) = precisionAndRecall(cloud([0, 1], stream: 1), cloud([0, 1, 2, 3], stream: 2))
    #expect(precision > 0.8 && recall > 0.4 && recall <= 0.5)
  }

  @Test func whatIsBesideTheDataLowersPrecision() {
    let (precision, recall) = precisionAndRecall(cloud([0, 1, 2, 3], stream: 1), cloud([0, 1], stream: 2))
    #expect(recall > 0.8 && precision > 0.4 && precision <= 0.5)
  }
}
