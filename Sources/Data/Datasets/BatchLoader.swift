import Basics
import Captions
import Foundation
import Imaging

/// The pictures and captions of one training step, or a process's part of them.
public struct Batch: Sendable, Equatable {
  /// Where in the whole batch the first of them stands.
  public var first = 0
  /// Where in the data set's `entries` each picture comes from; below 0 for one that was made for the batch.
  public var indices: [Int]
  /// One caption for each picture.
  public var captions: [String]
  /// `[batch, size, size, 3]`, row-major, 0...255; empty where the data set holds tokens in place of pictures.
  public var pixels: [UInt8]
}

/// Captioned pictures without end, made when they are asked for: a function of their number.
public protocol PictureMaker: Sendable {
  /// - Parameter number: 0 or above.
  /// - Returns: a picture of the data set's size, with at least one caption, the first one the primary one.
  /// - Throws: `PipelineError` where what it is made of cannot be read any more.
  func captionedPicture(_ number: Int) throws(PipelineError) -> (captions: [String], picture: Picture)
}

/// Puts together the batches of a training run, each picture once an epoch in an order that changes every epoch.
///
/// ``batch(at:)`` is a function of the seed, the step and the process's ``Part`` alone, so that a resumed run sees what the unbroken one would
/// have seen, in whatever order steps are asked for.
public final class BatchLoader: Sendable {
  public let dataSet: PictureDataSet
  public let indices: [Int]
  public let batchSize: Int
  public let seed: UInt64
  public let augmentation: Augmentation
  /// What the captions are said in; nil says them as they are.
  public let forms: CaptionForms?
  /// Without forms, how often a picture that has several captions is shown with its first one; otherwise the others are
  /// equally likely. Further captions, keywords above all, say less.
  private static let primaryCaptionShare: Float = 0.85

  /// Where given, every second picture of a batch is a neighbour of the one before it, and an epoch's order fills the
  /// places that are left.
  public let neighbours: CaptionNeighbours?

  /// Pictures that are shown among the others, and their share of all. They are spread evenly, so that what a sample is
  /// follows from its number.
  public struct Compositions: Sendable {
    /// Where they come from.
    public enum Source: Sendable {
      /// They are made when they are needed; not beside tokens.
      case made(any PictureMaker)
      /// These of the data set's `entries`, each once an epoch of their own.
      case shown([Int])
    }

    public var source: Source
    /// In 0 ... 1.
    public var share: Double

    public init(_ source: Source, share: Double) { (self.source, self.share) = (source, share) }

    /// How many of the first samples are of them.
    func count(ofFirst samples: Int) -> Int { Int((Double(samples) * share).rounded(.down)) }
  }

  /// Nil where all pictures are those of `indices`.
  public let compositions: Compositions?

  /// What a process has of each batch.
  public struct Part: Sendable, Equatable {
    /// Positions in the batch.
    public var positions: Range<Int>
    /// The process's number among those that train together, and how many there are.
    public var process: Int
    public var processCount: Int

    public init(positions: Range<Int>, process: Int = 0, of processCount: Int = 1) {
      (self.positions, self.process, self.processCount) = (positions, process, processCount)
    }

    /// As even as may be.
    package init(ofBatch batchSize: Int, process: Int, of processCount: Int) {
      let positions = batchSize * process / processCount..<batchSize * (process + 1) / processCount
      self.init(positions: positions, process: process, of: processCount)
    }
  }

  /// What is made of each batch.
  public let part: Part
  /// Whether the process has shards of its own, and goes through them by itself.
  private let hasOwnShards: Bool

  /// Blocks of four words that belong to one sample.
  private static let blocksPerSample: UInt64 = 16

  private let order: any SampleOrder
  private let compositionOrder: (any SampleOrder)?

