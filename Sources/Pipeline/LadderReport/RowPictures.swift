import Imaging
import LinearAlgebra

/// How rows are shown as square pictures.
public struct RowPictures: Sendable, Equatable {
  /// Pixels.
  public let side: Int
  /// What is white, of rows of S·S numbers; nil of rows of S·S·3 numbers in [0, 1), which are colors.
  public let white: Double?

  private static let greySides = 8...64

  /// Pictures of S × S × 3.
  public init(side: Int) { (self.side, white) = (side, nil) }

  /// A matrix is taken for grey pictures where its rows have S·S numbers, S from 8 to 64, that are all from 0 to 1, or all from 0 to 255.
  /// - Returns: nil where it is not.
  public init?(greyRows rows: Matrix) {
    guard let side = Self.greySide(rows.columns), let largest = rows.elements.max(),
      (0...255).contains(largest), rows.elements.allSatisfy({ $0 >= 0 })
    else { return nil }
    (self.side, white) = (side, largest > 1 ? 255 : 1)
  }

  /// Draws of a model of grey pictures may lie beyond what pictures hold. Where one number in twenty is above 2, white is 255.
  /// - Returns: nil where rows of so many numbers are no such pictures.
  public init?(greyDraws rows: Matrix) {
    guard let side = Self.greySide(rows.columns) else { return nil }
    let large = rows.elements.count { $0 > 2 }
    (self.side, white) = (side, 20 * large > rows.elements.count ? 255 : 1)
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
