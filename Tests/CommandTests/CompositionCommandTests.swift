import Foundation
import Imaging
import TestSupport
import Testing

@Suite struct CompositionCommandTests {
  /// Discs and squares of stripes on white, or on a ground that is not plain.
  private func fill(_ folder: TemporaryFolder, captions: [String] = ["ball", "box", "wasp"], isPlain: Bool = true)
    throws
  {
    var metadata = ""
    for (number, caption) in captions.enumerated() {
      var picture = Picture(width: 40, height: 40, color: .white)
      for y in 0..<40 {
        for x in 0..<40 {
          let isThing = abs(2 * x - 39) < 30 && abs(2 * y - 39) < 30
          let color: [UInt8] =
            isThing ? [x / 3 % 2 == 0 ? 220 : 40, UInt8(60 * number % 250), 90] : [UInt8(6 * x), UInt8(6 * y), 99]
          if isThing || !isPlain {
            picture.pixels.replaceSubrange((3 * (40 * y + x))..<(3 * (40 * y + x) + 3), with: color)
          }
        }
      }
      try folder.write(picture.pngData(), to: "data/\(number).png")
      metadata += "{\"file_name\": \"\(number).png\", \"text\": \"\(caption)\", \"split\": \"train\"}\n"
    }
    try folder.write(metadata, to: "data/metadata.jsonl")
  }

  private func compose(_ options: String..., in folder: TemporaryFolder) throws -> Outcome {
    try Program.run(["compose", "data", "--output", "out", "--picture-size", "32"] + options, in: folder)
  }

  @Test func compositionsAreADataSet() throws {
    let folder = try TemporaryFolder()
    try fill(folder)
    let outcome = try compose("--count", "30", "--seed", "5", "--json", in: folder)
    outcome.expectSuccess()
    #expect(try outcome.json()["pictures"] as? Int == 30)
    let found = try Program.run(["inspect", "out", "--json"], in: folder)
    found.expectSuccess()
    #expect(try found.json()["pictures"] as? Int == 30)
    let first = try folder.contents(of: "out")
    try FileManager.default.removeItem(at: folder.path("out"))
    try compose("--count", "30", "--seed", "5", "--threads", "1", in: folder).expectSuccess()
    #expect(try folder.contents(of: "out") == first)
    // Of each relation, how many.
    let some = try Program.run(
      ["compose", "data", "--output", "some", "--count", "9", "--relations", "next-to,sketch"], in: folder)
    some.expectSuccess()
    #expect(some.errorLines.contains { $0.hasPrefix("  next-to: ") })
    #expect(!some.errors.contains("made-of"))
  }

