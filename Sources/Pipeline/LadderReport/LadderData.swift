import Basics
import Captions
import Datasets
import Foundation
import Imaging
import LinearAlgebra

/// What the rungs of the ladder are fitted on and measured with: a matrix whose rows are points, or a folder of pictures
/// whose rows are pixels.
///
/// A pixel channel is x = (byte + u) / 256 with u uniform in [0, 1) (Theis et al. 2016, section 3.1): a density that is
/// fitted to such rows, averaged over the noise, is a lower bound of the probability of the bytes themselves, so that
/// densities of different models compare, and none gains by putting spikes on 256 values.
public struct LadderData: Sendable {
  /// Rows that are used together.
  public enum Part: String, Sendable, CaseIterable, Codable {
    case train, validation, test
    /// Validation and test.
    case heldOut = "held-out"
    case all
  }

  /// The folder's or file's name.
  public let name: String
  /// S, where rows are pictures of S × S × 3; nil for a matrix.
  public let side: Int?
  /// How rows are shown, where they are pictures, or a matrix that can be taken for grey ones; nil for other points.
  public let pictures: RowPictures?
  /// All rows, [N, D].
  public let rows: Matrix
  /// What each row is for.
  public let splits: [Split]
  /// Whether the data say themselves what each row is for.
  public let areSplitsGiven: Bool
  /// Each picture's first caption; empty for a matrix.
  public let captions: [String]

  /// The most numbers that are read: 2 GiB of Float64.
  private static let mostElements = 1 << 28
  /// In a matrix, which names no splits, one row in ten is held out where rows have to be.
  private static let heldOutShare = 10

  /// Pictures of a data set, box-filtered to its size and dequantised. The noise of a picture depends on its place in the
  /// data set alone.
  /// - Throws: `PipelineError` of kind `.badData` where they are too many for the memory or one cannot be read.
  public init(_ dataSet: PictureDataSet) throws(PipelineError) {
    let side = dataSet.pictureSize
    let width = side * side * 3
    let count = dataSet.entries.count
    guard count * width <= Self.mostElements else {
      throw PipelineError(
        .badData,
        "\(dataSet.url.path) holds \(count) pictures, too many at \(side)×\(side) pixels; give a smaller `side`")
    }
    var elements: [Double] = []
    elements.reserveCapacity(count * width)
    for index in dataSet.entries.indices {
      var random = Philox(
        seed: 0, stream: RandomStream.ladderDequantization(), counter: UInt64(index) * UInt64((width + 3) / 4))
      for byte in try dataSet.picture(at: index).pixels {
        elements.append((Double(byte) + Double(random.uniform())) / 256)
      }
    }
    self.init(
      name: dataSet.url.lastPathComponent, side: side, rows: Matrix(elements, rows: count, columns: width),
      splits: dataSet.entries.map(\.split), areSplitsGiven: true, captions: dataSet.entries.map { $0.captions[0] })
  }

  /// The rows of a matrix. Unless their splits are given, one in ten, chosen at random but always the same, is `test`, the
  /// others are `train`; ``Part/all`` takes them together.
  /// - Parameters:
  ///   - matrix: [N, D].
  ///   - name: what messages and the page call it.
  ///   - given: of each row 0 for training, 1 for validation, 2 for test.
  ///   - allowsMissingValues: whether NaN may stand for a value that is missing.
  /// - Throws: `PipelineError` of kind `.badData` where it is empty, an element is not finite or a split is none.
  public init(
    _ matrix: Matrix, name: String, splits given: [Int]? = nil, allowsMissingValues: Bool = false
  ) throws(PipelineError) {
    guard matrix.rows > 0, matrix.columns > 0 else {
      throw PipelineError(.badData, "\(name) is empty: it has \(matrix.rows) rows of \(matrix.columns) numbers")
    }
    if let bad = matrix.elements.firstIndex(where: { $0.isInfinite || $0.isNaN && !allowsMissingValues }) {
      throw PipelineError(
        .badData,
        "\(name) holds \(matrix.elements[bad]) in row \(bad / matrix.columns), column \(bad % matrix.columns) "
          + "(counted from 0); remove or replace what is not a finite number")
    }
    if let given {
      let splits = given.compactMap { Split.allCases.indices.contains($0) ? Split.allCases[$0] : nil }
      guard given.count == matrix.rows, splits.count == matrix.rows else {
        throw PipelineError(
          .badData,
          "the splits of \(name) are not 0 (train), 1 (validation) or 2 (test) for each of \(matrix.rows) rows")
      }
      self.init(name: name, side: nil, rows: matrix, splits: splits, areSplitsGiven: true, captions: [])
      return
    }
    var random = Philox(seed: 0, stream: RandomStream.ladderSplit())
    var splits = [Split](repeating: .train, count: matrix.rows)
    let heldOut = matrix.rows < 2 ? 0 : max(1, matrix.rows / Self.heldOutShare)
    for row in random.permutation(matrix.rows).prefix(heldOut) { splits[row] = .test }
    self.init(name: name, side: nil, rows: matrix, splits: splits, areSplitsGiven: false, captions: [])
  }

  private init(
    name: String, side: Int?, rows: Matrix, splits: [Split], areSplitsGiven: Bool, captions: [String]
  ) {
    (self.name, self.side, self.rows, self.splits, self.captions) = (name, side, rows, splits, captions)
    pictures = side.map { RowPictures(side: $0) } ?? RowPictures(greyRows: rows)
    self.areSplitsGiven = areSplitsGiven
  }

  /// D
  public var dimensions: Int { rows.columns }

  /// The positions of a part's rows, ascending.
  public func indices(of part: Part) -> [Int] {
    splits.indices.filter { i in
      switch part {
      case .train: splits[i] == .train
      case .validation: splits[i] == .validation
      case .test: splits[i] == .test
      case .heldOut: splits[i] != .train
      case .all: true
      }
    }
  }

  /// A part's rows.
  /// - Throws: `PipelineError` of kind `.badData` where there are none.
  public func matrix(of part: Part) throws(PipelineError) -> Matrix {
    let indices = indices(of: part)
    guard !indices.isEmpty else {
      throw PipelineError(.badData, "\(name) has no rows in the part \(part.rawValue)")
    }
    return rows.selecting(indices)
  }

  /// Turns a density over rows in [0, 1) into bits a dimension for the bytes that rows were made of:
  ///
  ///     -log₂ p(x) / D + log₂ 256
  public static func bitsPerDimension(meanLogLikelihood: Double, dimensions: Int) -> Double {
    8 - meanLogLikelihood / Double(dimensions) / log(2)
  }
}

extension Matrix {
  /// Rows of S·S·3 values in [0, 1), clamped, as pictures.
  public func pictures(side: Int) -> [Picture] {
    precondition(columns == side * side * 3, "\(columns) numbers are no picture of \(side)×\(side)")
    return (0..<rows).map { i in
      // The inverse of dequantisation: a byte covers an interval of 1/256.
      Picture(width: side, height: side, pixels: row(i).map { UInt8(min(255, max(0, $0 * 256))) })
    }
  }
}
