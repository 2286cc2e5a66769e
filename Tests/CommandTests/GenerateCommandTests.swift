import Foundation
import Imaging
import TestSupport
import Testing

@testable import dalle_cli

@Suite struct GenerateCommandTests {
  /// The pictures of one call with --separate, by number.
  private func pictures(_ folder: TemporaryFolder, _ arguments: String...) throws -> [Picture] {
    let name = UUID().uuidString
    let outcome = try Program.run(
      ["generate", "a red square", "--seed", "5", "--separate", "--output", name] + arguments, in: folder)
    outcome.expectSuccess()
    return try outcome.outputLines.map { try Picture(contentsOf: folder.path($0)) }
  }

  @Test func aPictureDependsOnItsSeedAndNumberAlone() throws {
    let folder = try Trained.folder.get()
    let all = try pictures(folder, "--count", "11", "--threads", "2")
    #expect(all.count == 11)
    #expect(all.contains { $0 != all[0] })
    #expect(try pictures(folder, "--count", "1", "--threads", "1") == Array(all.prefix(1)))
    #expect(try pictures(folder, "--count", "3", "--threads", "3") == Array(all.prefix(3)))
    #expect(try pictures(folder, "--count", "9", "--threads", "1") == Array(all.prefix(9)))
    let other = try Program.run(
      ["generate", "a red square", "--seed", "6", "--separate", "--output", UUID().uuidString], in: folder)
    #expect(try other.outputLines.map { try Picture(contentsOf: folder.path($0)) } != Array(all.prefix(4)))
  }

  @Test func thePictureTellsHowItWasMade() throws {
    let folder = try Trained.folder.get()
    let caption = "a green square\nof 大 size 🟩"
    let outcome = try Program.run(
      [
        "generate", caption, "--seed", "18446744073709551615", "--temperature", "0.9", "--top-k", "5", "--top-p",
        "0.8", "--guidance", "1", "--count", "3", "--scale", "2", "--output", "told.png", "--checkpoint", "local",
      ], in: folder)
    outcome.expectSuccess()
    #expect(outcome.outputLines == ["told.png"])
    let text = Dictionary(uniqueKeysWithValues: try Picture.pngText(of: folder.path("told.png")))
    #expect(text["Title"] == caption)
    #expect(text["Seed"] == "18446744073709551615")
    #expect(text["Settings"] == "temperature 0.9, top-k 5, top-p 0.8, guidance 1.0")
    #expect(text["Checkpoint"] == "local")
    #expect(text["Count"] == "3")
    // Two rows of two, 128 pixels each and four between them.
    let picture = try Picture(contentsOf: folder.path("told.png"))
    #expect(picture.width == 260 && picture.height == 260)
  }

  @Test func captionsComeInAndPicturesGoOutByPipes() throws {
    let folder = try Trained.copy()
    try folder.write(Data("a red square\n\n  a blue bar \r\n".utf8), to: "captions.txt")
    let common = ["generate", "--count", "1", "--scale", "1", "--checkpoint", "local", "--output"]
    try Program.run(common + ["named.png", "a red square", "a blue bar"], in: folder).expectSuccess()
    let piped = try Program.run(common + ["-", "-"], in: folder, prologue: "exec < captions.txt > piped.png")
    piped.expectSuccess()
    #expect(try folder.read("piped.png") == folder.read("named.png"))
    try Program.run(common + ["x.png", "-"], in: folder, prologue: "exec < /dev/null")
      .expectFailure(64, "no caption on standard input")
    try Program.run(common + ["-", "dog", "--json"], in: folder).expectFailure(64, "one PNG alone")
    try Program.run(common + ["-", "dog", "--separate"], in: folder).expectFailure(64, "one PNG alone")
    #expect(!folder.exists("x.png") && !folder.exists("-"))
  }