  /// What they are made of beside them: one folder to train on.
  @Test func theOriginalsCanComeAlong() throws {
    let folder = try TemporaryFolder()
    try fill(folder)
    let own = try folder.contents(of: "data")
    let outcome = try compose("--count", "12", "--with-originals", "--json", in: folder)
    outcome.expectSuccess()
    #expect(try outcome.json()["pictures"] as? Int == 12 && outcome.json()["originals"] as? Int == 3, "\(outcome)")
    let found = try Program.run(["inspect", "out", "--json"], in: folder)
    #expect(try found.json()["pictures"] as? Int == 15)
    let made = try folder.contents(of: "out")
    #expect(made.keys.count { $0.hasPrefix("compositions/") } == 13)
    for (name, bytes) in own where name.hasSuffix(".png") { #expect(made[name] == bytes, "\(name)") }
    // Of what has compositions already, those are no originals, and things are not made of them.
    try Program.run(
      ["compose", "out", "--output", "again", "--count", "12", "--picture-size", "32", "--with-originals"], in: folder
    )
    .expectSuccess()
    #expect(try folder.contents(of: "again") == made)
    try FileManager.default.moveItem(at: folder.path("data"), to: folder.path("old"))
    try FileManager.default.createDirectory(at: folder.path("data"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(at: folder.path("old"), to: folder.path("data/compositions"))
    try FileManager.default.removeItem(at: folder.path("out"))
    try compose("--count", "12", "--with-originals", in: folder).expectFailure(65, "a folder compositions", "rename it")
    #expect(!folder.exists("out"))
    try compose("--count", "12", in: folder).expectSuccess()
  }

  /// A metadata file below pictures with texts beside them takes their place.
  @Test func whatIsComposedHidesNothing() throws {
    let folder = try TemporaryFolder()
    try fill(folder)
    let inside = ["compose", "data", "--output", "data/more", "--count", "5", "--picture-size", "32"]
    try Program.run(inside, in: folder).expectSuccess()
    try FileManager.default.removeItem(at: folder.path("data/more"))
    try FileManager.default.removeItem(at: folder.path("data/metadata.jsonl"))
    for (number, caption) in ["ball", "box", "wasp"].enumerated() {
      try folder.write(caption, to: "data/\(number).txt")
    }
    try Program.run(inside, in: folder).expectFailure(64, "would no longer be read", "--with-originals")
    #expect(!folder.exists("data/more"))
    // Of compositions alone nothing can be composed, nor of tokens.
    try compose("--count", "5", in: folder).expectSuccess()
    try Program.run(["compose", "out", "--output", "x", "--count", "5"], in: folder)
      .expectFailure(65, "all training pictures in", "are compositions")
  }

  @Test func captionsInTwoLanguages() throws {
    let folder = try TemporaryFolder()
    try fill(folder)
    let names = ["ball": "공", "box": "상자", "wasp": "말벌"]
    let english = String(decoding: try folder.read("data/metadata.jsonl"), as: UTF8.self)
    try folder.write(
      names.reduce(english) { $0.replacing("\"\($1.key)\"", with: "[\"\($1.key)\", \"\($1.value)\"]") },
      to: "data/metadata.jsonl")
    try compose("--count", "20", "--languages", "en,ko", in: folder).expectSuccess()
    let lines = String(decoding: try folder.read("out/metadata.jsonl"), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 20 && lines.allSatisfy { $0.contains { ("가"..."힣").contains($0) } })
    // Of emoji alone, there are more.
    try Program.run(["prepare", "emoji", "--output", "emoji", "--languages", "de,ko"], in: folder).expectSuccess()
    let emoji = String(decoding: try folder.read("emoji/metadata.jsonl"), as: UTF8.self)
    #expect(emoji.contains("\"text\":[\"Akkordeon\",\"아코디언\"]"))
  }

  @Test func whatMakesNoSense() throws {
    let folder = try TemporaryFolder()
    try fill(folder)
    try compose("--count", "0", in: folder).expectFailure(64, "--count must be 1 to")
    try compose("--count", "-3", in: folder).expectFailure(64, "--count must be 1 to")
    try compose("--count", "5", "--relations", "made-of,eats", in: folder)
      .expectFailure(64, "--relations must be a list of", "not \"eats\"")
    try compose("--count", "5", "--relations", "", in: folder).expectFailure(64, "--relations must be")
    try compose("--count", "5", "--languages", "en,de", in: folder)
      .expectFailure(64, "--languages must be a list of en, ko with commas", "not \"de\"")
    try compose("--count", "5", "--languages", "ko", in: folder).expectFailure(65, "none of the 3 captions", "in ko")
    try Program.run(["prepare", "emoji", "--output", "out", "--languages", "en,xx"], in: folder)
      .expectFailure(64, "--languages must be a list of af, am,", "ko,", "not \"xx\"")
    try Program.run(["prepare", "emoji", "--output", "out", "--languages", "en,en"], in: folder)
      .expectFailure(64, "--languages has \"en\" twice")
    try Program.run(
      ["prepare", "emoji", "--output", "out", "--languages", "en,de", "--compositions", "5"], in: folder
    ).expectFailure(64, "--languages must be a list of en, ko with commas", "not \"de\"")
    try compose("--count", "5", "--picture-size", "8", in: folder).expectFailure(64, "--picture-size must be 32 to 512")
    try compose("--count", "5", "--threads", "0", in: folder).expectFailure(64, "--threads must be")
    try Program.run(["prepare", "emoji", "--output", "out", "--compositions", "0"], in: folder)
      .expectFailure(64, "--compositions must be 1 to")
    #expect(!folder.exists("out"))
    try folder.write("mine", to: "out/file")
    try compose("--count", "5", in: folder).expectFailure(73, "out is not empty")
    #expect(try folder.contents(of: "out") == ["file": Data("mine".utf8)])
    try Program.run(["compose", "data", "--output", "out/file", "--count", "5"], in: folder)
      .expectFailure(73, "is a file")
  }

  @Test func digitsArePreparedForFigures() throws {
    let folder = try TemporaryFolder()
    let made = try Program.run(
      ["prepare", "digits", "--count", "40", "--picture-size", "16", "--output", "data/digits", "--json"], in: folder)
    made.expectSuccess()
    #expect(try made.json()["pictures"] as? Int == 40)
    let figure = try Program.run(
      ["baselines", "figure", "vae-manifold", "--size", "8", "--steps", "2", "--output", "m.png"], in: folder)
    figure.expectSuccess()
    #expect(figure.outputLines == ["m.png"])
    #expect(try Picture(contentsOf: folder.path("m.png")).width == 20 * 8 * 7)
    try Program.run(["prepare", "digits", "--fonts", "data", "--output", "d"], in: folder)
      .expectFailure(66, "apt-get install fonts-")
    try Program.run(["prepare", "digits", "--count", "3", "--output", "d"], in: folder).expectFailure(64, "--count")
  }

  @Test func picturesThatCannotBeComposed() throws {
    let folder = try TemporaryFolder()
    try compose("--count", "5", in: folder).expectFailure(66, "no such folder")
    try fill(folder, isPlain: false)
    try compose("--count", "5", in: folder).expectFailure(65, "none of the 3 pictures", "white ground")
    try fill(folder, captions: ["ball"])
    try compose("--count", "5", in: folder).expectFailure(65, "only one of the 1 pictures", "two are needed")
    try fill(folder, captions: ["flag: Japan", "it is raining", "A button (blood type)"])
    try compose("--count", "5", in: folder).expectFailure(65, "none of the 3 captions", "names a thing")
    #expect(!folder.exists("out"))
  }

  /// On disk, as tokens and on the fly; then what is held out is drawn.
  @Test func compositionsAreTrainedOnAndMeasured() throws {
    let folder = try TemporaryFolder()
    try fill(folder, captions: ["ball", "box", "wasp", "lamp", "brick", "coin", "pole"])
    let short = ["--preset", "tiny", "--batch-size", "4", "--steps", "2"]
    try Program.run(["train-tokenizer", "data", "--picture-size", "32"] + short, in: folder).expectSuccess()
    try Program.run(
      ["compose", "data", "--output", "both", "--count", "120", "--picture-size", "32", "--with-originals"], in: folder
    ).expectSuccess()
    for (options, isSaid) in [([], true), (["--compositions", "0.5"], false)] as [([String], Bool)] {
      let trained = try Program.run(["train-prior", "both"] + options + short, in: folder)
      trained.expectSuccess()
      #expect(trained.errors.contains("--compositions 0.7 they are three in ten") == isSaid, "\(trained)")
    }
    try compose("--count", "40", in: folder).expectSuccess()
    let encoded = try Program.run(["encode", "out", "--output", "tokens", "--json"], in: folder)
    encoded.expectSuccess()
    #expect(try encoded.json()["pictures"] as? Int == 40)
    try Program.run(["encode", "out", "--output", "tokens"], in: folder).expectFailure(73, "tokens is not empty")
    try Program.run(["encode", "tokens", "--output", "again"], in: folder)
      .expectFailure(65, "which only train-prior can use")
    try Program.run(["train-prior", "tokens"] + short, in: folder).expectSuccess()
    try Program.run(["train-tokenizer", "tokens"] + short, in: folder).expectFailure(
      65, "which only train-prior can use")
    try Program.run(["train-prior", "tokens", "--compositions", "0.5"] + short, in: folder)
      .expectFailure(65, "are compositions")
    try Program.run(["train-prior", "data", "--compositions", "1"] + short, in: folder)
      .expectFailure(64, "--compositions must be 0 up to 1")
    let trained = try Program.run(["train-prior", "data", "--compositions", "0.5"] + short, in: folder)
    trained.expectSuccess()
    #expect(trained.errors.contains("pairs never seen"))
    let card = String(decoding: try folder.read("checkpoints/local/README.md"), as: UTF8.self)
    #expect(card.contains("--compositions 0.5"))

    try Program.run(["evaluate", "data", "--compositions", "0"], in: folder).expectFailure(64, "--compositions must be")
    let measured = try Program.run(
      [
        "evaluate", "data", "--split", "train", "--captions", "2", "--compositions", "6", "--output", "sheet.html",
        "--json",
      ],
      in: folder)
    measured.expectSuccess()
    let found = try #require(try measured.json()["compositions"] as? [String: Any])
    let all = try #require(found["all"] as? [String: Any])
    #expect((all["retrieval"] as? [String: Any])?["captions"] as? Int == 6)
    #expect(String(decoding: try folder.read("sheet.html"), as: UTF8.self).contains("Pairs never seen"))
    try Program.run(["evaluate", "data", "--unseen-nouns", "0"], in: folder).expectFailure(64, "--unseen-nouns must be")

    // The ranker is shown them, too, where the data has some.
    try Program.run(["train-ranker", "data", "--compositions", "0.5"] + short, in: folder)
      .expectFailure(65, "there are no compositions")
    try Program.run(["train-ranker", "out", "--compositions", "0.5"] + short, in: folder).expectFailure(
      65, "are compositions")
    try Program.run(["train-ranker", "out"] + short, in: folder).expectSuccess()
  }
}
