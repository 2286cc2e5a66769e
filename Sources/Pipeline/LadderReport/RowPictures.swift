import Imaging
import LinearAlgebra

/// How rows are shown as square pictures.
public struct RowPictures: Sendable, Equatable {
  /// Pixels.
  public let side: Int
  /// What is white, of rows of S·S numbers; nil of rows of S·S·3 numbers in [0, 1), which are colors.
  public let white: Double?

  private static let greySides = 8...64
  /// What white is where pictures hold shares, four bits and one more (as scikit-learn's digits do), or bytes.
  private static let whites: [Double] = [1, 16, 255]

  /// Pictures of S × S × 3.
  public init(side: Int) { (self.side, white) = (side, nil) }

  /// A matrix is taken for grey pictures where its rows have S·S numbers, S from 8 to 64, that are all from 0 to 1, to 16, or to 255.
  /// - Returns: nil where it is not.
  public init?(greyRows rows: Matrix) {
    guard let side = Self.greySide(rows.columns), let largest = rows.elements.max(),
      let white = Self.whites.first(where: { largest <= $0 }), rows.elements.allSatisfy({ $0 >= 0 })
    else { return nil }
    (self.side, self.white) = (side, white)
  }

  /// Draws of a model of grey pictures may lie beyond what pictures hold. White is the least of 1, 16 and 255 of which no more than
  /// one number in twenty is above the double.
  /// - Returns: nil where rows of so many numbers are no such pictures.
  public init?(greyDraws rows: Matrix) {
    guard let side = Self.greySide(rows.columns) else { return nil }
    white =
      Self.whites.first { white in 20 * rows.elements.count { $0 > 2 * white } <= rows.elements.count }
      ?? Self.whites.last
    self.side = side
  }

  /// S of rows of S·S numbers, where it is one of those that are shown as grey pictures.
  public static func greySide(_ columns: Int) -> Int? { greySides.first { $0 * $0 == columns } }

  /// The rows, brought into what pictures hold.
  /// - Precondition: they are as wide as such pictures.
  public func callAsFunction(_ rows: Matrix) -> [Picture] {
    guard let white else { return rows.pictures(side: side) }
    precondition(rows.columns == side * side, "\(rows.columns) numbers are no grey picture of \(side)×\(side)")
    return (0..<rows.rows).map { i in
      let grey = rows.row(i).map { UInt8((min(max($0 / white, 0), 1) * 255).rounded()) }
      return Picture(width: side, height: side, pixels: grey.flatMap { [$0, $0, $0] })
    }
  }
}
