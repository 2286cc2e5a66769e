@testable import Captions
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Basics
@testable import Datasets
@testable import EmojiData

@Suite struct DigitDataSetTests {
  private func settings(count: Int = 60, seed: UInt64 = 0) -> DigitDataSet.Settings {
    var settings = DigitDataSet.Settings()
    (settings.count, settings.seed) = (count, seed)
    return settings
  }

  /// The bytes of all files of a folder, by name.
  private func files(_ folder: URL) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: folder.appendingPathComponent($0))) })
  }

  @Test func digitsAreDrawnAndCaptionedTheSameFromASeed() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let summary = try DigitDataSet.prepare(to: folder.path("a"), settings())
    #expect(summary.pictures == 60 && summary.train + summary.validation + summary.test == 60)
    #expect(summary.fonts >= summary.families && summary.families > 0)
    try DigitDataSet.prepare(to: folder.path("b"), settings())
    try DigitDataSet.prepare(to: folder.path("c"), settings(seed: 1))
    let first = try files(folder.path("a"))
    #expect(try files(folder.path("b")) == first)
    #expect(try files(folder.path("c")) != first)
    let data = try PictureDataSet(contentsOf: folder.path("a"), pictureSize: 28)
    #expect(data.entries.count == 60)
    for (i, entry) in data.entries.enumerated() {
      #expect(entry.captions == ["the digit \(i % 10)"])
      let pixels = try data.picture(at: i).pixels
      // Black ink on a white ground, some of it and not all, and grey.
      let ink = pixels.reduce(0) { (sum: Int, value: UInt8) -> Int in sum + 255 - Int(value) } / (3 * 255)
      #expect((8..<500).contains(ink) && pixels[0] == 255)
      var isGrey = true
      for at in stride(from: 0, to: pixels.count, by: 3) {
        if pixels[at] != pixels[at + 1] || pixels[at] != pixels[at + 2] { isGrey = false }
      }
      #expect(isGrey)
    }
  }

  /// An 8 is more like other 8s than like 1s: what the captions say is there.
  @Test func digitsLookLikeTheirCaptions() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try DigitDataSet.prepare(to: folder.path("d"), settings(count: 1000))
    let data = try PictureDataSet(contentsOf: folder.path("d"), pictureSize: 28)
    let pictures = try data.entries.indices.map { try data.picture(at: $0).pixels.map(Double.init) }
    let right = pictures.indices.suffix(200).count { i in
      let nearest = (0..<800).min { a, b in distance(pictures[i], pictures[a]) < distance(pictures[i], pictures[b]) }
      return nearest.map { $0 % 10 } == i % 10
    }
    // One in ten by chance.
    #expect(right > 130)
  }

  private func distance(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for (p, q) in zip(a, b) { sum += (p - q) * (p - q) }
    return sum
  }

  @Test func aTenthOfTheFamiliesIsHeldOutForEachSplit() throws {
    let families = (0..<40).map { "Family \($0)" }
    let splits = try #require(DigitDataSet.splits(of: families))
    for (split, count) in [(Split.test, 4), (.validation, 4), (.train, 32)] {
      #expect(splits.values.count { $0 == split } == count)
    }
    #expect(DigitDataSet.splits(of: families.reversed()) == splits)
    #expect(Set(try #require(DigitDataSet.splits(of: ["a", "b", "c"])).values).count == 3)
    #expect(DigitDataSet.splits(of: ["a", "b"]) == nil)
  }

  @Test func withoutFontsThereIsOneClearLine() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.write("not a font", to: "a.ttf")
    var settings = settings()
    settings.fonts = [folder.url]
    let error = #expect(throws: PipelineError.self) { try DigitDataSet.prepare(to: folder.path("d"), settings) }
    #expect(error?.kind == .noInput && error?.message.contains("apt-get install fonts-") == true)
    #expect(!FileManager.default.fileExists(atPath: folder.path("d").path))
  }

  @Test func aFontOfEmojiHasNoDigits() throws {
    var settings = settings()
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try FileManager.default.copyItem(at: EmojiDataSet.standardFont, to: folder.path("e.ttf"))
    settings.fonts = [folder.url]
    let error = #expect(throws: PipelineError.self) { try DigitDataSet.prepare(to: folder.path("d"), settings) }
    #expect(error?.kind == .noInput)
  }

  @Test(arguments: [(5, 28), (60, 4)])
  func settingsThatMakeNoSenseAreRefused(_ count: Int, _ side: Int) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    var settings = settings(count: count)
    settings.pictureSize = side
    let error = #expect(throws: PipelineError.self) { try DigitDataSet.prepare(to: folder.path("d"), settings) }
    #expect(error?.kind == .usage)
  }
}
