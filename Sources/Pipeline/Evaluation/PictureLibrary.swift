import Basics
import Datasets
import Imaging

/// Pictures box-filtered to 32×32 RGB, mostly all of a data set, to look up which of them are near to a picture.
package struct PictureLibrary: Sendable {
  /// [32·32·3] each, in the order of the data set's entries; empty where a picture is damaged.
  private let features: [[UInt8]]

  /// - Parameter thumbnails: see `Picture.thumbnail`.
  package init(thumbnails: [[UInt8]]) { features = thumbnails }

  /// All of a data set's pictures; a damaged one, which is reported, is near to none.
  /// - Throws: `PipelineError` for a damaged picture if the data set was opened with `strict`.
  package init(_ dataSet: PictureDataSet, team: ThreadTeam) throws(PipelineError) {
    if let encoded = dataSet.encoded {
      features = dataSet.entries.indices.map(encoded.thumbnail)
      return
    }
    var features = team.map(dataSet.entries.count) { (try? dataSet.picture(at: $0).thumbnail) ?? [] }
    for index in features.indices where features[index].isEmpty {
      features[index] = try dataSet.pictureIfReadable(at: index)?.thumbnail ?? []
    }
    self.features = features
  }

  /// Whether the picture at `index` of the data set is there to be found, for it could be read.
  package func contains(_ index: Int) -> Bool { !features[index].isEmpty }

  /// A picture's distances from all of the data set.
  package struct Distances {
    /// Squared, summed over the elements.
    fileprivate let squared: [Int32]
    fileprivate let elementCount: Int

    /// Where the picture at `index` of the data set stands among all.
    package func place(of index: Int) -> Evaluation.Place {
      let own = squared[index]
      return .init(rank: squared.count { $0 < own }, distance: rootMeanSquare(at: index))
    }

    /// The same of the nearest of some pictures, at least one.
    package func place(ofNearest indices: [Int]) -> Evaluation.Place { place(of: nearest(of: indices)!) }

    /// The position of the nearest of some pictures.
    package func nearest(of indices: [Int]) -> Int? { indices.min { squared[$0] < squared[$1] } }

    /// The root of the mean squared difference of an element, in [0, 1].
    package func rootMeanSquare(at index: Int) -> Double {
      (Double(squared[index]) / Double(elementCount)).squareRoot() / 255
    }
  }

  package func distances(from picture: Picture) -> Distances {
    let feature = picture.thumbnail
    return Distances(squared: features.map { Self.squaredDistance(feature, $0) }, elementCount: feature.count)
  }

  private static func squaredDistance(_ a: [UInt8], _ b: [UInt8]) -> Int32 {
    guard a.count == b.count else { return .max }
    // 32·32·3·255² is below 2³¹.
    return a.withUnsafeBufferPointer { a in
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

extension PictureDataSet {
  /// For each of some pictures all that have its first caption, itself among them: any of them is what the caption asks for.
  package func sharingCaption(of indices: [Int]) -> [[Int]] {
    let captions = indices.map { entries[$0].captions[0] }
    let wanted = Set(captions)
    var places: [String: [Int]] = [:]
    for index in entries.indices {
      let caption = entries[index].captions[0]
      if wanted.contains(caption) { places[caption, default: []].append(index) }
    }
    return captions.map { places[$0]! }
  }
}
