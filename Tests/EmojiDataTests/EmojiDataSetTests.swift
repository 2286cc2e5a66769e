@testable import Captions
@testable import Captions
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
    #expect(annotations.names == [[0x2764]: "red heart"])
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
    let summary = try EmojiDataSet.prepare(
      to: folder.url.appendingPathComponent("emoji"), emojiTest: folder.url.appendingPathComponent("emoji-test.txt"),
      cldr: folder.path("missing"), report: reports.append)
    #expect(summary.pictures == 1 && summary.withKeywords == 0)
    #expect(reports.lines.count == 3)
    #expect(reports.lines[..<2].allSatisfy { $0.contains("no keywords from") })
    #expect(reports.lines[2] == "skipped unheard of: the font has no single color glyph for 10ffff")

    // What is added appears with the emoji, or neither does.
    try EmojiDataSet.prepare(
      to: folder.path("more"), emojiTest: folder.path("emoji-test.txt"), keywords: false, report: { _ in }
    ) { (partial) throws(PipelineError) in
      try AtomicFile.write(Data("x".utf8), to: partial.appendingPathComponent("added"))
    }
    #expect(folder.exists("more/added") && folder.exists("more/metadata.jsonl"))
    #expect(throws: PipelineError.self) {
      try EmojiDataSet.prepare(
        to: folder.path("none"), emojiTest: folder.path("emoji-test.txt"), keywords: false, report: { _ in }
      ) { (_) throws(PipelineError) in throw PipelineError(.badData, "nothing to add") }
    }
    #expect(!folder.exists("none"))
  }

  /// A list of four emoji, of which CLDR has no name for one in Korean, and for none in a language of the test's own.
  private func prepare(
    _ languages: [String], in folder: TemporaryFolder, keywords: Bool = true, report: (String) -> Void = { _ in }
  ) throws -> [CaptionedPicture] {
    try folder.write(
      """
      1F9A1 ; fully-qualified # 🦡 E11.0 badger
      1FA97 ; fully-qualified # 🪗 E13.0 accordion
      1F1F0 1F1F7 ; fully-qualified # 🇰🇷 E2.0 flag: South Korea
      1F9D1 1F3FE 200D 1F680 ; fully-qualified # 🧑🏾‍🚀 E12.1 astronaut: medium-dark skin tone
      """, to: "emoji-test.txt")
    let annotations = { (lines: String) in "<ldml><annotations>\(lines)</annotations></ldml>" }
    try folder.write(
      annotations(
        """
        <annotation cp="🪗">상자 | 아코디언</annotation><annotation cp="🪗" type="tts">아코디언</annotation>
        <annotation cp="🦡">동물</annotation>
        """), to: "cldr/annotations/ko.xml")
    try folder.write(
      annotations(
        """
        <annotation cp="🇰🇷">깃발</annotation><annotation cp="🇰🇷" type="tts">깃발: 대한민국</annotation>
        <annotation cp="🧑🏾‍🚀" type="tts">우주비행사: 진한 갈색 피부</annotation>
        """), to: "cldr/annotationsDerived/ko.xml")
    try folder.write(annotations(#"<annotation cp="🪗">box</annotation>"#), to: "cldr/annotations/en.xml")
    try folder.write(annotations(""), to: "cldr/annotationsDerived/en.xml")
    try folder.write(annotations(""), to: "cldr/annotations/xx.xml")
    try folder.write(annotations(""), to: "cldr/annotations/root.xml")
    let target = folder.path("emoji")
    try? FileManager.default.removeItem(at: target)
    try EmojiDataSet.prepare(
      to: target, emojiTest: folder.path("emoji-test.txt"), cldr: folder.path("cldr"), languages: languages,
      keywords: keywords, report: report)
    return try Array(PictureDataSet(contentsOf: target, pictureSize: 32, strict: true).entries)
  }

  @Test func namesInSeveralLanguages() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let reports = Reports()
    let both = try prepare(["en", "ko"], in: folder, report: reports.append)
    #expect(
      both.map(\.captions) == [
        ["flag: South Korea", "깃발: 대한민국"], ["badger"],
        ["astronaut: medium-dark skin tone", "우주비행사: 진한 갈색 피부"], ["accordion", "아코디언"],
      ])
    // Of an emoji without a name in a language, its keywords in it are left out, too.
    #expect(both.map(\.keywords) == [["깃발"], [], [], ["box", "상자"]])
    #expect(reports.lines == ["1 of 4 emoji have no name in ko"])
    #expect(try prepare(["en", "ko"], in: folder, keywords: false).allSatisfy { $0.keywords.isEmpty })
    // The same pictures are held out.
    let english = try prepare(["en"], in: folder)
    #expect(english.map(\.split) == both.map(\.split) && english.map(\.captions.count) == [1, 1, 1, 1])

    let other = Reports()
    let korean = try prepare(["ko", "en"], in: folder, report: other.append)
    #expect(korean.map(\.captions[0]) == ["깃발: 대한민국", "badger", "우주비행사: 진한 갈색 피부", "아코디언"])
    #expect(korean.map(\.split) == both.map(\.split))
    let alone = Reports()
    #expect(try prepare(["ko"], in: folder, report: alone.append).map(\.captions.count) == [1, 1, 1])
    #expect(alone.lines == ["left out 1 of 4 emoji, which have no name in ko"])
  }

  @Test func languagesThatThereAreNot() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    func message(_ languages: String...) throws -> String {
      do { _ = try prepare(languages, in: folder) } catch let error as PipelineError { return error.message }
      return ""
    }
    #expect(try message("en", "../en") == "`languages` must be a list of en, ko, xx with commas between, not \"../en\"")
    #expect(try message("ko", "en", "ko") == "`languages` has \"ko\" twice")
    #expect(try message("xx").contains("has none of the emoji"))
    #expect(!folder.exists("emoji"))
    #expect {
      try EmojiDataSet.prepare(to: folder.path("emoji"), cldr: folder.path("none"), languages: ["en", "ko"])
    } throws: { "\($0)".contains("apt-get install unicode-cldr-core") }
  }

  @Test func allEmojiOfTheSystemInKorean() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try EmojiDataSet.prepare(to: folder.path("emoji"), languages: ["en", "ko"])
    let set = try PictureDataSet(contentsOf: folder.path("emoji"), pictureSize: 16, strict: true)
    #expect(set.entries.count == 3655)
    let korean = set.entries.filter { $0.captions.contains { Script(of: $0) == .hangul } }
    #expect(korean.count > 3600)
    #expect(korean.allSatisfy { $0.captions.count == 2 && Script(of: $0.captions[0]) == .latin })
    #expect(set.entries.first { $0.captions[0] == "accordion" }?.captions == ["accordion", "아코디언"])
    #expect(set.entries.first { $0.captions[0] == "man singer: dark skin tone" }?.captions[1] == "남자 가수: 검은색 피부")
    // A name means one picture in each language.
    let names = set.entries.flatMap { $0.captions }
    #expect(Set(names).count == names.count)
  }
}