  /// - Parameters:
  ///   - dataSet: whose pictures are shown.
  ///   - indices: the pictures to draw from, as positions in the data set's `entries`.
  ///   - batchSize: pictures a batch; it may be larger than the count of `indices`.
  ///   - seed: names the order, the captions and the augmentation.
  ///   - augmentation: what is done to each picture.
  ///   - forms: made for `indices` at least.
  ///   - neighbours: gives every second picture of a batch; nil shows them in the order of the epoch alone.
  ///   - compositions: pictures that are shown among those of `indices`; with `neighbours` none that are made.
  ///   - part: what is made of each batch, all unless given; with `neighbours` all.
  /// - Throws: `PipelineError` of kind `.badData` where there are no pictures, and `.usage` where `batchSize` is not
  ///   positive, or tokens are to be augmented.
  public init(
    dataSet: PictureDataSet, indices: [Int], batchSize: Int, seed: UInt64, augmentation: Augmentation = .none,
    forms: CaptionForms? = nil, neighbours: CaptionNeighbours? = nil, compositions: Compositions? = nil,
    part: Part? = nil
  ) throws(PipelineError) {
    guard !indices.isEmpty else {
      throw PipelineError(.badData, "the data set \(dataSet.url.path) has no pictures to train on")
    }
    guard batchSize > 0 else { throw PipelineError(.usage, "a batch size of \(batchSize) makes no sense") }
    guard dataSet.encoded == nil || augmentation == .none else {
      throw PipelineError(
        .usage,
        "the tokens in \(dataSet.url.path) are as they are: leave `maximumShift`, `maximumScaling` and `horizontalFlip` out"
      )
    }
    self.dataSet = dataSet
    self.indices = indices
    self.batchSize = batchSize
    self.seed = seed
    self.augmentation = augmentation
    self.forms = forms
    self.neighbours = neighbours
    self.compositions = compositions
    let part = part ?? Part(positions: 0..<batchSize)
    self.part = part
    precondition(neighbours == nil || part.positions == 0..<batchSize, "neighbours are those of a whole batch")
    let isStreamed = dataSet.isStreamed && neighbours == nil
    var ownShards = false
    func order(_ indices: [Int], list: UInt64) -> any SampleOrder {
      guard isStreamed else { return ShuffledOrder(indices, seed: seed, list: list) }
      var indices = indices.sorted()
      var shards = dataSet.divided(indices)
      // A process reads some of the shards only, where they can be dealt out evenly.
      if compositions == nil, let own = Self.dealt(shards, to: part, batchSize: batchSize) {
        ownShards = true
        indices = own.flatMap { indices[$0] }
        shards = dataSet.divided(indices)
      }
      return StreamOrder(
        indices, shards: shards, seed: seed, list: list,
        willRead: { dataSet.willRead($0) })
    }
    self.order = order(indices, list: 0)
    switch compositions?.source {
    case .shown(let composed): compositionOrder = order(composed, list: 1)
    case .made:
      precondition(neighbours == nil, "what is made has no neighbours")
      compositionOrder = nil
    case nil: compositionOrder = nil
    }
    hasOwnShards = ownShards
  }

  /// The shards that a process of several reads: the largest ones are dealt first, each to who has the fewest pictures for its part of
  /// a batch.
  /// - Returns: in their order; nil where one process would see its pictures more often than another by more than a twentieth, so
  ///   that all read all, or where there is one.
  static func dealt(_ shards: [Range<Int>], to part: Part, batchSize: Int) -> [Range<Int>]? {
    guard part.processCount > 1 else { return nil }
    var hands = [[Range<Int>]](repeating: [], count: part.processCount)
    // Of pictures, in units of the process's positions in a batch.
    var counts = [Double](repeating: 0, count: part.processCount)
    let positions = counts.indices.map { Part(ofBatch: batchSize, process: $0, of: part.processCount).positions.count }
    for shard in shards.sorted(by: { ($1.count, $0.lowerBound) < ($0.count, $1.lowerBound) }) {
      let fewest = counts.indices.min { counts[$0] < counts[$1] } ?? 0
      hands[fewest].append(shard)
      counts[fewest] += Double(shard.count) / Double(positions[fewest])
    }
    guard let least = counts.min(), let most = counts.max(), least > 0, 20 * (most - least) <= most else { return nil }
    return hands[part.process].sorted { $0.lowerBound < $1.lowerBound }
  }

