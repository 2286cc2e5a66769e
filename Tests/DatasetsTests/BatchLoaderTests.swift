import Basics
import Captions
import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct BatchLoaderTests {
  private static let augmentation = Augmentation(maximumShift: 0.1, maximumScaling: 0.1, horizontalFlip: true)

  private func withLoader(
    count: Int, batchSize: Int, seed: UInt64 = 7, augmentation: Augmentation = .none,
    maximumBytesInMemory: Int = 1 << 30, _ body: (BatchLoader) throws -> Void
  ) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.fill(count: count)
    let set = try PictureDataSet(
      contentsOf: folder.url, pictureSize: 6, maximumBytesInMemory: maximumBytesInMemory)
    try body(
      BatchLoader(
        dataSet: set, indices: set.indices(of: .train), batchSize: batchSize, seed: seed, augmentation: augmentation))
  }

  /// Each list is shown once an epoch of its own, in the share that is asked for.
  @Test(arguments: [0.25, 0.5, 0.8])
  func compositionsOfTheDataSetAreShownInTheirShare(share: Double) throws {
    try withLoader(count: 20, batchSize: 5) { all throws in
      let (plain, composed) = (Array(0..<8), Array(8..<20))
      let loader = try BatchLoader(
        dataSet: all.dataSet, indices: plain, batchSize: 5, seed: 3, compositions: .init(.shown(composed), share: share)
      )
      let shown = try (0..<40).flatMap { try loader.batch(at: $0).indices }
      let (of, others) = (shown.filter { $0 >= 8 }, shown.filter { $0 < 8 })
      #expect(of.count == Int(200 * share))
      for (list, own) in [(of, composed), (others, plain)] {
        for epoch in 0..<list.count / own.count {
          #expect(list[epoch * own.count..<(epoch + 1) * own.count].sorted() == own)
        }
      }
      #expect(Array(of.prefix(12)) != Array(of.dropFirst(12).prefix(12)))
      #expect(try loader.batch(at: 7).indices == Array(shown[35..<40]))
    }
  }

  /// Grey pictures whose number is their color.
  private struct Greys: PictureMaker {
    func captionedPicture(_ number: Int) -> (captions: [String], picture: Picture) {
      let shade = UInt8(100 + number % 100)
      return (["grey \(number)"], Picture(width: 6, height: 6, color: .init(red: shade, green: shade, blue: shade)))
    }
  }

  /// The data set's pictures keep their order, and those that are made have numbers in a row.
  @Test(arguments: [0.25, 0.5, 0.9])
  func picturesCanBeMadeAmongThoseOfTheDataSet(share: Double) throws {
    try withLoader(count: 12, batchSize: 4) { plain throws in
      let made = try BatchLoader(
        dataSet: plain.dataSet, indices: plain.indices, batchSize: 4, seed: plain.seed,
        compositions: .init(.made(Greys()), share: share)
      )
      let batches = try (0..<30).map { try made.batch(at: $0) }
      let samples = batches.flatMap { batch in
        zip(batch.indices, batch.captions).enumerated().map {
          (index: $1.0, caption: $1.1, shade: Int(batch.pixels[$0 * 6 * 6 * 3]))
        }
      }
      let greys = samples.filter { $0.index < 0 }
      #expect(greys.count == Int(120 * share))
      for (number, grey) in greys.enumerated() {
        #expect(grey.index == -1 - number && grey.caption == "grey \(number)" && grey.shade == 100 + number % 100)
      }
      let rest = samples.filter { $0.index >= 0 }.map(\.index)
      let order = try (0..<3).flatMap { try plain.batch(at: $0).indices }
      #expect(zip(rest, order).allSatisfy { $0 == $1 } && rest.count >= 12)
      #expect(try made.batch(at: 17) == batches[17])
    }
  }

  @Test func aBatchIsAFunctionOfSeedAndStep() throws {
    try withLoader(count: 23, batchSize: 5, augmentation: Self.augmentation) { loader throws in
      let forward = try (0..<12).map { try loader.batch(at: $0) }
      let backward = try (0..<12).reversed().map { try loader.batch(at: $0) }
      #expect(forward == backward.reversed())
      try withLoader(count: 23, batchSize: 5, augmentation: Self.augmentation) { again throws in
        #expect(try again.batch(at: 11) == forward[11])
      }
      try withLoader(count: 23, batchSize: 5, augmentation: Self.augmentation, maximumBytesInMemory: 0) { lazy throws in
        #expect(try lazy.batch(at: 11) == forward[11])
      }
      try withLoader(count: 23, batchSize: 5, seed: 8, augmentation: Self.augmentation) { other throws in
        #expect(try other.batch(at: 11) != forward[11])
      }
    }
  }

  @Test func everySecondPictureIsANeighbour() throws {
    try withLoader(count: 12, batchSize: 5, augmentation: Self.augmentation) { plain throws in
      // Pictures 2i and 2i + 1 are neighbours.
      let loader = try BatchLoader(
        dataSet: plain.dataSet, indices: plain.indices, batchSize: 5, seed: 7, augmentation: Self.augmentation,
        neighbours: CaptionNeighbours(of: plain.indices) { ["\($0 / 2)"] })
      let batches = try (0..<4).map { try loader.batch(at: $0) }
      for batch in batches {
        #expect(batch.indices.count == 5 && batch.captions.count == 5 && batch.pixels.count == 5 * 6 * 6 * 3)
        for i in [1, 3] { #expect(batch.indices[i] == batch.indices[i - 1] ^ 1) }
        for (index, caption) in zip(batch.indices, batch.captions) {
          #expect(loader.dataSet.entries[index].captions.contains(caption))
        }
      }
      #expect(batches.flatMap { [$0.indices[0], $0.indices[2], $0.indices[4]] }.sorted() == Array(0..<12))
      #expect(try loader.batch(at: 2) == batches[2])
    }
  }

  /// Compositions have theirs as all others do, and come in their share of what the epochs give.
  @Test func compositionsHaveNeighbours() throws {
    try withLoader(count: 12, batchSize: 4, augmentation: Self.augmentation) { plain throws in
      let loader = try BatchLoader(
        dataSet: plain.dataSet, indices: Array(0..<6), batchSize: 4, seed: 7, augmentation: Self.augmentation,
        neighbours: CaptionNeighbours(of: plain.indices) { ["\($0 / 2)"] },
        compositions: .init(.shown(Array(6..<12)), share: 0.5))
      let batches = try (0..<12).map { try loader.batch(at: $0).indices }
      for batch in batches { #expect(batch[1] == batch[0] ^ 1 && batch[3] == batch[2] ^ 1) }
      let ordered = batches.flatMap { [$0[0], $0[2]] }
      #expect(Set(ordered.filter { $0 >= 6 }) == Set(6..<12) && ordered.count { $0 >= 6 } == 12)
    }
  }

  @Test func samplesDoNotDependOnTheBatchSize() throws {
    try withLoader(count: 10, batchSize: 12, augmentation: Self.augmentation) { large throws in
      try withLoader(count: 10, batchSize: 4, augmentation: Self.augmentation) { small throws in
        let parts = try (0..<3).map { try small.batch(at: $0) }
        let whole = try large.batch(at: 0)
        #expect(whole.captions == parts.flatMap(\.captions))
        #expect(whole.pixels == parts.flatMap(\.pixels))
      }
    }
  }

  @Test func anEpochShowsEachPictureOnceInANewOrder() throws {
    try withLoader(count: 12, batchSize: 4) { loader throws in
      let first = try (0..<3).flatMap { try loader.batch(at: $0).indices }
      let second = try (3..<6).flatMap { try loader.batch(at: $0).indices }
      #expect(first.sorted() == Array(0..<12) && second.sorted() == Array(0..<12))
      #expect(first != second && first != Array(0..<12))
      let batch = try loader.batch(at: 0)
      #expect(batch.pixels.count == 4 * 6 * 6 * 3)
      // Picture i of the folder has the gray i.
      for (j, index) in batch.indices.enumerated() { #expect(Int(batch.pixels[j * 6 * 6 * 3]) == index) }
    }
  }

  @Test func withoutFormsTheFirstCaptionIsTakenMostOfTheTime() throws {
    try withLoader(count: 10, batchSize: 4000) { loader throws in
      let captions = try loader.batch(at: 0).captions
      for (word, share) in [("picture", 0.85), ("further", 0.075), ("more", 0.075)] {
        let count = captions.filter { $0.hasPrefix(word) }.count
        #expect(abs(Double(count) / 4000 - share) < 0.03)
      }
    }
  }

  @Test func withFormsCaptionsAreThoseThatTheFormsMake() throws {
    try withLoader(count: 10, batchSize: 300) { plain throws in
      let forms = CaptionForms(of: plain.dataSet.entries, indices: plain.indices)
      let loader = try BatchLoader(
        dataSet: plain.dataSet, indices: plain.indices, batchSize: 300, seed: 7, forms: forms)
      let batch = try loader.batch(at: 0)
      #expect(try batch.indices == plain.batch(at: 0).indices && batch == loader.batch(at: 0))
      #expect(Set(batch.captions).count > 100)
      #expect(batch.captions.contains { $0.contains("picture of") } && batch.captions.contains { $0.hasSuffix("!") })
    }
  }

  @Test func aPictureThatGoesBadLaterIsReportedOnceAndReplaced() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.fill(count: 6)
    let reports = Reports()
    let set = try PictureDataSet(
      contentsOf: folder.url, pictureSize: 6, maximumBytesInMemory: 0, report: reports.append)
    let strict = try PictureDataSet(contentsOf: folder.url, pictureSize: 6, strict: true, maximumBytesInMemory: 0)
    try folder.copyFixture("truncated.png", to: "1002.png")
    let loader = try BatchLoader(dataSet: set, indices: set.indices(of: .train), batchSize: 6, seed: 1)
    for step in 0..<3 {
      let batch = try loader.batch(at: step)
      #expect(batch.indices.count == 6 && !batch.indices.contains(2))
    }
    #expect(reports.lines == ["skipped 1002.png: damaged PNG: the file ends early"])
    let strictLoader = try BatchLoader(dataSet: strict, indices: Array(0..<6), batchSize: 6, seed: 1)
    #expect(throws: PipelineError.self) { try strictLoader.batch(at: 0) }
    for i in 0..<6 { try folder.copyFixture("empty.png", to: "100\(i).png") }
    #expect(throws: PipelineError.self) { try loader.batch(at: 0) }
  }

  @Test func argumentsThatMakeNoSenseAreRefused() throws {
    try withLoader(count: 2, batchSize: 1) { loader throws in
      let set = loader.dataSet
      #expect(throws: PipelineError.self) { try BatchLoader(dataSet: set, indices: [], batchSize: 1, seed: 0) }
      #expect(throws: PipelineError.self) { try BatchLoader(dataSet: set, indices: [0], batchSize: 0, seed: 0) }
    }
  }

  @Test func prefetchingGivesTheSameBatchesFromAnyStep() throws {
    try withLoader(count: 11, batchSize: 4, augmentation: Self.augmentation) { loader throws in
      let prefetching = PrefetchingLoader(loader, startingAt: 5, depth: 2)
      for step in 5..<25 { #expect(try prefetching.next() == loader.batch(at: step)) }
    }
  }

  @Test func prefetchingEndsWithItsLoader() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.fill(count: 8)
    weak var released: BatchLoader?
    for taken in 0..<20 {
      let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 6)
      let loader = try BatchLoader(dataSet: set, indices: Array(0..<8), batchSize: 4, seed: 1)
      let prefetching = PrefetchingLoader(loader)
      for _ in 0..<(taken % 5) { _ = try prefetching.next() }
      released = loader
    }
    // The thread has done its work by now, but may hold its last reference a moment longer.
    for _ in 0..<6000 where released != nil { Thread.sleep(forTimeInterval: 0.01) }
    #expect(released == nil)
  }

  @Test func prefetchingPassesErrorsOnInTheirPlace() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.fill(count: 4)
    let set = try PictureDataSet(contentsOf: folder.url, pictureSize: 6, strict: true, maximumBytesInMemory: 0)
    try folder.copyFixture("empty.png", to: "1000.png")
    let loader = try BatchLoader(dataSet: set, indices: Array(0..<4), batchSize: 1, seed: 1)
    let prefetching = PrefetchingLoader(loader)
    var failures = 0
    for _ in 0..<4 {
      do throws(PipelineError) { _ = try prefetching.next() } catch { failures += 1 }
    }
    #expect(failures == 1)
  }
}