  /// What a person has named is replaced and said, what the program names is new, and a PNG is not called a JPEG.
  @Test func whatIsThereIsReplacedWhereItWasNamed() throws {
    let folder = try Trained.copy()
    let draw = ["generate", "a red square", "--count", "1", "--checkpoint", "local"]
    let first = try Program.run(draw + ["--output", "a.png"], in: folder)
    first.expectSuccess()
    #expect(!first.errors.contains("replaced"))
    let second = try Program.run(draw + ["--output", "a.png", "--seed", "9"], in: folder)
    second.expectSuccess()
    #expect(second.errors.contains("note: a.png is there, and will be replaced"))
    for name in ["a.jpg", "a.JPEG", "a.webp", "a.gif"] {
      try Program.run(draw + ["--output", name], in: folder).expectFailure(64, "name it .png")
    }
    for name in ["reconstructions.png", "reconstructions-2.png"] {
      let outcome = try Program.run(["reconstruct", "a.png", "--checkpoint", "local"], in: folder)
      outcome.expectSuccess()
      #expect(outcome.outputLines == [name])
    }
    try Program.run(["inspect", "local"], in: folder).expectSuccess()
    try Program.run(["inspect", "nope"], in: folder).expectFailure(66, "no checkpoint of that name")
  }

  @Test func severalCaptionsMakeOneGrid() throws {
    let folder = try Trained.folder.get()
    func grid(_ name: String, _ arguments: String...) throws -> Picture {
      let outcome = try Program.run(
        ["generate", "--scale", "1", "--checkpoint", "local", "--output", name] + arguments, in: folder)
      outcome.expectSuccess()
      return try Picture(contentsOf: folder.path(name))
    }
    let side = 64
    let both = try grid("several.png", "a red square", "a blue square", "--count", "3")
    #expect(both.width == 3 * side + 2 * 2 && both.height == 2 * side + 2)
    // Each row is what its caption alone gives.
    for (row, caption) in ["a red square", "a blue square"].enumerated() {
      let alone = try grid("one-of-several.png", caption, "--count", "3", "--columns", "3")
      #expect(both.cropped(x: 0, y: row * (side + 2), width: both.width, height: side) == alone)
    }
    let titles = try Picture.pngText(of: folder.path("several.png")).filter { $0.key == "Title" }.map(\.value)
    #expect(titles == ["a red square", "a blue square"])
  }

  // MARK: Image prompts

  @Test func anImageIsKeptFromTheTop() throws {
    let folder = try Trained.folder.get()
    func draw(_ rows: Int) throws -> [Picture] {
      try pictures(folder, "--count", "3", "--image", "data/blue40.png", "--keep-rows", "\(rows)")
    }
    let none = try draw(0)
    #expect(try pictures(folder, "--count", "3") == none)
    let some = try draw(6)
    #expect(some != none)
    #expect(try draw(6) == some)
    let outcome = try Program.run(
      [
        "generate", "a red square", "--image", "data/blue40.png", "--keep-rows", "6", "--count", "1", "--seed", "5",
        "--json",
      ], in: folder)
    outcome.expectSuccess()
    #expect(outcome.errorLines.contains("note: the first 6 of 8 rows of tokens are those of data/blue40.png"))
    let json = try outcome.json()
    #expect(json["image"] as? String == "data/blue40.png" && json["kept_rows"] as? Int == 6)
    #expect(json["files"] as? [String] == ["a-red-square-from-blue40.png"])
    let file = folder.path("a-red-square-from-blue40.png")
    #expect(try Picture(contentsOf: file) == some[0])
    let text = Dictionary(uniqueKeysWithValues: try Picture.pngText(of: file))
    #expect(text["Image"] == "blue40.png" && text["Kept rows"] == "6")
  }