  /// The pictures of a batch that come in the epoch's order.
  private var orderedPerBatch: Int { neighbours == nil ? batchSize : (batchSize + 1) / 2 }

  /// The batch of a step, counted from 0. A picture that turns out to be damaged is reported, and the next one in the
  /// epoch's order takes its place.
  /// - Throws: `PipelineError` where no picture can be read any more, or for the first damaged one if the data set was
  ///   opened with `strict`.
  /// - Precondition: `step` is not negative.
  public func batch(at step: Int) throws(PipelineError) -> Batch {
    let side = dataSet.pictureSize
    let positions = part.positions
    var batch = Batch(first: positions.lowerBound, indices: [], captions: [], pixels: [])
    batch.pixels.reserveCapacity(positions.count * side * side * 3)
    func append(_ index: Int, _ picture: Picture?, using random: inout Philox) {
      batch.indices.append(index)
      batch.captions.append(caption(of: index, using: &random))
      if let picture { batch.pixels += augmentation.applied(to: picture, using: &random).pixels }
    }
    let first = step * orderedPerBatch
    for sample in neighbours == nil
      ? first + positions.lowerBound..<first + positions.upperBound : first..<first + orderedPerBatch
    {
      var random = Philox(
        seed: seed, stream: RandomStream.samples(), counter: UInt64(sample) &* Self.blocksPerSample)
      let composedBefore = compositions?.count(ofFirst: sample) ?? 0
      let isComposed = compositions.map { $0.count(ofFirst: sample + 1) > composedBefore } ?? false
      if isComposed, case .made(let maker) = compositions?.source {
        try appendMade(by: maker, number: composedBefore, to: &batch, using: &random)
        continue
      }
      let (index, picture) =
        if isComposed, let compositionOrder {
          try self.picture(ofSample: composedBefore, in: compositionOrder)
        } else {
          // Of its own shards, a process counts its own samples.
          try self.picture(
            ofSample: hasOwnShards
              ? step * positions.count + sample - first - positions.lowerBound : sample - composedBefore,
            in: order)
        }
      append(index, picture, using: &random)
      guard let neighbours, batch.indices.count < batchSize else { continue }
      let neighbour = neighbours.neighbour(of: index, using: &random)
      if let other = try dataSet.pictureIfReadable(at: neighbour) {
        append(neighbour, other, using: &random)
      } else {
        append(index, picture, using: &random)
      }
    }
    return batch
  }

  private func appendMade(
    by maker: any PictureMaker, number: Int, to batch: inout Batch, using random: inout Philox
  ) throws(PipelineError) {
    let (captions, picture) = try maker.captionedPicture(number)
    batch.indices.append(-1 - number)
    batch.captions.append(
      forms?.caption(composed: captions, using: &random) ?? Self.caption(among: captions, using: &random))
    batch.pixels += augmentation.applied(to: picture, using: &random).pixels
  }

  /// - Returns: no picture where there are tokens only.
  private func picture(
    ofSample sample: Int, in order: any SampleOrder
  ) throws(PipelineError) -> (index: Int, picture: Picture?) {
    let indices = order.indices(ofSample: sample)
    if dataSet.encoded != nil { return (indices(0), nil) }
    for attempt in 0..<order.count {
      if let picture = try dataSet.pictureIfReadable(at: indices(attempt)) { return (indices(attempt), picture) }
    }
    throw PipelineError(.badData, "no picture of \(dataSet.url.path) can be read any more")
  }

  private func caption(of index: Int, using random: inout Philox) -> String {
    if let forms { return forms.caption(of: index, using: &random) }
    return Self.caption(among: dataSet.entries[index].allCaptions, using: &random)
  }

  private static func caption(among captions: [String], using random: inout Philox) -> String {
    let takesPrimary = random.uniform() < primaryCaptionShare
    let choice = random.nextWord()
    if takesPrimary || captions.count == 1 { return captions[0] }
    return captions[1 + Int((UInt64(choice) * UInt64(captions.count - 1)) >> 32)]
  }
}