@Suite struct AugmentationTests {
  private let picture = Picture(
    width: 16, height: 16, pixels: (0..<(3 * 256)).map { UInt8(truncatingIfNeeded: $0 &* 37) })

  @Test func nothingIsTheIdentityBitForBit() {
    var random = Philox(seed: 1, stream: 2)
    for _ in 0..<100 { #expect(Augmentation.none.applied(to: picture, using: &random) == picture) }
  }

  @Test func flippingMirrorsHalfOfThePictures() {
    var random = Philox(seed: 1, stream: 2)
    let flip = Augmentation(horizontalFlip: true)
    var mirrored = picture
    for y in 0..<16 {
      for x in 0..<16 { mirrored.paste(picture.cropped(x: x, y: y, width: 1, height: 1), x: 15 - x, y: y) }
    }
    let results = (0..<400).map { _ in flip.applied(to: picture, using: &random) }
    #expect(results.allSatisfy { $0 == picture || $0 == mirrored })
    #expect((150...250).contains(results.filter { $0 == mirrored }.count))
  }

  /// Each pixel of a picture that was only shifted is one of the original's or white: nothing is interpolated.
  @Test func shiftsAreOfWholePixels() {
    func colors(_ picture: Picture) -> [[UInt8]] {
      stride(from: 0, to: picture.pixels.count, by: 3).map { Array(picture.pixels[$0..<$0 + 3]) }
    }
    let known = Set(colors(picture) + [[255, 255, 255]])
    var random = Philox(seed: 5, stream: 6)
    let shift = Augmentation(maximumShift: 0.3)
    let results = (0..<50).map { _ in shift.applied(to: picture, using: &random) }
    #expect(results.allSatisfy { known.isSuperset(of: colors($0)) })
    #expect(Set(results.map(\.pixels)).count > 20)
  }

  @Test func whiteStaysWhiteAndShiftsLetWhiteIn() {
    var random = Philox(seed: 3, stream: 4)
    let strong = Augmentation(maximumShift: 0.5, maximumScaling: 0.3)
    let white = Picture(width: 16, height: 16, color: .white)
    let black = Picture(width: 16, height: 16, color: .black)
    for _ in 0..<50 {
      #expect(strong.applied(to: white, using: &random) == white)
      let moved = strong.applied(to: black, using: &random)
      #expect(moved.pixels.contains(0))
    }
    let results = (0..<50).map { _ in strong.applied(to: black, using: &random) }
    #expect(results.contains { $0.pixels.contains(255) })
  }
}
