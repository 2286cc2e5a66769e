import Basics
import Captions
import Foundation
import Imaging
import TestSupport
import Testing
@testable import Datasets

/// Pictures in shards that are too many to be kept in memory.
@Suite struct StreamTests {
  private func withFolder(_ body: (TemporaryFolder) throws -> Void) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try body(folder)
  }

  /// - Parameter counts: pictures in each shard.
  private func writeShards(_ counts: [Int], to folder: TemporaryFolder) throws {
    for (shard, count) in counts.enumerated() {
      var tar = Tar()
      for i in 0..<count {
        let key = String(format: "%05d", i)
        let gray = UInt8((shard * 37 + i) % 256)
        let color = Picture.Color(red: gray, green: gray, blue: gray)
        tar.add("\(key).png", try Picture(width: 4, height: 4, color: color).pngData())
        tar.add("\(key).txt", Data("a thing \(shard) \(i)".utf8))
      }
      try folder.write(tar.data, to: "set/\(String(format: "%03d", shard)).tar")
    }
  }

  private func open(_ folder: TemporaryFolder, maximumBytesInMemory: Int = 0, strict: Bool = false) throws -> (
    set: PictureDataSet, reports: [String]
  ) {
    let reports = Reports()
    let set = try PictureDataSet(
      contentsOf: folder.url.appendingPathComponent("set"), pictureSize: 4, strict: strict,
      maximumBytesInMemory: maximumBytesInMemory, report: reports.append)
    return (set, reports.lines)
  }

  private func index(_ folder: TemporaryFolder) -> URL {
    folder.url.appendingPathComponent("set/.dalle-index.safetensors")
  }

  // MARK: The index

  /// What is left out is said again, and the same pictures are found.
  @Test func anIndexIsMadeOnceAndSaysTheSame() throws {
    try withFolder { folder in
      try writeShards([600, 500], to: folder)
      var tar = Tar()
      tar.add("alone.png", try Picture(width: 4, height: 4, color: .white).pngData())
      tar.add("odd.xyz", Data("?".utf8))
      tar.add("photo.heic", Data("?".utf8))
      try folder.write(tar.data, to: "set/odd.tar")
      let first = try open(folder)
      #expect(first.reports.contains { $0.contains("1 HEIC picture is not read") })
      #expect(first.reports.count == 3 && FileManager.default.fileExists(atPath: index(folder).path))
      let before = try Data(contentsOf: index(folder))
      let second = try open(folder)
      #expect(second.reports == first.reports)
      #expect(second.set.fingerprint == first.set.fingerprint)
      #expect(Array(second.set.entries) == Array(first.set.entries) && second.set.entries.count == 1100)
      #expect(try second.set.picture(at: 700) == first.set.picture(at: 700))
      #expect(try Data(contentsOf: index(folder)) == before)
      #expect(throws: PipelineError.self) { try open(folder, strict: true) }
    }
  }

  @Test func anIndexOfOtherFilesIsNotTaken() throws {
    try withFolder { folder in
      try writeShards([1000, 3], to: folder)
      #expect(try open(folder).set.entries.count == 1003)
      let before = try Data(contentsOf: index(folder))
      try writeShards([1000, 4], to: folder)
      #expect(try open(folder).set.entries.count == 1004)
      #expect(try Data(contentsOf: index(folder)) != before)
      // Somebody else's, damaged, or of another caption column.
      for damage in [Data("no index".utf8), before, try Data(contentsOf: index(folder)).prefix(40_000)] {
        try damage.write(to: index(folder))
        #expect(try open(folder).set.entries.count == 1004)
      }
    }
  }

  /// Where lengths in the index lead out of it, it is none.
  @Test func anIndexWithFalseLengthsIsNotTaken() throws {
    let pictures = CaptionedPictures((0..<3).map { CaptionedPicture(fileName: "\($0)", captions: ["a"], split: .test) })
    func stored(rows: [UInt8], texts: [UInt8], shards: [String] = []) -> CaptionedPictures? {
      func memory(_ bytes: [UInt8]) -> MappedBytes { MappedBytes(byteCount: bytes.count) { $0.copyBytes(from: bytes) } }
      return CaptionedPictures(stored: memory(rows), texts: memory(texts), shards: shards, fingerprint: "f")
    }
    let rows = pictures.rows.withUnsafeBytes { Array($0) }
    let texts = pictures.texts.withUnsafeBytes { Array($0) }
    #expect(stored(rows: rows, texts: texts).map { Array($0) } == Array(pictures))
    #expect(stored(rows: Array(rows.dropLast()), texts: texts) == nil)
    #expect(stored(rows: rows, texts: Array(texts.dropLast())) == nil)
    for place in rows.indices where ![30, 31].contains(place % 32) {
      var changed = rows
      changed[place] ^= 0x80
      // Nothing is read beyond the end, whatever comes of it.
      if let found = stored(rows: changed, texts: texts) { #expect(found.map(\.captions.count).allSatisfy { $0 > 0 }) }
    }
    for place in texts.indices {
      var changed = texts
      changed[place] ^= 0xFF
      if let found = stored(rows: rows, texts: changed) { #expect(found.map(\.captions.count).allSatisfy { $0 > 0 }) }
    }
  }

  // MARK: The order

  /// Each picture once an epoch, and few shards at a time.
  @Test func shardsAreReadThroughSideBySide() {
    let sizes = (0..<40).map { 700 + 13 * $0 }
    var shards: [Range<Int>] = []
    for size in sizes { shards.append((shards.last?.upperBound ?? 0)..<(shards.last?.upperBound ?? 0) + size) }
    let count = sizes.reduce(0, +)
    let order = StreamOrder(Array(0..<count), shards: shards, seed: 3, list: 0) { _ in }
    func epoch(_ number: Int) -> [Int] {
      (number * count..<(number + 1) * count).map { order.indices(ofSample: $0)(0) }
    }
    let first = epoch(0)
    #expect(first.sorted() == Array(0..<count))
    let second = epoch(1)
    #expect(second.sorted() == Array(0..<count) && second != first)
    for start in stride(from: 0, to: count - 1000, by: 1000) {
      let read = Set(first[start..<start + 1000].map { index in shards.firstIndex { $0.contains(index) } })
      #expect(read.count <= 16 && read.count > 3)
    }
    // Well mixed within what is read: neighbours lie far apart.
    let steps = zip(first, first.dropFirst()).map { abs($0 - $1) }.sorted()
    #expect(steps[steps.count / 2] > 700)
    // A function of the sample alone.
    let other = StreamOrder(Array(0..<count), shards: shards, seed: 3, list: 0) { _ in }
    for sample in [count + 77, 5, 2 * count - 1, 20_000] {
      #expect(other.indices(ofSample: sample)(0) == order.indices(ofSample: sample)(0))
    }
    #expect(
      StreamOrder(Array(0..<count), shards: shards, seed: 4, list: 0) { _ in }.indices(ofSample: 0)(0) != first[0])
  }

  @Test func whatComesNextIsReadAhead() {
    nonisolated(unsafe) var told: [Int] = []
    let order = StreamOrder(Array(0..<9000), shards: [0..<6000, 6000..<9000], seed: 1, list: 0) { told += $0 }
    let first = (0..<1000).map { order.indices(ofSample: $0)(0) }
    #expect(told.count == 1024 && Set(told).isDisjoint(with: first))
    let second = (1024..<2048).map { order.indices(ofSample: $0)(0) }
    #expect(told.count == 2048 && Set(told[..<1024]) == Set(second))
  }

  /// The order of what is read from shards is not that of what is in memory, and that of its tokens is the same.
  @Test func shardsThatAreTooLargeForMemoryAreStreamed() throws {
    try withFolder { folder in
      try writeShards([300, 300], to: folder)
      let (streamed, _) = try open(folder)
      let (held, _) = try open(folder, maximumBytesInMemory: 1 << 20)
      #expect(streamed.isStreamed && !held.isStreamed)
      #expect(streamed.divided([0, 5, 299, 300, 599]) == [0..<3, 3..<5])
      func shown(_ set: PictureDataSet) throws -> [Int] {
        let loader = try BatchLoader(dataSet: set, indices: Array(set.entries.indices), batchSize: 60, seed: 1)
        return try (0..<10).flatMap { try loader.batch(at: $0).indices }
      }
      let (order, other) = (try shown(streamed), try shown(held))
      #expect(order.sorted() == other.sorted() && order != other)
    }
  }

  /// Each process reads shards of its own, all together read all, and pictures get the same numbers as with one process.
  @Test func eachProcessReadsItsOwnShards() throws {
    try withFolder { folder in
      try writeShards([40, 40, 40, 40], to: folder)
      let (set, _) = try open(folder)
      let loaders = try (0..<2).map { process in
        try BatchLoader(
          dataSet: set, indices: Array(set.entries.indices), batchSize: 8, seed: 1,
          part: .init(positions: 4 * process..<4 * process + 4, process: process, of: 2))
      }
      let shown = try loaders.map { loader in try (0..<20).flatMap { try loader.batch(at: $0).indices } }
      for (process, indices) in shown.enumerated() {
        #expect(Set(indices).count == 80)
        #expect(Set(indices.map { $0 / 40 % 2 }) == [process])
      }
      #expect(Set(shown[0] + shown[1]) == Set(0..<160))
      #expect(try loaders[1].batch(at: 3).first == 4)
    }
  }

  /// Nobody sees pictures more often than another one does: where shards cannot be dealt out so, all read all.
  @Test func shardsAreDealtOutByTheirPictures() {
    func dealt(_ counts: [Int], among processes: Int, batchSize: Int? = nil) -> [[Int]]? {
      var shards: [Range<Int>] = []
      for count in counts { shards.append((shards.last?.upperBound ?? 0)..<(shards.last?.upperBound ?? 0) + count) }
      let hands = (0..<processes).map {
        BatchLoader.dealt(
          shards, to: .init(positions: 0..<1, process: $0, of: processes), batchSize: batchSize ?? processes)
      }
      let all = hands.compactMap(\.self)
      #expect(all.isEmpty || Set(all.joined()) == Set(shards) && all.joined().count == shards.count)
      return all.isEmpty ? nil : all.map { $0.map(\.count) }
    }
    #expect(dealt([100, 50, 50], among: 2) == [[100], [50, 50]])
    #expect(dealt([10, 90, 40, 60, 50, 50], among: 3) == [[10, 90], [40, 60], [50, 50]])
    #expect(dealt([100, 100, 100, 100, 100], among: 4) == nil)
    #expect(dealt([100, 94], among: 2) == nil && dealt([100, 96], among: 2) != nil)
    #expect(dealt([100], among: 2) == nil && dealt([100, 100], among: 1) == nil)
    // Of four places in a batch the third process has two, and so twice as many pictures.
    #expect(dealt([50, 50, 50, 50], among: 3, batchSize: 4) == [[50], [50], [50, 50]])
    #expect(dealt([50, 50, 50], among: 3, batchSize: 4) == nil)
  }

  /// "./b.png" and "b.png" are one name, and tokens keep the order of their pictures.
  @Test func namesOfMembersHaveNoDots() throws {
    try withFolder { folder in
      var tar = Tar()
      for (name, gray) in [("a", 1), ("./b", 2), ("x/../c", 3), ("./d/e", 4)] as [(String, UInt8)] {
        let color = Picture.Color(red: gray, green: gray, blue: gray)
        tar.add("\(name).png", try Picture(width: 4, height: 4, color: color).pngData())
        tar.add("\(name).txt", Data("a \(gray)".utf8))
      }
      try folder.write(tar.data, to: "set/0.tar")
      let (set, reports) = try open(folder)
      #expect(reports.isEmpty)
      #expect(set.entries.map(\.fileName) == ["a", "b", "c", "d/e"].map { "0.tar/\($0).png" })
      #expect(set.entries.map { $0.captions[0] } == ["a 1", "a 2", "a 3", "a 4"])
      #expect(try set.entries.indices.map { try set.picture(at: $0).pixels[0] } == [1, 2, 3, 4])
    }
  }

  @Test func manyThreadsPrepareTheSameBatches() throws {
    try withFolder { folder in
      try writeShards([64, 64], to: folder)
      let (set, _) = try open(folder)
      let loader = try BatchLoader(dataSet: set, indices: Array(set.entries.indices), batchSize: 5, seed: 2)
      let prefetching = PrefetchingLoader(loader, startingAt: 3, depth: 4, threads: 3)
      for step in 3..<60 { #expect(try prefetching.next() == loader.batch(at: step)) }
    }
  }
}
