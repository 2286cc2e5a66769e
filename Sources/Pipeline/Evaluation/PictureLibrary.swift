import Basics
import Datasets
import Imaging

/// Every picture of a data set box-filtered to 32×32 RGB, to look up which of them are near to a picture.
package struct PictureLibrary: Sendable {
  private static let side = 32
  /// [side·side·3] each, in the order of the data set's entries.
  private let features: [[UInt8]]

  package init(_ dataSet: PictureDataSet) throws(PipelineError) {
    var features: [[UInt8]] = []
    for index in dataSet.entries.indices { features.append(Self.feature(try dataSet.picture(at: index))) }
    self.features = features
  }

  private static func feature(_ picture: Picture) -> [UInt8] {
    picture.resized(width: side, height: side).pixels
  }

  /// A picture's distances from all of the data set.
  package struct Distances {
    /// Squared, summed over the elements.
    fileprivate let squared: [Int32]

    /// Where the picture at `index` of the data set stands among all.
    package func place(of index: Int) -> Evaluation.Place {
      let own = squared[index]
      return .init(rank: squared.count { $0 < own }, distance: rootMeanSquare(at: index))
    }

    /// The position of the nearest of some pictures.
    package func nearest(of indices: [Int]) -> Int? { indices.min { squared[$0] < squared[$1] } }

    /// The root of the mean squared difference of an element, in [0, 1].
    package func rootMeanSquare(at index: Int) -> Double {
      (Double(squared[index]) / Double(side * side * 3)).squareRoot() / 255
    }
  }

  package func distances(from picture: Picture) -> Distances {
    let feature = Self.feature(picture)
    return Distances(squared: features.map { Self.squaredDistance(feature, $0) })
  }

  private static func squaredDistance(_ a: [UInt8], _ b: [UInt8]) -> Int32 {
    // 32·32·3·255² is below 2³¹.
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        var sum: Int32 = 0
        for i in a.indices {
          let difference = Int32(a[i]) - Int32(b[i])
          sum &+= difference &* difference
        }
        return sum
      }
    }
  }
}
