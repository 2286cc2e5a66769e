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
  /// Of more pictures so many are looked at, evenly spread: a patch takes 6 KB.
  private static let maximumPictures = 4000

  private let space: FeatureSpace
  private let patchSide: Int

  /// - Parameter training: whose patches say what is looked at; not empty, and all of one size.
  /// - Throws: `PipelineError` of kind `.badData` where there is nothing in the patches to look at.
  package init(_ training: [Picture], threads: Int) throws(PipelineError) {
    patchSide = min(Self.side, training[0].width)
    space = try FeatureSpace(
      Self.patches(training, side: patchSide), components: FeatureSpace.standardComponents, threads: threads)
  }

  /// - Parameters:
  ///   - a: as many pictures as `b`, whose patches are taken at the same places.
  ///   - b: of the size of the training pictures.
  /// - Returns: squared, in units of pixels in [0, 1], summed over a patch.
  package func between(_ a: [Picture], _ b: [Picture]) throws(PipelineError) -> Double {
    try FrechetDistance.between(
      statistics(a.spread(over: Self.maximumPictures)), statistics(b.spread(over: Self.maximumPictures)))
  }

  private func statistics(_ pictures: [Picture]) -> GaussianStatistics {
    GaussianStatistics(space.project(Self.patches(pictures, side: patchSide)))
  }

  /// [10·N, 3·side²], in [-1, 1].
  private static func patches(_ pictures: [Picture], side: Int) -> Matrix {
    var random = Philox(seed: 0, stream: RandomStream.evaluatedPatches())
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
