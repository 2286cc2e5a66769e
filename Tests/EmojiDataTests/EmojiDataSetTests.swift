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
    let xml = """
      <?xml version="1.0" encoding="UTF-8" ?>
      <!DOCTYPE ldml SYSTEM "../../common/dtd/ldml.dtd">
      <ldml><annotations>
      \t\t<annotation cp="❤">heart | R&amp;B | l’amour</annotation> <!-- 2764 -->
      <annotation cp="❤" type="tts">red heart</annotation>
      <!-- <annotation cp="a">no</annotation> -->
      <annotation cp='&lt;'>less
       than|&#x3E;</annotation><annotation cp="1️⃣">keycap</annotation>
      <other cp="b">no</other>
      </annotations></ldml>
      """
    let annotations = try EmojiAnnotations(Data(xml.utf8), path: "en.xml")
    #expect(
      annotations.keywords == [
        [0x2764]: ["heart", "R&B", "l’amour"], [0x3C]: ["less\n than", ">"], [0x31, 0x20E3]: ["keycap"],
      ])
  }

  @Test(arguments: ["", "no XML", "<ldml><annotation cp=\"a\">word</ldml>", "<ldml>&nothing;</ldml>", "<ldml>"])
  func annotationsThatAreNotXMLAreRefused(xml: String) throws {
    let error = #expect(throws: PipelineError.self) { try EmojiAnnotations(Data(xml.utf8), path: "en.xml") }
    #expect(error?.kind == .badData && error?.message.hasPrefix("en.xml is not XML") == true)
    #expect(error?.message.contains("\n") == false)
  }

  /// What a file names is not fetched, and what it defines does not grow without end.
  @Test func annotationsReachForNothingElse() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try folder.write("secret", to: "secret")
    let outside = """
      <!DOCTYPE ldml [<!ENTITY x SYSTEM "\(folder.url.appendingPathComponent("secret").absoluteString)">]>
      <ldml><annotation cp="a">&x;</annotation></ldml>
      """
    let words = try? EmojiAnnotations(Data(outside.utf8), path: "en.xml").keywords.values.joined()
    #expect(words?.contains { $0.contains("secret") } != true)
    let definitions = (1..<12).map { "<!ENTITY x\($0) \"" + String(repeating: "&x\($0 - 1);", count: 10) + "\">" }
    let bomb = """
      <!DOCTYPE ldml [<!ENTITY x0 "words">\(definitions.joined())]><ldml><annotation cp="a">&x11;</annotation></ldml>
      """
    let grown = try? EmojiAnnotations(Data(bomb.utf8), path: "en.xml").keywords.values.joined()
    #expect(grown?.allSatisfy { $0.utf8.count < 1 << 20 } != false)
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

    // What is added appears with the emoji, or neither does.
    try EmojiDataSet.prepare(
      to: folder.path("more"), emojiTest: folder.path("emoji-test.txt"), annotations: [], report: { _ in }
    ) { (partial) throws(PipelineError) in
      try AtomicFile.write(Data("x".utf8), to: partial.appendingPathComponent("added"))
    }
    #expect(folder.exists("more/added") && folder.exists("more/metadata.jsonl"))
    #expect(throws: PipelineError.self) {
      try EmojiDataSet.prepare(
        to: folder.path("none"), emojiTest: folder.path("emoji-test.txt"), annotations: [], report: { _ in }
      ) { (_) throws(PipelineError) in throw PipelineError(.badData, "nothing to add") }
    }
    #expect(!folder.exists("none"))
  }
}
