import ArrayFiles
import Basics
import Captions
import Checkpoints
import Datasets
import Foundation
import Generation
import PipelineTestSupport
import Synchronization
import TestSupport
import Testing

@testable import Training

/// What encode makes of a data set, and what stage 2 makes of that.
@Suite struct EncodedPicturesTests {
  private func encoded(_ folder: TemporaryFolder, name: String = "encoded") throws -> PictureDataSet {
    let target = folder.url.appendingPathComponent(name)
    let summary = try StandaloneImageTokenizer(folder.checkpoint, threads: 2).encode(folder.dataSet(), to: target)
    let dataSet = try PictureDataSet(contentsOf: target, pictureSize: 16)
    #expect(summary.pictures == dataSet.entries.count && summary.shards == 1)
    return dataSet
  }

  @Test func tokensTakeThePlaceOfPictures() throws {
    let (pictures, tokens) = (try Tiny.withKeywords(), try Tiny.withKeywords())
    for folder in [pictures, tokens] { try Tiny.trainTokenizer(folder, Tiny.settings(steps: 3)) }
    let dataSet = try encoded(tokens)
    #expect(
      try Array(dataSet.entries) == Array(pictures.dataSet().entries)
        && dataSet.fingerprint == pictures.dataSet().fingerprint)
    var settings = Tiny.settings(steps: 6)
    settings.captionForms = CaptionForms.Kind.allCases
    let recorders = (Recorder(), Recorder())
    try Tiny.trainPrior(pictures, settings, observer: recorders.0.observer)
    try Tiny.trainPrior(tokens, settings, observer: recorders.1.observer, dataSet: dataSet)
    for file in [\Checkpoint.priorFile, \.vocabularyFile, \.captionsFile] {
      let (a, b) = (pictures.checkpoint[keyPath: file], tokens.checkpoint[keyPath: file])
      #expect(try pictures.contents(a) == tokens.contents(b), "\(a.lastPathComponent)")
    }
    // The thumbnails are what retrieval looks up.
    #expect(recorders.0.validations.last?.contains("retrieval@1") ?? false)
    #expect(recorders.0.validations.last == recorders.1.validations.last)
  }

  /// Where processes bring numbers together, each on a thread of its own.
  private final class Meeting: @unchecked Sendable {
    private let condition = NSCondition()
    private let count: Int
    private var sums: [Double] = []
    private var (arrived, left, round) = (0, 0, 0)

    init(count: Int) { self.count = count }

    func sum(_ numbers: [Double]) -> [Double] {
      condition.withLock {
        while left > 0 { condition.wait() }
        sums = arrived == 0 ? numbers : zip(sums, numbers).map(+)
        arrived += 1
        let own = round
        if arrived == count {
          (arrived, left, round) = (0, count, round + 1)
          condition.broadcast()
        }
        while round == own { condition.wait() }
        left -= 1
        if left == 0 { condition.broadcast() }
        return sums
      }
    }
  }

  /// Shard by shard, whoever writes it.
  @Test func severalProcessesEncodeAsOneDoes() throws {
    let folder = try Tiny.trained(steps: 2)
    let dataSet = try folder.dataSet()
    func files(_ url: URL) throws -> [String: Data] {
      let names = try FileManager.default.contentsOfDirectory(atPath: url.path)
      return try Dictionary(
        uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: url.appendingPathComponent($0))) })
    }
    let (checkpoint, target) = (folder.checkpoint, folder.url)
    @Sendable func encode(to name: String, _ processes: StandaloneImageTokenizer.EncodingProcesses) throws -> Int {
      try StandaloneImageTokenizer(checkpoint, threads: 1).encode(
        dataSet, to: target.appendingPathComponent(name), with: processes, picturesPerShard: 5
      ).pictures
    }
    #expect(try encode(to: "alone", .alone) == dataSet.entries.count)
    let meeting = Meeting(count: 3)
    let counts = Mutex<[Int]>([])
    let ended = DispatchSemaphore(value: 0)
    for rank in 0..<3 {
      // Each waits for the others, so that none may wait for a thread.
      Thread {
        let pictures = try? encode(to: "together", .init(rank: rank, count: 3, sum: meeting.sum))
        counts.withLock { $0.append(pictures ?? -1) }
        ended.signal()
      }.start()
    }
    for _ in 0..<3 { ended.wait() }
    #expect(counts.withLock { $0 } == [Int](repeating: dataSet.entries.count, count: 3))
    let (alone, together) = try (
      files(folder.url.appendingPathComponent("alone")), files(folder.url.appendingPathComponent("together"))
    )
    #expect(alone.count > 3 && alone == together)
  }

  @Test func rowsThatAreNotInTheOrderOfTheirNamesAreRefused() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1))
    _ = try encoded(folder)
    let file = folder.path("encoded/metadata.jsonl")
    var lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    lines.swapAt(0, 1)
    try folder.write(lines.joined(separator: "\n"), to: "encoded/metadata.jsonl")
    let error = #expect(throws: PipelineError.self) {
      try PictureDataSet(contentsOf: folder.path("encoded"), pictureSize: 16)
    }
    #expect(error?.kind == .badData && error?.message.contains("line 2 is not in the order of the names") ?? false)
  }

  @Test func tokensBelowTheirPicturesLeaveThemWhatTheyAre() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 1))
    let before = try folder.dataSet()
    _ = try encoded(folder, name: "data/tokens-v1")
    let after = try folder.dataSet()
    #expect(after.encoded == nil && after.fingerprint == before.fingerprint)
    #expect(Array(after.entries) == Array(before.entries))
  }

  @Test func resumedRunsReadTheSameTokens() throws {
    let folder = try Tiny.withKeywords()
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    let dataSet = try encoded(folder)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 6), dataSet: dataSet)
    let whole = try folder.contents(folder.checkpoint.priorFile)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 6), observer: Recorder(stopAfter: 3).observer, dataSet: dataSet)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 6), resume: true, dataSet: dataSet)
    #expect(try folder.contents(folder.checkpoint.priorFile) == whole)
  }

  @Test func whatNeedsPicturesRefusesTokens() throws {
    let folder = try Tiny.trained(steps: 2)
    let dataSet = try encoded(folder)
    let resources = TrainingResources(
      checkpoint: folder.checkpoint, dataSet: dataSet, threads: 1, precision: .float32)
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch let error as PipelineError { return error.message } catch {}
      return "nothing was thrown"
    }
    let settings = Tiny.settings(steps: 1)
    let refusals = [
      message { try ImageTokenizerTrainer(resources).train(settings: settings, resume: false) },
      message { try RankerTrainer(resources).train(settings: settings, resume: false) },
      message { _ = try dataSet.picture(at: 0) },
      message {
        _ = try StandaloneImageTokenizer(folder.checkpoint, threads: 1)
          .encode(dataSet, to: folder.url.appendingPathComponent("twice"))
      },
    ]
    for refusal in refusals { #expect(refusal.contains("which only train-prior can use"), "\(refusal)") }
    var shifted = settings
    shifted.augmentation = Augmentation(maximumShift: 0.1)
    #expect(message { try Tiny.trainPrior(folder, shifted, dataSet: dataSet) }.contains("`maximumShift`"))
    // Another tokenizer's tokens mean other pictures.
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 4))
    #expect(message { try Tiny.trainPrior(folder, settings, dataSet: dataSet) }.contains("another tokenizer"))
  }

  @Test func tokensThatAreNoCodesAreRefused() throws {
    let folder = try Tiny.trained(steps: 2)
    let url = try encoded(folder).url
    let shard = url.appendingPathComponent("tokens-00000.safetensors")
    let file = try SafeTensors(contentsOf: shard)
    let (tokens, thumbnails) = (try file.table("tokens"), try file.table("thumbnails"))
    var rows = (0..<tokens.rowCount).map { tokens[$0] }
    rows[3][2] = 60_000
    try SafeTensors.write(
      [],
      tables: [
        ("tokens", IntegerTable(rows, columns: tokens.columns, width: .twoBytes)), ("thumbnails", thumbnails),
      ], metadata: file.metadata, to: shard)
    let error = #expect(throws: PipelineError.self) {
      try Tiny.trainPrior(
        folder, Tiny.settings(steps: 1), dataSet: PictureDataSet(contentsOf: url, pictureSize: 16))
    }
    #expect(error?.kind == .badData && error?.message.contains("the token 60000") == true)
  }

  @Test func damagedShardsAreNamed() throws {
    let folder = try Tiny.trained(steps: 2)
    let url = try encoded(folder).url
    let shard = url.appendingPathComponent("tokens-00000.safetensors")
    let metadata = url.appendingPathComponent("metadata.jsonl")
    let (whole, lines) = (try Data(contentsOf: shard), try Data(contentsOf: metadata))
    try lines.dropFirst((lines.firstIndex(of: UInt8(ascii: "\n")) ?? 0) + 1).write(to: metadata)
    #expect(throws: PipelineError.self) { try PictureDataSet(contentsOf: url, pictureSize: 16) }
    try lines.write(to: metadata)
    try whole.dropLast(5).write(to: shard)
    #expect(throws: PipelineError.self) { try PictureDataSet(contentsOf: url, pictureSize: 16) }
    try SafeTensors.write([], tables: [("tokens", IntegerTable([[1]], columns: 1, width: .twoBytes))], to: shard)
    #expect(throws: PipelineError.self) { try PictureDataSet(contentsOf: url, pictureSize: 16) }
    try whole.write(to: shard)
    #expect(try PictureDataSet(contentsOf: url, pictureSize: 16).encoded?.count == 12)
  }
}
