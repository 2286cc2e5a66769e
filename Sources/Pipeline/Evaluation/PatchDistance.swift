import Basics
import Datasets
import Imaging
import LinearAlgebra

/// A distance between two sets of pictures that sees how sharp they are: the Fréchet distance of their patches at full size.
///
/// Of each picture ten patches of 16×16 pixels are taken, at places that are chosen once, each channel less its mean, and
/// projected to the first 64 principal components of the training pictures' patches. What is small in a picture, its edges and
/// its grain, is most of what is left, and a blur takes it away; the distance of 32×32 pictures hardly notices.
package struct PatchDistance {
  private static let side = 16
  private static let patchesPerPicture = 10
  /// Of more pictures so many are looked at.
  package static let maximumPictures = 4000

  private let space: FeatureSpace
  private let patchSide: Int

  /// - Parameter training: whose patches say what is looked at; not empty, and all of one size.
  /// - Throws: `PipelineError` of kind `.badData` where there is nothing in the patches to look at.
  package init(_ training: [Picture], threads: Int) throws(PipelineError) {
    patchSide = min(Self.side, training[0].width)
    var random = Self.places()
    space = try FeatureSpace(
      Self.patches(training, side: patchSide, using: &random), components: FeatureSpace.standardComponents,
      threads: threads)
  }

  /// Pictures to compare, which may come in groups.
  package struct Sample {
    /// The same places in each sample, from picture to picture.
    private var random = PatchDistance.places()
    private let distance: PatchDistance
    /// [10·N, components], row after row.
    private var projected: [Double] = []

    fileprivate init(_ distance: PatchDistance) { self.distance = distance }

    /// - Parameter pictures: of the size of the training pictures.
    package mutating func add(_ pictures: [Picture]) {
      let patches = PatchDistance.patches(pictures, side: distance.patchSide, using: &random)
      projected += distance.space.project(patches).elements
    }

    fileprivate var statistics: GaussianStatistics {
      let columns = distance.space.count
      return GaussianStatistics(Matrix(projected, rows: projected.count / columns, columns: columns))
    }
  }

  /// An empty sample. Of many pictures ``maximumPictures`` are enough.
  package func sample() -> Sample { Sample(self) }

  /// - Parameters:
  ///   - a: at least one picture.
  ///   - b: as many pictures, whose patches are taken at the same places.
  /// - Returns: squared, in units of pixels in [0, 1], summed over a patch.
  package func between(_ a: Sample, _ b: Sample) throws(PipelineError) -> Double {
    try FrechetDistance.between(a.statistics, b.statistics)
  }

  private static func places() -> Philox { Philox(seed: 0, stream: RandomStream.evaluatedPatches()) }

  /// [10·N, 3·side²], in [-1, 1].
  private static func patches(_ pictures: [Picture], side: Int, using random: inout Philox) -> Matrix {
    var elements: [Double] = []
    elements.reserveCapacity(pictures.count * patchesPerPicture * side * side * 3)
    for picture in pictures {
      for _ in 0..<patchesPerPicture {
        let x = random.index(below: picture.width - side + 1)
        let y = random.index(below: picture.height - side + 1)
        elements += patch(of: picture, x: x, y: y, side: side)
      }
    }
    return Matrix(elements, rows: pictures.count * patchesPerPicture, columns: side * side * 3)
  }

  private static func patch(of picture: Picture, x: Int, y: Int, side: Int) -> [Double] {
    var values: [Double] = []
    for row in y..<y + side {
      let start = (row * picture.width + x) * 3
      values += picture.pixels[start..<start + side * 3].map { Double($0) / 255 }
    }
    for channel in 0..<3 {
      let own = stride(from: channel, to: values.count, by: 3)
      let mean = own.reduce(0) { $0 + values[$1] } / Double(side * side)
      for i in own { values[i] -= mean }
    }
    return values
  }
}
