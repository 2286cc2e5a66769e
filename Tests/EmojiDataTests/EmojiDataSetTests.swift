import Foundation
import Imaging
import TestSupport
import Testing

@testable import Basics
@testable import Datasets
@testable import EmojiData

@Suite struct EmojiDataSetTests {
  @Test func linesOfEmojiTestAreRead() {
    let line = "1F468 200D 1F680      ; fully-qualified     # 👨‍🚀 E4.0 man astronaut"
    let sequence = EmojiDataSet.sequence(in: Substring(line))
    #expect(sequence == EmojiDataSet.Sequence(codePoints: [0x1F468, 0x200D, 0x1F680], caption: "man astronaut"))
    #expect(sequence?.fileName == "1f468-200d-1f680.png")
    #expect(EmojiDataSet.sequence(in: "# group: Smileys") == nil)
    #expect(EmojiDataSet.sequence(in: "1F3FB ; component # 🏻 E1.0 light skin tone") == nil)
    #expect(EmojiDataSet.sequence(in: "0023 FE0F 20E3 ; fully-qualified # #️⃣ E0.6 keycap: #")?.caption == "keycap: #")
    #expect(EmojiDataSet.sequence(in: "XYZ ; fully-qualified # ? E0.6 nothing") == nil)
  }

  @Test func annotationsAreRead() throws {
    let line: Substring = "\t\t<annotation cp=\"❤\">heart | R&amp;B</annotation> <!-- 2764 -->"
    let annotation = try #require(EmojiDataSet.annotation(in: line))
    #expect(annotation.key == [0x2764])
    #expect(annotation.keywords == ["heart", "R&B"])
    #expect(EmojiDataSet.annotation(in: "<annotation cp=\"❤\" type=\"tts\">red heart</annotation>") == nil)
  }

  @Test func emojiAreHeldOutBySkinToneCaptions() {
    #expect(EmojiDataSet.split(ofCaption: "red heart") == .train)
    for i in 0..<200 {
      let caption = "subject \(i): dark skin tone"
      let expected: Split = [0: .test, 1: .validation][FNV1a.hash(caption) % 20] ?? .train
      #expect(EmojiDataSet.split(ofCaption: caption) == expected)
      #expect(EmojiDataSet.split(ofCaption: "subject \(i)") == .train)
    }
  }

  @Test func allEmojiOfTheSystemAreDrawn() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let reports = Reports()
    let target = folder.url.appendingPathComponent("emoji")
    let summary = try EmojiDataSet.prepare(to: target, report: reports.append)
    #expect(reports.lines.isEmpty)
    #expect(summary.pictures == 3655)
    #expect(summary.train + summary.validation + summary.test == summary.pictures)
    #expect(summary.withSkinTone > 1500 && summary.withKeywords > 1000)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["emoji"])

    let set = try PictureDataSet(contentsOf: target, pictureSize: 32, strict: true)
    #expect(set.entries.count == 3655)
    #expect(set.indices(of: .test).count == summary.test)
    for entry in set.entries { #expect(entry.split == EmojiDataSet.split(ofCaption: entry.captions[0])) }
    // A caption names one picture, so that a held-out picture's captions are never trained on.
    let captions = set.entries.flatMap(\.captions)
    #expect(Set(set.entries.map { $0.captions[0] }).count == 3655)
    let heldOut = set.entries.filter { $0.split != .train }.flatMap(\.captions)
    let trained = Set(set.entries.filter { $0.split == .train }.flatMap(\.captions))
    #expect(heldOut.allSatisfy { !trained.contains($0) })
    #expect(captions.allSatisfy { !$0.isEmpty })

    // The red heart is red in the middle and white in the corners.
    let heart = try #require(set.entries.first { $0.captions[0] == "red heart" })
    let picture = try Picture(contentsOf: target.appendingPathComponent(heart.fileName))
    #expect(picture.width == 136 && picture.height == 136)
    #expect(Array(picture.pixels[..<3]) == [255, 255, 255])
    let middle = 3 * (68 * 136 + 68)
    #expect(picture.pixels[middle] > 200 && picture.pixels[middle + 1] < 100)

    // What is there already is not touched.
    #expect {
      try EmojiDataSet.prepare(to: target)
    } throws: { ($0 as? PipelineError)?.kind == .cannotCreate }
  }

  @Test func missingFilesNameThePackage() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let missing = folder.url.appendingPathComponent("missing")
    let target = folder.url.appendingPathComponent("emoji")
    #expect {
      try EmojiDataSet.prepare(to: target, fontFile: missing)
    } throws: { "\($0)".contains("apt-get install fonts-noto-color-emoji") }
    #expect {
      try EmojiDataSet.prepare(to: target, emojiTest: missing)
    } throws: { "\($0)".contains("apt-get install unicode-data") }
    try folder.write("no emoji here", to: "text")
    let text = folder.url.appendingPathComponent("text")
    #expect {
      try EmojiDataSet.prepare(to: target, emojiTest: text)
    } throws: { ($0 as? PipelineError)?.kind == .badData }
    #expect {
      try EmojiDataSet.prepare(to: target, fontFile: text)
    } throws: { "\($0)".contains("is not a font") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["text"])
  }

  @Test func aFewEmojiWithoutKeywords() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.write(
      """
      2764 FE0F ; fully-qualified # ❤️ E0.6 red heart
      10FFFF ; fully-qualified # ? E99.0 unheard of
      """, to: "emoji-test.txt")
    let reports = Reports()
    let missing = folder.url.appendingPathComponent("missing.xml")
    let summary = try EmojiDataSet.prepare(
      to: folder.url.appendingPathComponent("emoji"), emojiTest: folder.url.appendingPathComponent("emoji-test.txt"),
      annotations: [missing], report: reports.append)
    #expect(summary.pictures == 1 && summary.withKeywords == 0)
    #expect(reports.lines.count == 2)
    #expect(reports.lines[0].contains("no keywords from"))
    #expect(reports.lines[1] == "skipped unheard of: the font has no single color glyph for 10ffff")
  }
}
