import Foundation
import LinearAlgebra

/// Of draws and real rows, as many of each (Kynkäänniemi et al. 2019); see `NeighbourManifold`.
public struct PrecisionAndRecall: Encodable, Sendable, Equatable {
  /// The share of the draws that lie where real rows may.
  public var precision: Double
  /// The share of the real rows that lie where draws may.
  public var recall: Double

  public init(precision: Double, recall: Double) { (self.precision, self.recall) = (precision, recall) }

  /// What a person should make of it.
  /// - Parameter real: the same of real rows in place of draws, which do not reach 1 either.
  func meaning(besides real: PrecisionAndRecall) -> String {
    let (p, r) = (Self.percent(precision), Self.percent(recall))
    switch (precision >= Self.share * real.precision, recall >= Self.share * real.recall) {
    case (true, true):
      return
        "Of what it draws \(p) lie among the training data, and of these \(r) among its draws: nearly as real data would."
    case (false, true):
      return
        "Of what it draws only \(p) lie among the training data, but of these \(r) among its draws: it forgets little, "
        + "and much of it is blurred, noisy, or between the kinds."
    case (true, false):
      return
        "Of what it draws \(p) lie among the training data, but of these only \(r) among its draws: what it draws is "
        + "near enough to real data, and it leaves out much of what there is."
    case (false, false):
      return
        "Of what it draws only \(p) lie among the training data, and of these only \(r) among its draws: it blurs, and it "
        + "leaves out much of what there is."
    }
  }

  /// How near to real data a figure has to come for it to be called good.
  private static let share = 0.75

  private static func percent(_ share: Double) -> String { String(format: "%.0f%%", 100 * share) }
}

/// Real rows in a feature space, and other rows that are compared with them.
struct RealRows: Sendable {
  private let manifold: NeighbourManifold

  /// - Parameter features: [N, D].
  /// - Returns: nil where there are too few.
  init?(features: Matrix) {
    guard features.rows > NeighbourManifold.standardNeighbours else { return nil }
    manifold = NeighbourManifold(features)
  }

  /// N
  var count: Int { manifold.points.rows }

  /// - Parameter features: of draws, [M, D], of which the first N are looked at.
  /// - Returns: nil where there are fewer than N.
  func precisionAndRecall(ofDraws features: Matrix) -> PrecisionAndRecall? {
    guard features.rows >= count else { return nil }
    let drawn = features.rows(0..<count)
    return PrecisionAndRecall(
      precision: manifold.share(of: drawn), recall: NeighbourManifold(drawn).share(of: manifold.points))
  }
}