  @Test func variationsNeedNoCaption() throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(["generate", "--image", "data/grey40.png", "--variations", "--json"], in: folder)
    outcome.expectSuccess()
    #expect(outcome.errorLines.contains("note: the first 4 of 8 rows of tokens are those of data/grey40.png"))
    let json = try outcome.json()
    #expect(json["files"] as? [String] == ["variations-from-grey40.png"] && json["captions"] as? [String] == [""])
    let empty = try Program.run(
      ["generate", "", "--image", "data/grey40.png", "--keep-rows", "4", "--output", "empty.png"], in: folder)
    empty.expectSuccess()
    let variations = try Picture(contentsOf: folder.path("variations-from-grey40.png"))
    #expect(try Picture(contentsOf: folder.path("empty.png")) == variations)
    // A caption may help, and then another number of rows.
    let helped = ["generate", "a red square", "--image", "data/grey40.png", "--variations", "--keep-rows", "2"]
    try Program.run(helped + ["--output", "helped.png"], in: folder).expectSuccess()
    #expect(folder.exists("helped.png"))
  }

  @Test(
    arguments: [
      (["red", "--keep-rows", "3"], 64, "--image FILE"), (["red", "--variations"], 64, "--image FILE"),
      (["--image", "data/red8.png"], 64, "there is no caption"), ([], 64, "there is no caption"),
      (["red", "--image", "data/red8.png", "--keep-rows", "8"], 64, "--keep-rows must be 0 to 7, not 8"),
      (["red", "--image", "data/red8.png", "--keep-rows", "-1"], 64, "--keep-rows must be 0 to 7, not -1"),
      (["red", "--image", "data/red8.png", "--keep-rows", "some"], 64, "--keep-rows"),
      (["red", "--image", "data/nothing.png"], 66, "nothing.png"), (["red", "--image", "data"], 66, "it is a folder"),
      (["red", "--image", "data/red8.txt"], 65, "not a PNG, JPEG or WebP"),
      (
        ["red", "--image", "data/red8.png", "--output", "./data/../data/red8.png"], 64,
        "would replace what it is made of"
      ),
    ] as [([String], Int32, String)])
  func imagePromptsThatMakeNoSense(_ arguments: [String], _ code: Int32, _ words: String) throws {
    let folder = try Trained.folder.get()
    let before = try folder.contents(of: "data")
    let output = arguments.contains("--output") ? [] : ["--output", "no.png"]
    try Program.run(["generate"] + arguments + output, in: folder).expectFailure(code, words)
    #expect(try folder.contents(of: "data") == before && !folder.exists("no.png"))
  }

  @Test func jsonIsOneObjectAndUnseenWordsAreNamed() throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(
      ["generate", "A RED tapir, a tapir of squares", "--count", "1", "--json", "--output", "json.png"], in: folder)
    outcome.expectSuccess()
    #expect(outcome.errorLines.count { $0 == "note: \"tapir\" never occurs in the training captions" } == 1)
    #expect(!outcome.errors.contains("\"red\""))
    #expect(outcome.errors.contains("note: using the checkpoint checkpoints/local"))
    let json = try outcome.json()
    #expect(json["captions"] as? [String] == ["A RED tapir, a tapir of squares"])
    #expect(json["unseen_words"] as? [String] == ["tapir"])
    #expect(json["files"] as? [String] == ["json.png"])
    #expect((json["sampling"] as? [String: Any])?["top_k"] as? Int == 64)
  }

  @Test func anEmptyPromptAndOneThatIsTooLong() throws {
    let folder = try Trained.folder.get()
    let empty = try Program.run(["generate", "", "--count", "1"], in: folder)
    empty.expectSuccess()
    #expect(empty.errors.contains("note: the prompt is empty"))
    #expect(empty.outputLines == ["picture.png"])
    let long = try Program.run(
      ["generate", String(repeating: "red square ", count: 9090), "--count", "1", "--output", "long.png"],
      in: folder)
    long.expectSuccess()
    #expect(long.errors.contains(#/note: the prompt has \d+ tokens; the model sees the first 16/#), "\(long)")
    // What is cut changes nothing.
    let cut = try Program.run(
      ["generate", String(repeating: "red square ", count: 20), "--count", "1", "--output", "cut.png"], in: folder)
    cut.expectSuccess()
    #expect(try Picture(contentsOf: folder.path("long.png")) == Picture(contentsOf: folder.path("cut.png")))
  }

  @Test(arguments: [
    ("a red heart!", "a-red-heart"), ("", "picture"), ("🖤 …", "picture"), ("../../etc/passwd", "etc-passwd"),
    ("ein größerer Bär", "ein-größerer-bär"), ("猫の絵", "猫の絵"),
  ])
  func fileNamesComeFromTheCaption(_ caption: String, _ name: String) {
    #expect(Generate.fileName(for: caption) == name)
  }

  @Test func fileNamesFitTheFileSystem() throws {
    let folder = try Trained.folder.get()
    for caption in [
      String(repeating: "画", count: 300), "a" + String(repeating: "\u{301}", count: 500),
      String(repeating: "เด็ก", count: 90),
    ] {
      let outcome = try Program.run(
        ["generate", caption, "--count", "1", "--seed", "18446744073709551615", "--separate"], in: folder)
      outcome.expectSuccess()
      #expect(folder.exists(try #require(outcome.outputLines.first)))
    }
  }

  @Test(arguments: [
    (["--count", "0"], "--count must be 1"), (["--count", "-2"], "--count must be 1"),
    (["--count", "10000"], "lower --scale"), (["--count", "9", "--scale", "64"], "lower --scale"),
    (["--scale", "0"], "--scale must be"), (["--temperature", "nan"], "--temperature must be"),
    (["--temperature", "-1"], "--temperature must be"), (["--guidance", "inf"], "--guidance must be"),
    (["--top-p", "0"], "--top-p must be"), (["--top-p", "nan"], "--top-p must be"),
    (["--top-k", "-1"], "--top-k must be"), (["--top-k", "many"], "--top-k"),
    (["--threads", "0"], "--threads must be"),
    (["--threads", "1000000"], "--threads must be"), (["--seed", "-1"], "--seed"), (["--seed", "1.5"], "--seed"),
    (["--frames", "3"], "--frames"), (["--checkpoint", ""], "--checkpoint"),
  ])
  func optionsThatMakeNoSense(_ options: [String], _ words: String) throws {
    let folder = try Trained.folder.get()
    try Program.run(["generate", "red", "--output", "no.png"] + options, in: folder).expectFailure(64, words)
    #expect(!folder.exists("no.png"))
  }

  @Test func outputsThatCannotBeWritten() throws {
    let folder = try Trained.copy()
    try folder.write("", to: "file")
    for (output, words) in [
      ("nowhere/x.png", "there is no folder nowhere"), ("checkpoints", "it is a folder"),
      ("file/x.png", "there is no folder file"), ("", "it is a folder"),
    ] {
      try Program.run(["generate", "red", "--output", output], in: folder).expectFailure(73, words)
    }
    try Program.run(["generate", "red", "--separate", "--output", "file/x"], in: folder).expectFailure(73, "file/x")
    // 1024 or 512 bytes a block: too few for the picture, enough for the messages.
    let full = try Program.run(["generate", "red", "--output", "x.png"], in: folder, prologue: "ulimit -f 1")
    full.expectFailure(74, "x.png")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == ["checkpoints", "data", "file"])
  }

  @Test func anEarlierPictureOutlivesAFailure() throws {
    let folder = try Trained.copy()
    try Program.run(["generate", "red", "--output", "x.png"], in: folder).expectSuccess()
    let before = try folder.read("x.png")
    try Program.run(["generate", "blue", "--output", "x.png"], in: folder, prologue: "ulimit -f 1").expectFailure(74)
    #expect(try folder.read("x.png") == before)
  }

  @Test func standardOutputThatTakesNothing() throws {
    let folder = try Trained.folder.get()
    let full = try Program.run(["inspect", "checkpoints/local"], in: folder, prologue: "exec >/dev/full")
    full.expectFailure(74, "standard output")
    // A reader that has gone away is no failure: `dalle-cli … | head -1`.
    let closed = try Program.run(
      ["inspect", "checkpoints/local"], in: folder,
      prologue: "(sleep 0.2; \"$@\"; echo \"status $?\" >&2) | :; exit 0")
    #expect(closed.errors == "status 0\n", "\(closed)")
  }

  @Test func reconstructionsStandBelowTheirOriginals() throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(
      ["reconstruct", "data/red8.png", "data/blue40.png", "--scale", "1", "--json", "--output", "both.png"],
      in: folder)
    outcome.expectSuccess()
    let pictures = try #require(try outcome.json()["pictures"] as? [[String: Any]])
    #expect(pictures.map { $0["file"] as? String } == ["data/red8.png", "data/blue40.png"])
    let grid = try Picture(contentsOf: folder.path("both.png"))
    #expect(grid.width == 130 && grid.height == 130)
    try Program.run(["reconstruct", "data/nothing.png"], in: folder).expectFailure(66, "nothing.png")
    try Program.run(["reconstruct", "data/red8.txt"], in: folder).expectFailure(65, "not a PNG, JPEG or WebP")
    try folder.write("GIF89a", to: "photo.jpg")
    try Program.run(["reconstruct", "photo.jpg"], in: folder).expectFailure(
      65, "photo.jpg: a GIF picture, which is not read")
    let webP = Fixtures.url("pictures/lossy.webp").path
    try Program.run(["reconstruct", webP, "--output", "webp.png"], in: folder).expectSuccess()
    try Program.run(["reconstruct", "data/red8.png", "--output", "no/x.png"], in: folder).expectFailure(73)
    try Program.run(["reconstruct"], in: folder).expectFailure(64)
  }

  /// What is bundled is found in the folder that the environment names, from wherever the program is run.
  @Test func aFolderNamedByTheEnvironment() throws {
    let (home, here) = (try Trained.copy(), try TemporaryFolder())
    try FileManager.default.moveItem(at: home.path("checkpoints/local"), to: home.path("checkpoints/mine"))
    let draw = ["generate", "a red square", "--checkpoint", "mine", "--output", "x.png"]
    try Program.run(draw, in: here).expectFailure(66, "checkpoints/mine")
    try Program.run(draw, in: here, prologue: "export DALLE_HOME='\(home.url.path)'").expectSuccess()
    #expect(here.exists("x.png"))
  }

  @Test func tokensAndTheirPieces() throws {
    let folder = try Trained.folder.get()
    let json = try Program.run(["tokenize", "a red 🖤 square", "--json"], in: folder).json()
    #expect((json["ids"] as? [Int])?.count == (json["pieces"] as? [String])?.count)
    let lines = try Program.run(["tokenize", "a red"], in: folder)
    lines.expectSuccess()
    #expect(lines.outputLines.first?.hasSuffix("\t a") ?? false, "\(lines)")
  }

  @Test func evaluationMeasuresEachSplit() throws {
    let folder = try Trained.folder.get()
    let outcome = try Program.run(["evaluate", "data", "--captions", "3", "--json", "--card"], in: folder)
    outcome.expectSuccess()
    let splits = try #require(try outcome.json()["splits"] as? [[String: Any]])
    #expect(splits.map { $0["split"] as? String } == ["train", "validation"])
    #expect((splits[0]["retrieval"] as? [String: Any])?["captions"] as? Int == 3)
    #expect((splits[0]["prior_loss"] as? Double ?? 0) > 0)
    let card = try String(contentsOf: folder.path("checkpoints/local/README.md"), encoding: .utf8)
    for words in ["# local", "dalle-cli train-prior --preset tiny", "| retrieval@1 (ceiling) |", "| validation |"] {
      #expect(card.contains(words), "\(card)")
    }
    try Program.run(["evaluate", "data", "--captions", "-1"], in: folder).expectFailure(64, "--captions")
    try Program.run(["evaluate", "data", "--split", "all"], in: folder).expectFailure(64, "--split")
    try Program.run(["evaluate", "data", "--top-k", "-1"], in: folder).expectFailure(64, "--top-k")
    // The card says that its figures are those of the default settings.
    try Program.run(["evaluate", "data", "--card", "--temperature", "1"], in: folder).expectFailure(64, "--card")
  }

  @Test func evaluationWritesAContactSheet() throws {
    let folder = try Trained.copy()
    let evaluate = ["evaluate", "data", "--captions", "2", "--split", "train", "--checkpoint", "local"]
    func sheet() throws -> String { String(decoding: try folder.read("sheet.html"), as: UTF8.self) }
    let outcome = try Program.run(
      evaluate + ["--output", "sheet.html", "--caption", "a <red> tapir", "--caption", "-5 squares", "--json"],
      in: folder)
    outcome.expectSuccess()
    #expect(try outcome.json()["output"] as? String == "sheet.html")
    var html = try sheet()
    #expect(html.contains("<h3>a &lt;red&gt; tapir</h3>") && html.contains("<h3>-5 squares</h3>"))
    #expect(html.ranges(of: "<img ").count == 2 * 4 + 2 * 7 + 2 * 4 * 2)
    // Those that stand for it unless others are given, and the path where there is no JSON.
    let standard = try Program.run(evaluate + ["--output", "sheet.html"], in: folder)
    standard.expectSuccess()
    #expect(standard.outputLines.last == "sheet.html")
    html = try sheet()
    for caption in ["purple heart with a crown", "blue cat", "woman zombie: dark skin tone"] {
      #expect(html.contains("<h3>\(caption)</h3>"))
    }
    #expect(html.ranges(of: "<img ").count == 2 * 4 + 2 * 7 + 3 * 4 * 2)
    for (output, words) in [
      ("nowhere/x.html", "there is no folder nowhere"), ("data", "it is a folder"), ("", "it is a folder"),
    ] {
      try Program.run(evaluate + ["--output", output], in: folder).expectFailure(73, words)
    }
    try Program.run(evaluate + ["--caption", "a red tapir"], in: folder).expectFailure(64, "--output FILE")
    // 1024 or 512 bytes a block.
    let full = try Program.run(
      evaluate + ["--output", "sheet.html", "--json"], in: folder, prologue: "ulimit -f 1")
    full.expectFailure(74, "sheet.html")
    #expect(try sheet() == html)
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    #expect(left.sorted() == ["checkpoints", "data", "sheet.html"])
  }

  @Test func evaluationMeasuresWhatPeopleType() throws {
    let folder = try Trained.copy()
    try folder.write(
      "{\"prompt\": \"a box\", \"pictures\": [\"a red square\", \"blue8.png\"]}\n{\"prompt\": \"-x\", \"pictures\": [\"grey8.png\"]}\n",
      to: "prompts.jsonl")
    let evaluate = ["evaluate", "data", "--captions", "3", "--checkpoint", "local", "--prompts"]
    let outcome = try Program.run(evaluate + ["prompts.jsonl", "--json", "--card"], in: folder)
    outcome.expectSuccess()
    let json = try outcome.json()
    let forms = try #require((json["forms"] as? [String: Any])?["forms"] as? [[String: Any]])
    #expect(forms.map { $0["form"] as? String } == ["X", "x.", "a X", "the X", "X!", "a picture of a X"])
    let prompts = try #require(json["prompts"] as? [String: Any])
    #expect(prompts["prompts"] as? Int == 2 && (0...1).contains(prompts["answered"] as? Double ?? -1))
    let card = String(decoding: try folder.read("checkpoints/local/README.md"), as: UTF8.self)
    #expect(card.contains("| “a picture of a X” | 3 | ") && card.contains("| everyday prompts"))
    let lines = try Program.run(evaluate + ["prompts.jsonl", "--split", "train"], in: folder)
    lines.expectSuccess()
    #expect(
      lines.outputLines.contains { $0.hasPrefix("“the X”: ") } && lines.outputLines.last?.contains("of 2") ?? false)
    // Other splits have captions that need not have been learnt in any form.
    let validation = try Program.run(evaluate + ["prompts.jsonl", "--split", "validation", "--json"], in: folder)
    #expect(try validation.json()["forms"] == nil)
    try folder.write("{\"prompt\": \"a box\", \"pictures\": [\"a tapir\"]}", to: "wrong.jsonl")
    try Program.run(evaluate + ["wrong.jsonl"], in: folder).expectFailure(65, "wrong.jsonl line 1")
    try Program.run(evaluate + ["none.jsonl"], in: folder).expectFailure(66, "none.jsonl")
  }

  @Test func whatNoCaptionIsLikeIsSaid() throws {
    let folder = try Trained.copy()
    let unlike = try Program.run(["generate", "a tapir on a red carpet", "--output", "x.png"], in: folder)
    unlike.expectSuccess()
    #expect(unlike.errors.contains("\"tapir\" never occurs"))
    #expect(
      unlike.errors.contains(
        "no training caption says all of \"a tapir on a red carpet\"; the nearest: \"a red square\""),
      "\(unlike)")
    let unknown = try Program.run(["generate", "tapir", "--output", "x.png"], in: folder)
    #expect(unknown.errors.contains("no training caption says anything of \"tapir\""))
    let like = try Program.run(["generate", "A picture of the red squares!", "--output", "x.png"], in: folder)
    like.expectSuccess()
    #expect(!like.errors.contains("no training caption") && !like.errors.contains("never occurs"), "\(like)")
    let json = try Program.run(["generate", "red tapir", "blue square", "--output", "x.png", "--json"], in: folder)
      .json()
    let captions = try #require(json["nearest_captions"] as? [[String]])
    #expect(captions.count == 2 && captions[0] == ["a red square"] && captions[1].isEmpty)
  }

  @Test func helpAndVersionAreNoFailures() throws {
    let folder = try TemporaryFolder()
    for arguments in [["--help"], ["help", "generate"], ["--version"], []] {
      let outcome = try Program.run(arguments, in: folder)
      outcome.expectSuccess()
      #expect(!outcome.output.isEmpty && outcome.errors.isEmpty)
    }
  }
}
